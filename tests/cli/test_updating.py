"""`farero deploy --canary --bake --rollback-on`: what it asks of AWS's calls, and what a person sees of it."""

import json
import threading

import numpy as np
import pytest
import xgboost as xgb

from farero.base.errors import Invalid
from farero.cli import updating

FAILS = """
def model_fn(model_dir): return None
def transform_fn(model, body, content_type, accept): raise ValueError("no")
"""


def test_nothing_asked_is_nothing_told():
    assert updating.read("", "", "") is None


def test_a_canary_is_watched_as_long_as_what_follows():
    rollout = updating.read("10%", "2m", "errors>1%, p99 >= 200ms, mine")

    assert (rollout.canary, rollout.bake_s, rollout.waits_s) == (10, 120, 240)
    assert rollout.alarms == ("mine",)
    assert rollout.deployment(["mine", "price-errors-rollback"]) == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
                "WaitIntervalInSeconds": 120,
            },
            "TerminationWaitInSeconds": 120,
        },
        "AutoRollbackConfiguration": {
            "Alarms": [{"AlarmName": "mine"}, {"AlarmName": "price-errors-rollback"}]
        },
    }
    errors, p99 = rollout.metric_alarms("price", "price-2")
    assert {one["Name"]: one["Value"] for one in errors["Dimensions"]} == {
        "EndpointName": "price", "VariantName": "AllTraffic", "EndpointConfigName": "price-2",
    }  # fmt: skip
    assert (errors["AlarmName"], errors["Statistic"], errors["Threshold"]) == (
        "price-errors-rollback", "Average", 0.01,
    )  # fmt: skip
    assert (p99["ExtendedStatistic"], p99["Threshold"], p99["ComparisonOperator"]) == (
        "p99", 200_000, "GreaterThanOrEqualToThreshold",
    )  # fmt: skip


def test_without_a_canary_everything_goes_over_and_is_watched():
    rollout = updating.read("", "0s", "")

    assert rollout.deployment([]) == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": 0,
        }
    }
    assert updating.read("50", "", "").bake_s == updating.BAKE_S


def test_batches_are_watched_one_by_one():
    rollout = updating.read("", "1m", "mine", "40%")

    assert (rollout.rolling, rollout.waits_s) == (40, 180)
    assert rollout.deployment(["mine"]) == {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 40},
            "WaitIntervalInSeconds": 60,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "mine"}]},
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("0%", "", ""), "'0%' is no canary; write 1% to 50%"),
        (("51%", "", ""), "'51%' is no canary"),
        (("some", "", ""), "'some' is no canary"),
        (("", "", "", "4%"), "'4%' is no batch; write 5% to 50%"),
        (("10%", "", "", "25%"), "give --canary or --rolling"),
        (("", "2h", ""), "'2h' is no time to watch"),
        (("", "5", ""), "'5' is no time to watch"),
        (("", "", "p99>200"), "'200' has no unit"),
        (("", "", "cpu>80%"), "'cpu' is not measured for each version"),
        (("", "", "AWS/SageMaker/Invocations>1"), "is not measured for each version"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_may_be_written(options, words):
    with pytest.raises(Invalid) as caught:
        updating.read(*options)

    assert words in str(caught.value)


@pytest.fixture
def version(tmp_path):
    """A function that makes a model file which answers a number."""

    def make(number):
        rows = np.zeros((20, 2), dtype=np.float32)
        data = xgb.DMatrix(rows, np.full(20, number, dtype=np.float32))
        path = tmp_path / f"version-{number}.ubj"
        xgb.train({"max_depth": 1, "base_score": number}, data, 1).save_model(path)
        return str(path)

    return make


def test_a_canary_by_one_command_and_its_way_back(shared_platform, tmp_path, version):
    def deploy(model, *options, check=True):
        return shared_platform.farero("deploy", model, "--name", "canary", *options, check=check)

    def answer():
        return round(float(shared_platform.farero("invoke", "canary", "-d", "1,2").stdout))

    first = deploy(version(1), "--canary", "10%", check=False)
    assert (first.returncode, "there is no endpoint canary" in first.stderr) == (2, True)
    deploy(version(1))
    deploy(version(2), "--update", "--canary", "20%", "--bake", "1s")
    assert answer() == 2
    told = json.loads(shared_platform.farero("--json", "show", "canary").stdout)
    size = told["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert size["CanarySize"] == {"Type": "CAPACITY_PERCENT", "Value": 20}

    sagemaker, cloudwatch = (
        shared_platform.client("sagemaker"),
        shared_platform.client("cloudwatch"),
    )

    shown = []

    def ring():
        def has_requests():
            said = sagemaker.describe_endpoint(EndpointName="canary")
            pending = said.get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
            return any(
                status["Status"] == "Baking" for one in pending for status in one["VariantStatus"]
            )

        shared_platform.wait(has_requests)
        shown.append(shared_platform.farero("show", "canary").stdout)
        cloudwatch.set_alarm_state(
            AlarmName="canary-errors-rollback", StateValue="ALARM", StateReason="seen"
        )

    (tmp_path / "fails.py").write_text(FAILS, encoding="utf-8")
    ringing = threading.Thread(target=ring)
    ringing.start()
    bad = deploy(
        version(3), "--code", str(tmp_path / "fails.py"),
        "--update", "--bake", "10m", "--rollback-on", "errors>1%", check=False,
    )  # fmt: skip
    ringing.join()
    assert ", 100% of the requests" in shown[0], shown

    assert bad.returncode == 1
    assert bad.stderr.startswith('E-DEPLOY  Alarm "canary-errors-rollback" was in ALARM'), (
        bad.stderr
    )
    assert answer() == 2
    [alarm] = cloudwatch.describe_alarms(AlarmNames=["canary-errors-rollback"])["MetricAlarms"]
    config = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}["EndpointConfigName"]
    assert config.startswith("canary-")
    # It does not speak against the next version.
    deploy(version(4), "--update", "--rolling", "50%", "--bake", "0s", "--rollback-on", "errors>1%")
    assert answer() == 4
    cloudwatch.delete_alarms(AlarmNames=["canary-errors-rollback"])
    shared_platform.farero("rm", "canary", "--yes")
