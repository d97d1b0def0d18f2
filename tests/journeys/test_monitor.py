"""Model Monitor by the SageMaker SDK, as the courses write it: baseline, schedule, executions, violations."""

import json
import subprocess

import numpy as np
import pytest
import xgboost as xgb

#: Reads train.csv, leaves what it saw in facts.json.
STORY = """
import json, os, time
import boto3, numpy as np
try:
    from sagemaker import Session, get_execution_role
    from sagemaker.model_monitor import CronExpressionGenerator, DefaultModelMonitor
    from sagemaker.model_monitor.dataset_format import DatasetFormat
except ImportError:  # 3.x has them elsewhere
    from sagemaker.core.helper.session_helper import Session, get_execution_role
    from sagemaker.core.model_monitor import CronExpressionGenerator, DatasetFormat, DefaultModelMonitor

facts = {}
endpoint = os.environ["ENDPOINT"]
session = Session()
bucket = session.default_bucket()
runtime = boto3.client("sagemaker-runtime")
for row in np.random.default_rng(2).normal([2.0, 0.0, 0.0], 1.0, size=(300, 3)):
    body = ",".join(f"{value:.4f}" for value in row)
    runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=body)
s3 = boto3.client("s3")
capture = boto3.client("sagemaker").describe_endpoint(EndpointName=endpoint)["DataCaptureConfig"]["DestinationS3Uri"]
prefix = capture.removeprefix(f"s3://{bucket}/") + f"/{endpoint}/"
for _ in range(1000):
    found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    if sum(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read().count(b"\\n") for one in found) >= 300:
        break
    time.sleep(0.5)

monitor = DefaultModelMonitor(
    role=get_execution_role(), instance_count=1, instance_type="ml.m5.xlarge", volume_size_in_gb=20,
    max_runtime_in_seconds=3600,
)
monitor.suggest_baseline(
    baseline_dataset="train.csv", dataset_format=DatasetFormat.csv(header=True),
    output_s3_uri=f"s3://{bucket}/monitor/baseline", wait=True, logs=False,
)
facts["baseline"] = [f["name"] for f in monitor.baseline_statistics().body_dict["features"]]
facts["types"] = [f["inferred_type"] for f in monitor.suggested_constraints().body_dict["features"]]
while time.gmtime().tm_min == 59:  # its first run is due with the next hour
    time.sleep(0.5)
monitor.create_monitoring_schedule(
    monitor_schedule_name="hourly", endpoint_input=endpoint, output_s3_uri=f"s3://{bucket}/monitor/reports",
    statistics=monitor.baseline_statistics(), constraints=monitor.suggested_constraints(),
    schedule_cron_expression=CronExpressionGenerator.hourly(), enable_cloudwatch_metrics=True,
)
facts["schedule"] = monitor.describe_schedule()["MonitoringScheduleStatus"]
facts["executions of an hour to come"] = len(monitor.list_executions())
facts["monitors"] = [one["MonitoringScheduleName"] for one in boto3.client("sagemaker").list_monitoring_schedules(EndpointName=endpoint)["MonitoringScheduleSummaries"]]
monitor.delete_monitoring_schedule()

once = DefaultModelMonitor(role=get_execution_role(), instance_count=1, instance_type="ml.m5.xlarge")
once.create_monitoring_schedule(
    monitor_schedule_name="once", endpoint_input=endpoint, enable_cloudwatch_metrics=True, output_s3_uri=f"s3://{bucket}/monitor/reports",
    statistics=monitor.baseline_statistics(), constraints=monitor.suggested_constraints(),
    schedule_cron_expression=CronExpressionGenerator.now(),
    data_analysis_start_time="-PT2H", data_analysis_end_time="PT0H",
)
for _ in range(1000):
    executions = once.list_executions()
    if executions and boto3.client("sagemaker").list_monitoring_executions(MonitoringScheduleName="once")["MonitoringExecutionSummaries"][0]["MonitoringExecutionStatus"] not in ("Pending", "InProgress"):
        break
    time.sleep(0.5)
summary = boto3.client("sagemaker").list_monitoring_executions(MonitoringScheduleName="once")["MonitoringExecutionSummaries"][0]
facts["execution"] = [summary["MonitoringExecutionStatus"], summary.get("FailureReason", "")]
output = executions[-1].output
facts["report"] = getattr(output, "destination", None) or output.s3_output.s3_uri
violations = once.latest_monitoring_constraint_violations()
facts["violations"] = violations.body_dict["violations"]
cloudwatch = boto3.client("cloudwatch")
dimensions = [{"Name": "Endpoint", "Value": endpoint}, {"Name": "MonitoringSchedule", "Value": "once"}]
facts["metrics"] = {}
for slash in ("", "/"):
    for name in ("feature_baseline_drift_rooms", "feature_non_null_rooms", "feature_data_rooms"):
        points = cloudwatch.get_metric_statistics(
            Namespace=slash + "aws/sagemaker/Endpoints/data-metrics", MetricName=name, Dimensions=dimensions,
            StartTime=time.time() - 4 * 3600, EndTime=time.time() + 60, Period=3600, Statistics=["Average", "SampleCount"],
        )["Datapoints"]
        facts["metrics"][slash + name] = [[p["Average"], p["SampleCount"]] for p in points]
facts["statistics"] = once.latest_monitoring_statistics().body_dict["dataset"]["item_count"]
once.delete_monitoring_schedule()
json.dump(facts, open("facts.json", "w"))
"""


@pytest.fixture(params=["sdk2", "sdk3"])
def monitored(request, shared_platform, tmp_path):
    """An endpoint that captures everything, beside its training data; named after the SDK that watches it."""
    rows = np.random.default_rng(1).normal(size=(3000, 3)).round(4)
    target = rows @ [1.0, 2.0, -1.0]
    table = np.column_stack([target, rows])
    np.savetxt(
        tmp_path / "train.csv", table, "%.4f", ",", header="price,rooms,size,age", comments=""
    )
    model = tmp_path / "prices.ubj"
    xgb.train({"max_depth": 4}, xgb.DMatrix(rows, target), 60).save_model(model)
    shared_platform.farero("deploy", str(model), "--name", request.param, "--capture", "100")
    yield request.param, tmp_path
    shared_platform.farero("rm", "--yes", request.param)


@pytest.mark.journey
def test_the_monitors_code_of_the_courses_runs(shared_platform, monitored, client_python):
    sdk, folder = monitored
    done = subprocess.run(
        [client_python(sdk), "-c", STORY], env=shared_platform.client_env | {"ENDPOINT": sdk}, cwd=folder,
        capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads((folder / "facts.json").read_text())
    assert facts["baseline"] == ["price", "rooms", "size", "age"]
    assert facts["types"] == ["Fractional"] * 4
    assert facts["schedule"] == "Scheduled"
    assert facts["executions of an hour to come"] == 0
    assert facts["monitors"] == ["hourly"]
    assert facts["execution"][0] == "CompletedWithViolations", facts["execution"]
    # what was read is not read again by the next run over the same objects
    assert list((shared_platform.data_dir / "cache" / "profiles").glob("*.profile"))
    assert f"/monitor/reports/{sdk}/once/" in facts["report"]
    assert facts["statistics"] == 300
    for slash in ("", "/"):
        ((drift, _),) = facts["metrics"][f"{slash}feature_baseline_drift_rooms"]
        assert 0.5 < drift < 0.8
        assert facts["metrics"][f"{slash}feature_non_null_rooms"] == [[1.0, 1.0]]
        ((mean, count),) = facts["metrics"][f"{slash}feature_data_rooms"]
        assert (round(mean), count) == (2, 300.0)
    drifted = {(one["feature_name"], one["constraint_check_type"]) for one in facts["violations"]}
    assert ("rooms", "baseline_drift_check") in drifted
    assert ("size", "baseline_drift_check") not in drifted
