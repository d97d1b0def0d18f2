"""Model quality by the SageMaker SDK: a baseline, answers that are captured, labels that come later, violations."""

import json
import subprocess

import numpy as np
import pytest
import xgboost as xgb

#: Reads validation.csv (price, prediction); leaves what it saw in facts.json.
STORY = """
import datetime, json, os, time
import boto3, numpy as np
try:
    from sagemaker import Session, get_execution_role
    from sagemaker.model_monitor import CronExpressionGenerator, EndpointInput, ModelQualityMonitor
    from sagemaker.model_monitor.dataset_format import DatasetFormat
except ImportError:  # 3.x has them elsewhere
    from sagemaker.core.helper.session_helper import Session, get_execution_role
    from sagemaker.core.model_monitor import CronExpressionGenerator, DatasetFormat, EndpointInput, ModelQualityMonitor

facts = {}
endpoint = os.environ["ENDPOINT"]
session = Session()
bucket = session.default_bucket()
s3, runtime, sagemaker = boto3.client("s3"), boto3.client("sagemaker-runtime"), boto3.client("sagemaker")
capture = sagemaker.describe_endpoint(EndpointName=endpoint)["DataCaptureConfig"]["DestinationS3Uri"]
prefix = capture.removeprefix(f"s3://{bucket}/") + f"/{endpoint}/"

# Answers to 300 requests, each under an id of its own; the world has changed: prices are up by half.
labels = []
for number, row in enumerate(np.random.default_rng(2).normal(0.0, 1.0, size=(300, 2))):
    body = ",".join(f"{value:.4f}" for value in row)
    runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=body, InferenceId=f"house-{number}")
    price = 1.5 * (10 + row[0] + 2 * row[1])
    labels.append({
        "groundTruthData": {"data": f"{price:.4f}", "encoding": "CSV"},
        "eventMetadata": {"eventId": f"house-{number}"}, "eventVersion": "0",
    })
for _ in range(1000):
    found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    if sum(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read().count(b"\\n") for one in found) >= 300:
        break
    time.sleep(0.5)
now = datetime.datetime.now(datetime.timezone.utc)
lines = "\\n".join(json.dumps(label) for label in labels)
s3.put_object(Bucket=bucket, Key=f"{endpoint}/labels/{now:%Y/%m/%d/%H/%M%S}.jsonl", Body=lines.encode())

monitor = ModelQualityMonitor(
    role=get_execution_role(), instance_count=1, instance_type="ml.m5.xlarge", volume_size_in_gb=20,
    max_runtime_in_seconds=1800, sagemaker_session=session,
)
monitor.suggest_baseline(
    baseline_dataset="validation.csv", dataset_format=DatasetFormat.csv(header=True), problem_type="Regression",
    inference_attribute="prediction", ground_truth_attribute="price",
    output_s3_uri=f"s3://{bucket}/{endpoint}/baseline", wait=True, logs=False,
)
facts["baseline"] = monitor.baseline_statistics().body_dict["regression_metrics"]
facts["constraints"] = monitor.suggested_constraints().body_dict["regression_constraints"]

name = f"{endpoint}-once"
monitor.create_monitoring_schedule(
    monitor_schedule_name=name, problem_type="Regression", enable_cloudwatch_metrics=True,
    endpoint_input=EndpointInput(
        endpoint_name=endpoint, destination="/opt/ml/processing/input_data", inference_attribute="0",
    ),
    ground_truth_input=f"s3://{bucket}/{endpoint}/labels", output_s3_uri=f"s3://{bucket}/{endpoint}/reports",
    constraints=monitor.suggested_constraints(), schedule_cron_expression=CronExpressionGenerator.now(),
    data_analysis_start_time="-PT2H", data_analysis_end_time="PT0H",
)
facts["schedule"] = [
    (one["MonitoringType"], one["EndpointName"])
    for one in sagemaker.list_monitoring_schedules(EndpointName=endpoint)["MonitoringScheduleSummaries"]
]
for _ in range(1000):
    found = sagemaker.list_monitoring_executions(MonitoringScheduleName=name)["MonitoringExecutionSummaries"]
    if found and found[0]["MonitoringExecutionStatus"] not in ("Pending", "InProgress"):
        break
    time.sleep(0.5)
facts["execution"] = [found[0]["MonitoringExecutionStatus"], found[0]["MonitoringType"], found[0].get("FailureReason", "")]
facts["jobs"] = sorted(
    one["ProcessingJobName"] for one in sagemaker.list_processing_jobs(MaxResults=100)["ProcessingJobSummaries"]
    if one["ProcessingJobName"].endswith(found[0].get("ProcessingJobArn", "-").rpartition("-")[2])
)
output = monitor.list_executions()[-1].output
facts["report"] = getattr(output, "destination", None) or output.s3_output.s3_uri
facts["violations"] = monitor.latest_monitoring_constraint_violations().body_dict["violations"]
facts["statistics"] = monitor.latest_monitoring_statistics().body_dict
merged = s3.list_objects_v2(Bucket=bucket, Prefix=f"{endpoint}/reports/merge/{endpoint}/AllTraffic/")["Contents"]
facts["merged"] = sum(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read().count(b"\\n") for one in merged)
points = boto3.client("cloudwatch").get_metric_statistics(
    Namespace="aws/sagemaker/Endpoints/model-metrics", MetricName="mae",
    Dimensions=[{"Name": "Endpoint", "Value": endpoint}, {"Name": "MonitoringSchedule", "Value": name}],
    StartTime=time.time() - 4 * 3600, EndTime=time.time() + 60, Period=3600, Statistics=["Average"],
)["Datapoints"]
facts["metric"] = [point["Average"] for point in points]
alerts, _ = monitor.list_monitoring_alerts()
facts["alert"] = [[one.alert_name, one.alert_status] for one in alerts]
monitor.update_monitoring_alert(alerts[0].alert_name, data_points_to_alert=2, evaluation_period=3)
history, _ = monitor.list_monitoring_alert_history()
facts["alert history"] = [one.alert_status for one in history]
monitor.delete_monitoring_schedule()
json.dump(facts, open("facts.json", "w"))
"""


@pytest.fixture(params=["sdk2", "sdk3"])
def houses(request, shared_platform, tmp_path):
    """An endpoint that captures everything, beside predictions on labelled data."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(3000, 2)).round(4)
    price = 10 + rows @ [1.0, 2.0]
    model = tmp_path / "prices.ubj"
    booster = xgb.train({"max_depth": 4}, xgb.DMatrix(rows, price), 80)
    booster.save_model(model)
    table = np.column_stack([price, booster.predict(xgb.DMatrix(rows))]).round(4)
    np.savetxt(
        tmp_path / "validation.csv", table, "%.4f", ",", header="price,prediction", comments=""
    )
    endpoint = f"houses-{request.param}"
    shared_platform.farero("deploy", str(model), "--name", endpoint, "--capture", "100")
    yield request.param, endpoint, tmp_path, table
    shared_platform.farero("rm", "--yes", endpoint)


@pytest.mark.journey
def test_model_quality_of_the_sdk_runs(shared_platform, houses, client_python):
    sdk, endpoint, folder, table = houses
    done = subprocess.run(
        [client_python(sdk), "-c", STORY],
        env=shared_platform.client_env | {"ENDPOINT": endpoint}, cwd=folder,
        capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads((folder / "facts.json").read_text())

    error = np.abs(table[:, 0] - table[:, 1]).mean()
    assert facts["baseline"]["mae"]["value"] == pytest.approx(error, rel=1e-6)
    assert facts["constraints"]["mae"]["comparison_operator"] == "GreaterThanThreshold"
    assert facts["schedule"] == [["ModelQuality", endpoint]]
    assert facts["execution"][:2] == ["CompletedWithViolations", "ModelQuality"], facts["execution"]
    merging, judging = facts["jobs"]
    assert merging.startswith("groundtruth-merge-")
    assert judging.startswith("model-quality-monitoring-")
    assert f"/{endpoint}/reports/{endpoint}/{endpoint}-once/" in facts["report"]
    assert facts["merged"] == 300
    assert facts["statistics"]["dataset"]["item_count"] == 300
    measured = facts["statistics"]["regression_metrics"]["mae"]["value"]
    assert 4.5 < measured < 5.5  # half of about ten
    assert facts["metric"] == [pytest.approx(measured)]
    assert any("mae" in str(one) for one in facts["violations"]), facts["violations"]
    assert facts["alert"] == [["default-alert", "InAlert"]]
    assert facts["alert history"] == ["OK", "InAlert"]
