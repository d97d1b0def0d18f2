"""New versions under load, good ones and ones that never live: no request fails, and the state at the end is not mixed.

T33 and T35 of the test plan; promise P5.
"""

import collections
import threading

import pytest

pytestmark = pytest.mark.chaos

DIES = b"""
import os
def model_fn(model_dir):
    os._exit(3)
"""
OLD = b"""
def model_fn(model_dir): return "old"
def input_fn(data, content_type): return data
def predict_fn(data, model): return model
def output_fn(prediction, accept): return prediction, "text/csv"
"""


class Watch:
    """Notes every pid that an endpoint's replicas ever have."""

    def __init__(self, bench, endpoint):
        self.pids = set()
        self._bench, self._endpoint, self._stop = bench, endpoint, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(0.01):
            self.pids |= set(self._bench.pids("replica", self._endpoint))


def test_a_model_that_dies_at_each_start_fails_the_endpoint_after_five_with_pauses(shared_bench):
    bench = shared_bench
    config = bench.config("dies", bench.model("dies", {"code/inference.py": DIES}))

    with Watch(bench, "dies") as watch:
        bench.sagemaker.create_endpoint(EndpointName="dies", EndpointConfigName=config)
        bench.wait_status("dies", "Failed", 60)

    found = bench.sagemaker.describe_endpoint(EndpointName="dies")
    seconds = (found["LastModifiedTime"] - found["CreationTime"]).total_seconds()
    assert "exited with code 3" in found["FailureReason"]
    assert "5 times within" in found["FailureReason"]
    assert seconds > 0.5 + 1 + 2 + 4
    assert len(watch.pids) == 5
    bench.sagemaker.delete_endpoint(EndpointName="dies")


def test_an_update_to_a_model_that_dies_leaves_the_old_one_alone(shared_bench):
    bench, name = shared_bench, "kept"
    bench.deploy(name)
    bad = bench.config("kept-bad", bench.model("kept-bad", {"code/inference.py": DIES}))
    before = bench.pids("replica", name)

    with bench.load(name, connections=4, rate=40) as load:
        load.wait_for_more(20)
        bench.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=bad)
        assert bench.status(name) == "Updating"
        bench.wait_status(name, "InService", 60)
        load.wait_for_more(20)

    found = bench.sagemaker.describe_endpoint(EndpointName=name)
    assert load.faults == []
    assert found["EndpointConfigName"] == name
    assert "exited with code 3" in found["FailureReason"]
    bench.platform.wait(lambda: bench.pids("replica", name) == before)
    bench.check_answers(load)
    bench.check_capture(name, load)


def test_an_update_under_load_fails_nothing_and_never_goes_back(shared_bench):
    bench, name = shared_bench, "newer"
    bench.deploy(name, files={"code/inference.py": OLD})
    better = bench.config(
        "newer-2", bench.model("newer-2", {"code/inference.py": OLD.replace(b'"old"', b'"new"')})
    )

    with bench.load(name, connections=1, rate=100) as load:
        load.wait_for_more(20)
        bench.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=better)
        bench.wait_status(name, "InService")
        load.wait_for_more(50)
        bench.platform.wait(lambda: len(bench.pids("replica", name)) == 1)
        load.wait_for_more(50)

    answers = [answer for _, answer, _ in load.answered]
    seen = collections.Counter(answers)
    assert load.faults == []
    assert set(seen) == {b"old", b"new"}
    assert answers == [b"old"] * seen[b"old"] + [b"new"] * seen[b"new"]
    assert seen[b"new"] >= 100
    bench.check_capture(name, load)
