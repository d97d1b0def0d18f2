"""T25: fifty callers create, delete, update and describe the same endpoints at once; what they saw has one explanation.

An order of all calls is looked for that keeps the real order of calls which did not overlap, and in which a small model
of an endpoint gives each call the answer that it got (linearizability; Wing and Gong's search with Lowe's memory).
"""

import collections
import random
import threading
import time
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError
from tests.chaos.conftest import NIGHTLY, SEED

pytestmark = pytest.mark.chaos

THREADS, CALLS = 50, 100 if NIGHTLY else 8
NAMES = [f"race-{number}" for number in range(5)]
CONFIGS = ("race-a", "race-b")
DEEDS = ("describe", "describe", "create", "create", "update", "delete")


@dataclass(frozen=True)
class Call:
    """One call, its answer, and when it was under way."""

    deed: str
    config: str
    answer: tuple
    began: float
    ended: float


def next_states(state, call):
    """Return the states in which the model may be after this call got this answer; empty if it cannot have got it.

    state: None, or (status, config, config that an update leads to).
    """
    found = []
    for before in {state, _moved(state)}:
        status = before and before[0]
        idle = status == "InService"
        match call.deed, call.answer:
            case "create", ("ok",):
                found += [("Creating", call.config, None)] if before is None else []
            case "create", ("exists",):
                found += [before] if before else []
            case "delete", ("ok",):
                found += [("Deleting", before[1], None)] if before else []
            case "update", ("ok",):
                found += [("Updating", before[1], call.config)] if idle else []
            case "update", ("busy",):
                found += [before] if before and not idle else []
            case _, ("missing",):
                found += [] if before else [before]
            case "describe", (seen, config):
                found += [before] if status == seen and config == before[1] else []
    return found


def _moved(state):
    """Return what the platform makes of a state by itself."""
    match state:
        case ("Creating", config, _):
            return ("InService", config, None)
        case ("Updating", _, config):
            return ("InService", config, None)
        case ("Deleting", _, _):
            return None
    return state


def explain(calls):
    """Return whether some order of the calls explains all answers."""
    calls = sorted(calls, key=lambda call: call.began)
    everything = (1 << len(calls)) - 1
    seen, stack = set(), [(0, None)]
    while stack:
        done, state = stack.pop()
        if done == everything:
            return True
        first_end = float("inf")
        for number in range((~done & -~done).bit_length() - 1, len(calls)):
            call = calls[number]
            if call.began > first_end:
                break
            if done >> number & 1:
                continue
            first_end = min(first_end, call.ended)
            for after in next_states(state, call):
                node = (done | 1 << number, after)
                if node not in seen:
                    seen.add(node)
                    stack.append(node)
    return False


def call_of(deed, answer, began, ended, config="a"):
    return Call(deed, config, answer, began, ended)


def test_the_search_itself_tells_right_from_wrong():
    created = call_of("create", ("ok",), 0, 1)
    exists = call_of("create", ("exists",), 0, 1)

    assert explain([created, exists])
    assert explain([created, call_of("describe", ("InService", "a"), 2, 3)])
    assert explain([created, call_of("delete", ("ok",), 2, 3), call_of("create", ("ok",), 4, 5)])
    assert not explain([exists])
    assert not explain([created, call_of("create", ("ok",), 2, 3)])
    assert not explain([created, call_of("describe", ("missing",), 2, 3)])
    assert not explain([created, call_of("describe", ("InService", "b"), 2, 3)])
    assert not explain(
        [
            created,
            call_of("update", ("ok",), 2, 3, "b"),
            call_of("describe", ("InService", "b"), 4, 5),
            call_of("describe", ("Updating", "a"), 6, 7),
        ]
    )


class Racers:
    """Threads that call at random, and what they were answered."""

    def __init__(self, platform):
        self.history = collections.defaultdict(list)
        self.strange = []
        self._client = platform.client(
            "sagemaker", retries={"total_max_attempts": 1}, max_pool_connections=THREADS
        )

    def run(self):
        """Let all of them call."""
        threads = [threading.Thread(target=self._call_often, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _call_often(self, number):
        chance = random.Random(f"{SEED} {number}")
        for _ in range(CALLS):
            threading.Event().wait(chance.uniform(0.0, 0.6))  # the moments are what is tested
            name, deed = chance.choice(NAMES), chance.choice(DEEDS)
            config = chance.choice(CONFIGS)
            began = time.monotonic()
            answer = self._call(deed, name, config)
            self.history[name].append(Call(deed, config, answer, began, time.monotonic()))

    def _call(self, deed, name, config):
        given = {"EndpointName": name}
        if deed in {"create", "update"}:
            given["EndpointConfigName"] = config
        try:
            found = getattr(self._client, f"{deed}_endpoint")(**given)
        except ClientError as error:
            text = str(error)
            for words, answer in {
                "already existing": "exists", "in-progress": "busy", "Could not find": "missing",
            }.items():  # fmt: skip
                if words in text:
                    return (answer,)
            self.strange.append(f"{deed} {name}: {text}")
            return ("strange",)
        if deed == "describe":
            return (found["EndpointStatus"], found["EndpointConfigName"])
        return ("ok",)


class Census:
    """Notes when two processes of one replica run at a time."""

    def __init__(self, bench):
        self.doubles = []
        self._bench, self._stop = bench, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(0.02):
            names = processes_of(self._bench)
            counts = collections.Counter(name.rsplit("/", 1)[0] for name in names)
            self.doubles += [name for name, count in counts.items() if count > 1]


def processes_of(bench):
    """Return the names of all running processes of the endpoints of this test."""
    info = bench.platform.control.info()
    return [
        one["name"]
        for one in info["processes"]
        if one["state"] == "running" and one["name"].startswith("endpoint/race-")
    ]


def test_t25_fifty_callers_of_the_same_endpoints_see_one_history(shared_bench):
    bench = shared_bench
    model = bench.model("race", {"code/inference.py": b"def model_fn(model_dir): return None\n"})
    for config in CONFIGS:
        bench.config(config, model)
    before = set((bench.platform.data_dir / "run" / "r").glob("*.sock"))

    racers = Racers(bench.platform)
    with Census(bench) as census:
        racers.run()

    assert racers.strange == []
    assert sum(len(calls) for calls in racers.history.values()) == THREADS * CALLS
    unexplained = [name for name, calls in racers.history.items() if not explain(calls)]
    assert unexplained == [], f"seed {SEED}"
    assert census.doubles == []
    left = [
        found["EndpointName"]
        for found in bench.sagemaker.list_endpoints(NameContains="race-")["Endpoints"]
        if found["EndpointStatus"] != "Deleting"  # the rest goes by itself
    ]
    for name in left:
        bench.sagemaker.delete_endpoint(EndpointName=name)
    bench.platform.wait(
        lambda: not bench.sagemaker.list_endpoints(NameContains="race-")["Endpoints"], 60
    )
    assert processes_of(bench) == []
    assert set((bench.platform.data_dir / "run" / "r").glob("*.sock")) <= before
