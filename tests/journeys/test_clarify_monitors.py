"""Bias and attributions watched by the SageMaker SDK: baselines, schedules on a live endpoint, labels, reports."""

import json
import subprocess

import numpy as np
import pytest
import xgboost as xgb

#: Reads train.csv (paid, sex, age, income, no header); leaves what it saw in facts.json.
STORY = """
import datetime, json, os, time
import boto3, numpy as np
from sagemaker import Session, clarify, get_execution_role
from sagemaker.model_monitor import (
    CronExpressionGenerator, EndpointInput, ModelBiasMonitor, ModelExplainabilityMonitor,
)

facts = {}
endpoint, headers = os.environ["ENDPOINT"], ["paid", "sex", "age", "income"]
session = Session()
bucket, role = session.default_bucket(), get_execution_role()
s3, runtime, sagemaker = boto3.client("s3"), boto3.client("sagemaker-runtime"), boto3.client("sagemaker")
described = sagemaker.describe_endpoint(EndpointName=endpoint)
capture = described["DataCaptureConfig"]["DestinationS3Uri"]
config = sagemaker.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
model = config["ProductionVariants"][0]["ModelName"]
prefix = capture.removeprefix(f"s3://{bucket}/") + f"/{endpoint}/"
s3.upload_file("train.csv", bucket, f"{endpoint}/train.csv")

labels = []
for number, row in enumerate(np.loadtxt("train.csv", delimiter=",")[:200]):
    body = ",".join(f"{value:g}" for value in row[1:])
    runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=body, InferenceId=f"loan-{number}")
    labels.append({
        "groundTruthData": {"data": f"{row[0]:g}", "encoding": "CSV"},
        "eventMetadata": {"eventId": f"loan-{number}"}, "eventVersion": "0",
    })
for _ in range(1000):
    found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    if sum(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read().count(b"\\n") for one in found) >= 200:
        break
    time.sleep(0.5)
now = datetime.datetime.now(datetime.timezone.utc)
lines = "\\n".join(json.dumps(label) for label in labels)
s3.put_object(Bucket=bucket, Key=f"{endpoint}/labels/{now:%Y/%m/%d/%H/%M%S}.jsonl", Body=lines.encode())

def data(name):
    return clarify.DataConfig(
        s3_data_input_path=f"s3://{bucket}/{endpoint}/train.csv", s3_output_path=f"s3://{bucket}/{endpoint}/{name}",
        label="paid", headers=headers, dataset_type="text/csv",
    )

asked = clarify.ModelConfig(
    model_name=model, instance_type="ml.m5.xlarge", instance_count=1, accept_type="text/csv", content_type="text/csv",
)
told = dict(role=role, instance_count=1, instance_type="ml.m5.xlarge", sagemaker_session=session)
when = dict(
    schedule_cron_expression=CronExpressionGenerator.now(), data_analysis_start_time="-PT2H",
    data_analysis_end_time="PT0H",
)

def ended(name):
    for _ in range(1000):
        found = sagemaker.list_monitoring_executions(MonitoringScheduleName=name)["MonitoringExecutionSummaries"]
        if found and found[0]["MonitoringExecutionStatus"] not in ("Pending", "InProgress"):
            break
        time.sleep(0.5)
    assert found[0]["MonitoringExecutionStatus"].startswith("Completed"), found[0]
    return [found[0]["MonitoringExecutionStatus"], found[0]["MonitoringType"]]

def analysis(monitor):
    output = monitor.list_executions()[-1].output.destination.removeprefix(f"s3://{bucket}/")
    return json.loads(s3.get_object(Bucket=bucket, Key=f"{output}/analysis.json")["Body"].read())

bias = ModelBiasMonitor(**told)
bias.suggest_baseline(
    data_config=data("bias"), model_config=asked, wait=True, logs=False,
    bias_config=clarify.BiasConfig(
        label_values_or_threshold=[1], facet_name="sex", facet_values_or_threshold=[0],
    ),
    model_predicted_label_config=clarify.ModelPredictedLabelConfig(probability_threshold=0.5),
)
bias.create_monitoring_schedule(
    monitor_schedule_name=f"{endpoint}-bias", output_s3_uri=f"s3://{bucket}/{endpoint}/reports",
    ground_truth_input=f"s3://{bucket}/{endpoint}/labels",
    endpoint_input=EndpointInput(
        endpoint_name=endpoint, destination="/opt/ml/processing/input/endpoint", probability_attribute="0",
        probability_threshold_attribute=0.5,
    ), **when,
)
shap = ModelExplainabilityMonitor(**told)
shap.suggest_baseline(
    data_config=data("shap"), model_config=asked,
    explainability_config=clarify.SHAPConfig(baseline=[[0, 40, 50.0]], num_samples=50, agg_method="mean_abs"),
)
shap.latest_baselining_job.wait(logs=False)
shap.create_monitoring_schedule(
    monitor_schedule_name=f"{endpoint}-shap", output_s3_uri=f"s3://{bucket}/{endpoint}/reports",
    endpoint_input=endpoint, **when,
)
facts["bias"], facts["shap"] = ended(f"{endpoint}-bias"), ended(f"{endpoint}-shap")
facts["bias analysis"], facts["shap analysis"] = analysis(bias), analysis(shap)
bias.delete_monitoring_schedule()
shap.delete_monitoring_schedule()
facts["left"] = [
    one["MonitoringJobDefinitionName"]
    for family in ("model_bias", "model_explainability")
    for one in getattr(sagemaker, f"list_{family}_job_definitions")(EndpointName=endpoint)["JobDefinitionSummaries"]
]
json.dump(facts, open("facts.json", "w"))
"""


@pytest.fixture
def loans(shared_platform, tmp_path):
    """An endpoint of a model that says who will pay, which captures everything; its folder and its data."""
    rng = np.random.default_rng(1)
    sex, age = rng.integers(0, 2, 600), rng.integers(18, 80, 600)
    income = (rng.normal(50, 10, 600) + 4 * sex).round(1)
    paid = (income + rng.normal(0, 5, 600) > 52).astype(int)
    table = np.column_stack([paid, sex, age, income])
    np.savetxt(tmp_path / "train.csv", table, "%g", ",")
    told = {"objective": "binary:logistic", "max_depth": 3}
    booster = xgb.train(told, xgb.DMatrix(table[:, 1:], paid), 15)
    booster.save_model(tmp_path / "loans.ubj")
    shared_platform.farero(
        "deploy", str(tmp_path / "loans.ubj"), "--name", "loans-watched", "--capture", "100"
    )
    yield tmp_path, table, booster
    shared_platform.farero("rm", "--yes", "loans-watched")


@pytest.mark.journey
def test_bias_and_attributions_are_watched(shared_platform, loans, client_python):
    folder, table, booster = loans
    done = subprocess.run(
        [client_python("sdk2"), "-c", STORY],
        env=shared_platform.client_env | {"ENDPOINT": "loans-watched"}, cwd=folder,
        capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads((folder / "facts.json").read_text())

    for kind, name in (("ModelBias", "bias"), ("ModelExplainability", "shap")):
        assert facts[name][0] in {"Completed", "CompletedWithViolations"}, facts[name]
        assert facts[name][1] == kind
    window = table[:200]
    said = booster.predict(xgb.DMatrix(window[:, 1:])) > 0.5
    (group,) = facts["bias analysis"]["post_training_bias_metrics"]["facets"]["sex"]
    found = {one["name"]: one["value"] for one in group["metrics"]}
    sex = window[:, 1]
    assert found["DPPL"] == pytest.approx(said[sex == 1].mean() - said[sex == 0].mean())
    explained = facts["shap analysis"]["explanations"]["kernel_shap"]["label0"]
    assert max(explained["global_shap_values"], key=explained["global_shap_values"].get) == "income"
    assert facts["left"] == []
