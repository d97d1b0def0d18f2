"""A sleeping endpoint answers its request, whichever process is killed while it wakes."""

import contextlib
import os
import signal
import threading

import numpy as np
import pytest
from tests.chaos.conftest import KILLS, NIGHTLY, SEED, pack
from tests.journeys.test_serverless import XGBOOST, Serverless

pytestmark = pytest.mark.chaos
ROUNDS = KILLS if NIGHTLY else 6
NAME = "sl-chaos"
VICTIMS = ("zygote/", "worker", f"endpoint/{NAME}/")


@pytest.fixture(scope="module")
def serverless(shared_platform, packed_booster):
    made = Serverless(shared_platform)
    made.deploy(NAME, XGBOOST, packed_booster, idle_s=1)
    return made


@pytest.fixture(scope="module")
def packed_booster(booster):
    return pack({"model.ubj": bytes(booster.save_raw("ubj"))})


class Killer:
    """Kills one process at a random moment of the next second, if it is there then."""

    def __init__(self, platform, chance):
        self._platform = platform
        self._prefix = chance.choice(VICTIMS)
        self._timer = threading.Timer(chance.uniform(0.0, 0.5), self._strike)

    def __enter__(self):
        self._timer.start()
        return self._prefix

    def __exit__(self, *_):
        self._timer.join()

    def _strike(self):
        info = self._platform.control.info()
        found = {one["name"]: one["pid"] for one in info["processes"] if one["state"] == "running"}
        found["worker"] = info["worker"]
        for name, pid in found.items():
            if name.startswith(self._prefix) and pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def test_a_cold_start_survives_kill_9_of_any_part(serverless, booster, chance):
    runtime = serverless.platform.client("sagemaker-runtime")  # with boto3's own retries
    row = [0.1, 0.2, 0.3, 0.4]
    expected = float(booster.inplace_predict(np.array([row], dtype=np.float32))[0])

    for number in range(ROUNDS):
        serverless.falls_asleep(NAME)
        with Killer(serverless.platform, chance) as victim:
            answer = runtime.invoke_endpoint(
                EndpointName=NAME, ContentType="text/csv", Body=",".join(map(str, row)).encode()
            )
        told = f"round {number} of seed {SEED}, {victim} killed"
        assert float(answer["Body"].read()) == pytest.approx(expected), told
        assert serverless.status(NAME) == "InService", told
