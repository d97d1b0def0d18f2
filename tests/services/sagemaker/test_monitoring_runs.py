"""Monitoring runs with real processes: a batch transform's output, and bias with labels merged in."""

import datetime as dt
import json

import numpy as np
import pytest

NOW = {
    "ScheduleExpression": "NOW", "DataAnalysisStartTime": "-PT2H", "DataAnalysisEndTime": "-PT0H",
}  # fmt: skip


@pytest.fixture
def judged(supervisor, desk, wait_for):
    """A function: run a definition once over the last two hours; return its execution."""
    cloud, wake = desk.cloud, desk.cloud.worker.wake_socket()

    def look():
        wake.wait(0.05)
        cloud.run()
        found = desk.client.list_monitoring_executions(MonitoringScheduleName="s")
        (one,) = found["MonitoringExecutionSummaries"] or [{"MonitoringExecutionStatus": "Pending"}]
        return None if one["MonitoringExecutionStatus"] in {"Pending", "InProgress"} else one

    def run(kind):
        desk.schedule(kind=kind, ScheduleConfig=NOW)
        return wait_for(look, 90)

    yield run
    wake.close()


def report(desk, execution, name):
    job = desk.client.describe_processing_job(
        ProcessingJobName=execution["ProcessingJobArn"].rpartition("/")[2]
    )
    uri = job["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    key = f"{uri.removeprefix(f's3://{desk.bucket}/')}/{name}"
    return json.loads(desk.s3.get_object(Bucket=desk.bucket, Key=key)["Body"].read())


def put(desk, key, text):
    desk.s3.put_object(Bucket=desk.bucket, Key=key, Body=text.encode())


def an_hour_ago():
    return dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)


def test_a_batch_transforms_output_is_judged_without_an_endpoint(judged, desk):
    rng = np.random.default_rng(1)
    table = "".join(f"{value:.3f},\n" for value in rng.normal(0, 1, 500))
    put(desk, f"batches/{an_hour_ago():%Y/%m/%d/%H}/a.csv.out", table)
    features = [
        {
            "name": name, "inferred_type": "Fractional", "completeness": 1.0,
            "num_constraints": {"is_non_negative": False},
        }
        for name in ("_c0", "_c1")
    ]  # fmt: skip
    monitoring = {"evaluate_constraints": "Enabled", "emit_metrics": "Enabled"}
    constraints = {"version": 0.0, "features": features, "monitoring_config": monitoring}
    put(desk, "constraints.json", json.dumps(constraints))
    desk.define(
        DataQualityJobInput={
            "BatchTransformInput": {
                "DataCapturedDestinationS3Uri": f"s3://{desk.bucket}/batches",
                "DatasetFormat": {"Csv": {"Header": False}},
                "LocalPath": "/opt/ml/processing/input/batch",
            }
        },
        DataQualityBaselineConfig={
            "ConstraintsResource": {"S3Uri": f"s3://{desk.bucket}/constraints.json"}
        },
        DataQualityAppSpecification={
            "ImageUri": desk.members("DataQuality")["DataQualityAppSpecification"]["ImageUri"],
            "Environment": {"publish_cloudwatch_metrics": "Enabled"},
        },
    )

    done = judged("DataQuality")

    assert done["MonitoringExecutionStatus"] == "CompletedWithViolations", done.get("FailureReason")
    assert "EndpointName" not in done
    kinds = [one["constraint_check_type"] for one in report(desk, done, "constraint_violations.json")["violations"]]  # fmt: skip
    assert "completeness_check" in kinds
    found = desk.cloud.client("cloudwatch").list_metrics(
        Namespace="aws/sagemaker/ModelMonitoring/data-metrics", MetricName="feature_non_null__c0"
    )["Metrics"]
    assert [one["Dimensions"] for one in found] == [[{"Name": "MonitoringSchedule", "Value": "s"}]]
    (alert,) = desk.client.list_monitoring_alerts(MonitoringScheduleName="s")[
        "MonitoringAlertSummaries"
    ]
    assert alert["AlertStatus"] == "InAlert"


def test_bias_is_judged_once_labels_are_merged(judged, desk):
    rng = np.random.default_rng(1)
    sex, age = rng.integers(0, 2, 400), rng.integers(18, 80, 400)
    paid = (rng.random(400) < 0.3 + 0.4 * sex).astype(int)
    captures, labels = [], []
    at = an_hour_ago()
    half = {"observedContentType": "text/csv", "encoding": "CSV"}
    for number, row in enumerate(zip(sex, age, paid, strict=True)):
        meta = {"eventId": f"e{number}", "inferenceTime": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
        data = {
            "endpointInput": half | {"mode": "INPUT", "data": f"{row[0]},{row[1]}"},
            "endpointOutput": half | {"mode": "OUTPUT", "data": f"{0.2 + 0.6 * row[0]}"},
        }
        captures.append({"captureData": data, "eventMetadata": meta, "eventVersion": "0"})
        label = {"data": str(row[2]), "encoding": "CSV"}
        labels.append({"groundTruthData": label, "eventMetadata": {"eventId": f"e{number}"}, "eventVersion": "0"})  # fmt: skip
    for place, lines in (("captured/price/AllTraffic", captures), ("labels", labels)):
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        put(desk, f"{place}/{at:%Y/%m/%d/%H/%M-%S}-000-a.jsonl", text)
    config = {
        "headers": ["paid", "sex", "age"], "label": "paid", "label_values_or_threshold": [1],
        "facet": [{"name_or_index": "sex", "value_or_threshold": [0]}], "probability_threshold": 0.5,
    }  # fmt: skip
    put(desk, "clarify.json", json.dumps(config))
    source = desk.members("ModelBias")["ModelBiasJobInput"]
    source["EndpointInput"] |= {"ProbabilityAttribute": "0", "ProbabilityThresholdAttribute": 0.5}
    desk.define("ModelBias", ModelBiasJobInput=source)

    done = judged("ModelBias")

    assert done["MonitoringExecutionStatus"] == "Completed", done.get("FailureReason")
    assert done["ProcessingJobArn"].partition("processing-job/")[2].startswith("model-bias-monitoring-")  # fmt: skip
    analysis = report(desk, done, "analysis.json")
    (group,) = analysis["post_training_bias_metrics"]["facets"]["sex"]
    metrics = {one["name"]: one["value"] for one in group["metrics"]}
    assert metrics["DPPL"] == pytest.approx(
        1.0
    )  # all of one group are said to pay, none of the other
