"""New versions under load, good ones and ones that never live: no request fails, and the state at the end is not mixed.

T33 and T35 of the test plan; promise P5.
"""

import collections
import threading

import pytest
from tests.chaos.conftest import KILLS, NIGHTLY, BotoCaller, moments

pytestmark = pytest.mark.chaos

DIES = b"""
import os
def model_fn(model_dir):
    print("here I go", flush=True)
    os._exit(3)
"""
OLD = b"""
def model_fn(model_dir): return "old"
def input_fn(data, content_type): return data
def predict_fn(data, model): return model
def output_fn(prediction, accept): return prediction, "text/csv"
"""
HANGS = b"""
import time
def model_fn(model_dir): time.sleep(600)
"""


def answering(line):
    """Return the new model: what its predict_fn does, then its answer."""
    return OLD.replace(b'"old"', b'"new"').replace(b"return model\n", line + b"; return model\n")


NEW = {
    "good": answering(b"pass"),
    "answers 500": answering(b"raise ValueError('no')"),
    "slow": answering(b"import time; time.sleep(0.05)"),
    "dies when asked": answering(b"import os; os._exit(3)"),
}
#: What of the failures is the new model's own doing.
MODEL_SAYS = {"good": (), "answers 500": ("424",), "slow": (), "dies when asked": ("424", "503")}
#: There and back; the long form does it at twenty moments.
UPDATES = KILLS if NIGHTLY else 2


def test_a_model_that_dies_at_each_start_fails_the_endpoint_after_five_with_pauses(shared_bench):
    bench = shared_bench
    config = bench.config("dies", bench.model("dies", {"code/inference.py": DIES}))

    bench.sagemaker.create_endpoint(EndpointName="dies", EndpointConfigName=config)
    bench.wait_status("dies", "Failed", 60)

    found = bench.sagemaker.describe_endpoint(EndpointName="dies")
    seconds = (found["LastModifiedTime"] - found["CreationTime"]).total_seconds()
    assert "exited with code 3" in found["FailureReason"]
    assert "5 times within" in found["FailureReason"]
    assert seconds > 0.5 + 1 + 2 + 4
    bench.platform.wait(lambda: len(bench.log("dies", "here I go")) >= 5)
    assert len(bench.log("dies", "here I go")) == 5
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


@pytest.mark.parametrize("kind", ["good", "answers 500", "slow", "dies when asked"])
def test_t35_updates_at_random_moments_fail_no_request_that_the_new_model_answers(
    shared_bench, chance, kind
):
    bench, name = shared_bench, f"to-{kind.replace(' ', '-')}"
    bench.deploy(name, files={"code/inference.py": OLD})
    bench.config(f"{name}-2", bench.model(f"{name}-2", {"code/inference.py": NEW[kind]}))
    configs = [f"{name}-2", name]

    with bench.load(name, connections=4, rate=60) as load:
        for number in moments(chance, UPDATES):
            bench.sagemaker.update_endpoint(
                EndpointName=name, EndpointConfigName=configs[number % 2]
            )
            bench.wait_status(name, "InService", 60)
            reached = len(load.sent)
            bench.platform.wait(lambda reached=reached: len(load.sent) > reached + 10, 60)
        if bench.sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"] != name:
            bench.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=name)
            bench.wait_status(name, "InService", 60)
        bench.platform.wait(lambda: len(bench.pids("replica", name)) == 1, 30)

    # What the new model says is an answer, good or not; nothing else may go wrong.
    assert [failure for failure in load.failed if failure.kind not in MODEL_SAYS[kind]] == []
    assert {answer for _, answer, _ in load.answered} <= {b"old", b"new"}
    with bench.load(name, total=10) as after:
        pass
    assert [answer for _, answer, _ in after.answered] == [b"old"] * 10
    bench.remove([name])


def test_t35_an_update_whose_parts_are_killed_at_each_step_ends_old_or_new(shared_bench, chance):
    bench, name = shared_bench, "stepwise"
    bench.deploy(name, 2, files={"code/inference.py": OLD})
    bench.config(f"{name}-2", bench.model(f"{name}-2", {"code/inference.py": NEW["good"]}), count=2)
    configs = [f"{name}-2", name]

    with bench.load(name, connections=4, rate=60, caller=BotoCaller) as load:
        for number in range(2 * UPDATES):
            bench.sagemaker.update_endpoint(
                EndpointName=name, EndpointConfigName=configs[number % 2]
            )
            for part in chance.sample(["worker", "gateway", "replica"], 2):
                threading.Event().wait(chance.uniform(0.0, 0.5))  # the step is what is tested
                bench.kill(part, name, chance=chance)
            bench.wait_status(name, "InService", 90)
        bench.platform.wait(lambda: len(bench.ready(name)) == 2, 60)
        load.wait_for_more(20)
        found = bench.sagemaker.describe_endpoint(EndpointName=name)

    said = {configs[0]: b"new", configs[1]: b"old"}[found["EndpointConfigName"]]
    assert load.faults == []
    assert {answer for _, answer, _ in load.answered} <= {b"old", b"new"}
    with bench.load(name, total=20) as after:
        pass
    assert {answer for _, answer, _ in after.answered} == {said}
    bench.remove([name])


def test_t35_a_new_version_that_never_gets_healthy_leaves_the_old_one_all_requests(shared_bench):
    bench, name = shared_bench, "never"
    bench.deploy(name, files={"code/inference.py": OLD})
    hangs = bench.model("never-2", {"code/inference.py": HANGS})
    bench.config("never-2", hangs, startup_s=60)

    with bench.load(name, connections=2, rate=30) as load:
        bench.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName="never-2")
        bench.platform.wait(lambda: len(bench.pids("replica", name)) == 2, 30)
        load.wait_for_more(50)
        if NIGHTLY:
            bench.wait_status(name, "InService", 120)
            found = bench.sagemaker.describe_endpoint(EndpointName=name)
            assert (found["EndpointConfigName"], "E-PING-TIMEOUT" in found["FailureReason"]) == (
                name, True,
            )  # fmt: skip

    assert load.faults == []
    assert {answer for _, answer, _ in load.answered} == {b"old"}
    bench.remove([name])


def watched(name, kind, **sizes):
    """Return a DeploymentConfig that goes over in steps and back as soon as the alarm NAME says so."""
    rollback = {"Alarms": [{"AlarmName": name}]}
    if kind == "ROLLING":
        rolling = {"WaitIntervalInSeconds": 1, **sizes}
        return {"RollingUpdatePolicy": rolling, "AutoRollbackConfiguration": rollback}
    routing = {"Type": kind, "WaitIntervalInSeconds": 1, **sizes}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": 600 if kind == "ALL_AT_ONCE" else 1,
        },
        "AutoRollbackConfiguration": rollback,
    }


def share_of(bench, name):
    """Return what describing an endpoint says that a new version has of the requests; None if nothing."""
    found = bench.sagemaker.describe_endpoint(EndpointName=name)
    pending = found.get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
    said = [status.get("StatusMessage") for one in pending for status in one["VariantStatus"]]
    return next(iter(said), None)


def watch(bench, name, config):
    """Put an alarm on what the fleet of a config answers with an error."""
    names = {"EndpointName": name, "VariantName": "AllTraffic", "EndpointConfigName": config}
    cloudwatch = bench.platform.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=name, Namespace="AWS/SageMaker", MetricName="InvocationModelErrors",
        Dimensions=[{"Name": key, "Value": value} for key, value in names.items()],
        Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=0,
        ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip
    return cloudwatch


@pytest.mark.parametrize("kind", ["ALL_AT_ONCE", "CANARY"])
def test_t35_a_version_that_answers_500_is_taken_back_when_its_alarm_rings(shared_bench, kind):
    bench, name = shared_bench, f"rings-{kind.lower().replace('_', '-')}"
    bench.deploy(name, files={"code/inference.py": OLD})
    bad = bench.config(
        f"{name}-2", bench.model(f"{name}-2", {"code/inference.py": NEW["answers 500"]})
    )
    cloudwatch = watch(bench, name, bad)
    size = {"Type": "CAPACITY_PERCENT", "Value": 20}
    deployment = watched(name, kind, **({"CanarySize": size} if kind == "CANARY" else {}))
    deployment["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"] = (
        600
    )

    with bench.load(name, connections=4, rate=60) as load:
        bench.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=bad, DeploymentConfig=deployment
        )
        if kind == "ALL_AT_ONCE":  # of the other one the metric itself is waited for
            bench.platform.wait(lambda: load.failed)
            cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="seen")
        bench.wait_status(name, "InService", 120)
        failed = len(load.failed)
        load.wait_for_more(100)

    found = bench.sagemaker.describe_endpoint(EndpointName=name)
    assert found["EndpointConfigName"] == name
    assert f'Alarm "{name}" was in ALARM' in found["FailureReason"]
    assert found["LastDeploymentConfig"] == deployment
    assert {failure.kind for failure in load.failed} == {"424"}
    assert len(load.failed) == failed, "the old fleet has all requests again"
    assert {answer for _, answer, _ in load.answered} == {b"old"}
    bench.platform.wait(lambda: len(bench.pids("replica", name)) == 1)
    # While the alarm still rings, the same is refused before it begins.
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="still")
    with pytest.raises(bench.sagemaker.exceptions.ClientError, match="in ALARM already"):
        bench.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=bad, RetainDeploymentConfig=True
        )
    cloudwatch.delete_alarms(AlarmNames=[name])
    bench.remove([name])


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("LINEAR", {"LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 25}}),
        ("ROLLING", {"MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1}}),
    ],
)
def test_t35_an_update_in_steps_whose_parts_are_killed_on_the_way_fails_no_request(
    shared_bench, chance, kind, step
):
    bench, name = shared_bench, f"in-steps-{kind.lower()}"
    bench.deploy(name, 2, files={"code/inference.py": OLD})
    better = bench.config(
        f"{name}-2", bench.model(f"{name}-2", {"code/inference.py": NEW["good"]}), count=2
    )
    watch(bench, name, better)
    shares = set()

    def arrived():
        shares.add(share_of(bench, name))
        return bench.status(name) == "InService"

    with bench.load(name, connections=4, rate=60, caller=BotoCaller) as load:
        bench.sagemaker.update_endpoint(
            EndpointName=name,
            EndpointConfigName=better,
            DeploymentConfig=watched(name, kind, **step),
        )
        for part in ("worker", "gateway", "replica", "worker"):
            threading.Event().wait(chance.uniform(0.2, 1.0))  # the step is what is tested
            arrived()
            bench.kill(part, name, chance=chance)
        bench.platform.wait(arrived, 90)
        load.wait_for_more(20)
        bench.platform.wait(lambda: len(bench.pids("replica", name)) == 2, 60)
        load.wait_for_more(20)

    assert load.faults == []
    assert {answer for _, answer, _ in load.answered} == {b"old", b"new"}
    assert [answer for _, answer, _ in load.answered[-10:]] == [b"new"] * 10
    assert shares & {"25% of the requests", "50% of the requests", "75% of the requests"}
    assert bench.sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"] == better
    bench.platform.client("cloudwatch").delete_alarms(AlarmNames=[name])
    bench.remove([name])


def test_t35_a_rolling_update_takes_one_batch_more_than_a_fleet_there_and_back(shared_bench):
    bench, name = shared_bench, "rolls"
    bench.deploy(name, 4, files={"code/inference.py": OLD})
    better = bench.config(
        f"{name}-2", bench.model(f"{name}-2", {"code/inference.py": NEW["good"]}), count=4
    )
    cloudwatch = watch(bench, name, better)
    batch = {"Type": "CAPACITY_PERCENT", "Value": 25}
    deployment = watched(name, "ROLLING", MaximumBatchSize=batch, RollbackMaximumBatchSize=batch)
    shares, there, back = set(), set(), set()

    def until(state, running):
        running.add(len(bench.pids("replica", name)))
        shares.add(share := share_of(bench, name))
        return state in {share, bench.status(name)}

    def update():
        bench.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=better, DeploymentConfig=deployment
        )

    with bench.load(name, connections=4, rate=60, caller=BotoCaller) as load:
        update()
        bench.platform.wait(lambda: until("75% of the requests", there), 60)
        few = bench.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="seen")
        bench.platform.wait(lambda: until("InService", back), 60)
        found = bench.sagemaker.describe_endpoint(EndpointName=name)
        load.wait_for_more(20)
        undone = [answer for _, answer, _ in load.answered[-10:]]
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="over")
        update()
        bench.platform.wait(lambda: until("InService", there), 60)
        load.wait_for_more(20)
        bench.platform.wait(lambda: len(bench.pids("replica", name)) == 4)

    assert load.faults == []
    assert few[0]["CurrentInstanceCount"] in {1, 2}
    assert found["EndpointConfigName"] == name
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 4
    assert f'Alarm "{name}" was in ALARM' in found["FailureReason"]
    assert undone == [b"old"] * 10
    assert [answer for _, answer, _ in load.answered[-10:]] == [b"new"] * 10
    assert {"25% of the requests", "50% of the requests", "75% of the requests"} <= set(shares)
    assert there <= {3, 4, 5}, "a batch starts once the one before it has ended"
    assert max(back) <= 6, "on the way back nobody waits for that"
    bench.platform.client("cloudwatch").delete_alarms(AlarmNames=[name])
    bench.remove([name])
