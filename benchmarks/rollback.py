"""How soon requests are the old fleet's again: from an alarm's change to the last answer of the new one.

python benchmarks/rollback.py [ROUNDS]     (10)

A real platform updates an endpoint to a model that answers every request with an error, all at once, with an alarm that
takes the update back. Two callers send requests without a pause. `SetAlarmState` is called while the new fleet has
every request; the time runs from before that call to the end of the last answer with an error. SageMaker's limit is not
documented; ours is one second.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import fresh
from benchmarks.fresh import BUCKET, ROLE
from benchmarks.serving import ours, places
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

ALARM = ENDPOINT = "answers"
CALLERS = 2
#: An update has failed if nothing happens for so long.
WITHIN_S = 60.0
#: Requests that must be good one after the other until nothing more is expected of the new fleet.
GOOD_IN_A_ROW = 200
LIMIT_S = 1.0
SCRIPT = """
def model_fn(model_dir): return None
def input_fn(data, content_type): return data
def predict_fn(data, model): {line}
def output_fn(prediction, accept): return prediction, "text/csv"
"""
DEPLOYMENT: Mapping[str, Any] = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
        "TerminationWaitInSeconds": 3600,
    },
    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": ALARM}]},
}


def main() -> int:
    """Measure and print one line; 1 if a round took longer than the limit."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    places.CACHE.mkdir(parents=True, exist_ok=True)
    with ours.platform() as platform:
        bench = Bench(platform.site)
        found = [bench.take_back() for _ in range(rounds)]
    print(
        f"from the alarm to the last error, {rounds} rounds: median {statistics.median(found):.2f} s, "
        f"{min(found):.2f} to {max(found):.2f} s; limit {LIMIT_S:.1f} s"
    )
    return int(max(found) > LIMIT_S)


class Bench:
    """An endpoint with a good model, and a config of a bad one."""

    def __init__(self, site: fresh.Site) -> None:
        self._sagemaker, self._cloudwatch = site.client("sagemaker"), site.client("cloudwatch")
        self._runtimes = [
            site.client("sagemaker-runtime", retries={"total_max_attempts": 1})
            for _ in range(CALLERS)
        ]
        s3 = site.client("s3")
        for name, line in (("good", "return data"), ("bad", "raise ValueError('no')")):
            files = {"code/inference.py": SCRIPT.format(line=line).encode()}
            s3.put_object(Bucket=BUCKET, Key=f"{name}.tar.gz", Body=fresh.archive(files))
            container = {
                "Image": ours.IMAGES["xgboost"],
                "ModelDataUrl": f"s3://{BUCKET}/{name}.tar.gz",
            }
            self._sagemaker.create_model(
                ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container
            )
            variant = {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": 1}
            self._sagemaker.create_endpoint_config(
                EndpointConfigName=name,
                ProductionVariants=[{**variant, "InstanceType": "ml.m5.large"}],
            )
        # It is told its state; nobody sends what it watches.
        self._cloudwatch.put_metric_alarm(
            AlarmName=ALARM, Namespace="bench", MetricName="nothing", Statistic="Sum", Period=3600,
            EvaluationPeriods=1, Threshold=0, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
        self._sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName="good")
        self._wait()

    def take_back(self) -> float:
        """Update, let the alarm ring, and return the seconds until the last error."""
        self._sagemaker.update_endpoint(
            EndpointName=ENDPOINT, EndpointConfigName="bad", DeploymentConfig=DEPLOYMENT
        )
        deadline = time.monotonic() + WITHIN_S
        while self._is_good(0):
            if time.monotonic() > deadline:
                raise TimeoutError("the new fleet got no request")
        ended = [0.0] * CALLERS
        threads = [
            threading.Thread(target=self._ask, args=(number, ended)) for number in range(CALLERS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        rang = time.monotonic()
        self._cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="ALARM", StateReason="bench")
        for thread in threads:
            thread.join()
        self._cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="OK", StateReason="bench")
        self._wait()
        return max(ended) - rang

    def _ask(self, number: int, ended: list[float]) -> None:
        """Ask until all is well again; note when the last error had come."""
        deadline, good = time.monotonic() + WITHIN_S, 0
        while good < GOOD_IN_A_ROW and time.monotonic() < deadline:
            if self._is_good(number):
                good += 1
            else:
                good, ended[number] = 0, time.monotonic()

    def _is_good(self, number: int) -> bool:
        try:
            self._runtimes[number].invoke_endpoint(
                EndpointName=ENDPOINT, ContentType="text/csv", Body=b"1,2"
            )["Body"].read()
        except ClientError:
            return False
        return True

    def _wait(self) -> None:
        deadline = time.monotonic() + WITHIN_S
        while self._sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"] not in (
            "InService", "Failed",
        ):  # fmt: skip
            if time.monotonic() > deadline:
                raise TimeoutError("the endpoint is not in service")
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
