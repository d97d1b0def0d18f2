"""Models that hang, crash, leave, eat memory, fork, close what is not theirs, flood log or disk: nobody else notices.

T32 of the test plan. All do their worst at the same time, beside a neighbour under load.
"""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from tests.chaos.conftest import NIGHTLY, SEED, TURNS_ROUND, Bench
from tests.conftest import load_script

pytestmark = pytest.mark.chaos

neighbours = load_script("neighbours", "benchmarks")
#: Deed → what the endpoint's log names as the cause of the death.
DEADLY = {
    "hang": "Cause E-HANG: code/inference.py line 4: one request kept the model busy",
    "crash": "Cause E-SEGFAULT",
    "leave": "Cause E-EXIT: the model process exited with code 7",
    "eat": "Cause E-OOM",
    "desert": "Cause E-EXIT: the model process exited with code 7",
    "close": "Cause E-",
}
if NIGHTLY:  # thousands of processes; tests/test_supervisor.py has a quick one
    DEADLY["fork"] = "Cause E-SIGNAL"
#: Deed → what is asked for.
HARMLESS = {
    "flood": b"flood 1000" if NIGHTLY else b"flood 30",
    "fill": b"fill 10000" if NIGHTLY else b"fill 200",
}


class Deeds:
    """What happened to each model, and to the neighbour meanwhile."""

    def __init__(self, bench):
        self.bench = bench
        self.neighbour = bench.deploy_script(["neighbour"], script=TURNS_ROUND)[0]
        self.before = bench.pids("replica", self.neighbour)
        self._runtime = bench.platform.client(
            "sagemaker-runtime", retries={"mode": "standard"}, max_pool_connections=20
        )
        files, limit = (
            {"code/inference.py": neighbours.OBEYS},
            {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "3"},
        )
        model = bench.model("obeys", files)
        plain = bench.config("obeys", model)
        hasty = bench.config("obeys-hasty", bench.model("obeys-hasty", files, limit))
        small = bench.config(
            "obeys-small", model, serverless={"MemorySizeInMB": 1024, "MaxConcurrency": 5}
        )
        for deed in (*DEADLY, *HARMLESS):
            chosen = {"eat": small, "hang": hasty, "close": hasty}.get(deed, plain)
            bench.sagemaker.create_endpoint(EndpointName=deed, EndpointConfigName=chosen)
        for deed in (*DEADLY, *HARMLESS):
            bench.wait_status(deed, "InService", 60)
        with bench.load(self.neighbour, connections=4, rate=60) as self.load:
            self.load.wait_for_more(20)
            with ThreadPoolExecutor(8) as pool:
                self.results = dict(
                    zip((*DEADLY, *HARMLESS), pool.map(self._do, (*DEADLY, *HARMLESS)), strict=True)
                )
            self.load.wait_for_more(20)

    def ask(self, endpoint, body):
        """Return the answer, or the error's code and text; who is told to come again (503) does."""
        return self.bench.platform.wait(lambda: self._ask(endpoint, body), 120)

    def _ask(self, endpoint, body):
        try:
            answer = self._runtime.invoke_endpoint(
                EndpointName=endpoint, ContentType="text/csv", Body=body
            )
            return answer["Body"].read()
        except ClientError as error:
            found = error.response["Error"]
            return found["Code"] != "ServiceUnavailable" and (found["Code"], found["Message"])

    def _do(self, deed):
        wish = HARMLESS.get(deed, deed.encode())
        return self.ask(deed, wish), self.ask(deed, b"1,2")


@pytest.fixture(scope="module")
def deeds(shared_bench):
    """Everything done once."""
    done = Deeds(shared_bench)
    yield done
    shared_bench.remove([done.neighbour, *DEADLY, *HARMLESS])


@pytest.mark.parametrize("deed", DEADLY)
def test_a_model_that_dies_of_a_request_says_so_and_serves_the_next_one(deeds, wait_for, deed):
    first, after = deeds.results[deed]

    assert first[0] == "ModelError", (first, SEED)
    assert "while it worked on this request" in first[1]
    assert after == b"2,1"
    told = wait_for(lambda: deeds.bench.log(deed, "[farero] Cause E-"), 15)
    assert DEADLY[deed] in told[0]


@pytest.mark.parametrize("deed", HARMLESS)
def test_a_model_that_prints_or_writes_much_is_served_as_any_other(deeds, deed):
    assert deeds.results[deed] == (HARMLESS[deed][::-1], b"2,1")
    logs = deeds.bench.platform.data_dir / "logs" / "endpoints" / deed
    assert sum(path.stat().st_size for path in logs.iterdir()) < 120_000_000


def test_the_neighbour_noticed_nothing(deeds):
    assert deeds.load.faults == []
    assert deeds.bench.pids("replica", deeds.neighbour) == deeds.before
    assert all(answer == body[::-1] for body, answer, _ in deeds.load.answered)


def test_a_model_that_hangs_while_it_loads_harms_nobody_and_can_be_deleted(deeds, wait_for):
    bench = deeds.bench
    script = b"import time\ndef model_fn(model_dir): time.sleep(600)\n"
    config = bench.config("loads", bench.model("loads", {"code/inference.py": script}))

    with bench.load(deeds.neighbour, connections=2, rate=40) as load:
        bench.sagemaker.create_endpoint(EndpointName="loads", EndpointConfigName=config)
        bench.platform.wait(lambda: bench.pids("replica", "loads"))
        load.wait_for_more(20)
        assert bench.status("loads") == "Creating"
        bench.remove(["loads"])

    assert load.faults == []


def test_a_replica_that_stands_still_is_replaced(stopped_platform, booster):
    stopped_platform.env["FARERO_INVOCATION_TIMEOUT_S"] = "2"
    stopped_platform.farero("up", "-d")
    bench = Bench(stopped_platform, booster)
    bench.deploy_script(["still"])
    (stuck,) = bench.ready("still")

    os.kill(stuck, signal.SIGSTOP)

    bench.platform.wait(
        lambda: stuck not in bench.pids("replica", "still") and bench.ready("still"), 40
    )
    with bench.load("still", total=5) as load:
        pass
    assert load.faults == []
