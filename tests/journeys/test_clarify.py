"""SageMaker Clarify by the SageMaker SDK: bias before and after training, attributions, of a real XGBoost model."""

import json
import subprocess
import tarfile

import numpy as np
import pytest
import xgboost as xgb

#: Reads train.csv (no header: paid, sex, age, income) and model.tar.gz; leaves what it saw in facts.json.
STORY = """
import json, os
import boto3
try:
    from sagemaker import Session, clarify, get_execution_role, image_uris
except ImportError:  # 3.x has them elsewhere
    from sagemaker.core import clarify, image_uris
    from sagemaker.core.helper.session_helper import Session, get_execution_role

session = Session()
bucket, role = session.default_bucket(), get_execution_role()
model = os.environ["MODEL"]
s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
prefix = f"clarify-{model}"
for name in ("train.csv", "model.tar.gz"):
    s3.upload_file(name, bucket, f"{prefix}/{name}")
sagemaker.create_model(
    ModelName=model, ExecutionRoleArn=role,
    PrimaryContainer={
        "Image": image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1"),
        "ModelDataUrl": f"s3://{bucket}/{prefix}/model.tar.gz",
    },
)
processor = clarify.SageMakerClarifyProcessor(
    role=role, instance_count=1, instance_type="ml.m5.xlarge", sagemaker_session=session,
)

def data(name):
    return clarify.DataConfig(
        s3_data_input_path=f"s3://{bucket}/{prefix}/train.csv", s3_output_path=f"s3://{bucket}/{prefix}/{name}",
        label="paid", headers=["paid", "sex", "age", "income"], dataset_type="text/csv",
    )

def read(name, file="analysis.json"):
    return s3.get_object(Bucket=bucket, Key=f"{prefix}/{name}/{file}")["Body"].read().decode()

bias = clarify.BiasConfig(
    label_values_or_threshold=[1], facet_name="sex", facet_values_or_threshold=[0], group_name="age",
)
answers = clarify.ModelPredictedLabelConfig(probability_threshold=0.5)
asked = clarify.ModelConfig(
    model_name=model, instance_type="ml.m5.xlarge", instance_count=1, accept_type="text/csv", content_type="text/csv",
)
shap = clarify.SHAPConfig(
    baseline=[[0, 40, 50.0]], num_samples=100, agg_method="mean_abs", save_local_shap_values=True,
)
processor.run_pre_training_bias(data_config=data("pre"), data_bias_config=bias, methods="all", logs=False)
processor.run_post_training_bias(
    data_config=data("post"), data_bias_config=bias, model_config=asked, model_predicted_label_config=answers,
    methods="all", logs=False,
)
processor.run_explainability(data_config=data("shap"), model_config=asked, explainability_config=shap, logs=False)
made = [
    one["EndpointName"] for one in sagemaker.list_endpoints(NameContains="sm-clarify")["Endpoints"]
    if one["EndpointStatus"] != "Deleting"
]
facts = {
    "pre": json.loads(read("pre")), "post": json.loads(read("post")), "shap": json.loads(read("shap")),
    "local": read("shap", "explanations_shap/out.csv"), "report": read("shap", "report.html"), "left": made,
}
wrong = clarify.BiasConfig(label_values_or_threshold=[1], facet_name="gender", facet_values_or_threshold=[0])
try:
    processor.run_pre_training_bias(
        data_config=data("wrong"), data_bias_config=wrong, logs=False, job_name=f"{model}-wrong",
    )
except Exception as error:  # 3.x fails to say why
    facts["raised"] = str(error)
facts["wrong"] = sagemaker.describe_processing_job(ProcessingJobName=f"{model}-wrong")["FailureReason"]
json.dump(facts, open("facts.json", "w"))
"""


@pytest.fixture(scope="module")
def loans(tmp_path_factory):
    """A folder with train.csv and model.tar.gz, the booster and the table."""
    folder = tmp_path_factory.mktemp("loans")
    rng = np.random.default_rng(1)
    sex, age = rng.integers(0, 2, 400), rng.integers(18, 80, 400)
    income = (rng.normal(50, 10, 400) + 4 * sex).round(1)
    paid = (income + rng.normal(0, 5, 400) > 52).astype(int)
    table = np.column_stack([paid, sex, age, income])
    np.savetxt(folder / "train.csv", table, "%g", ",")
    features = table[:, 1:]
    told = {"objective": "binary:logistic", "max_depth": 3}
    booster = xgb.train(told, xgb.DMatrix(features, paid), 15)
    booster.save_model(folder / "xgboost-model.ubj")
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        archive.add(folder / "xgboost-model.ubj", "model.ubj")
    return folder, booster, table


def _values(analysis, section):
    (group,) = analysis[section]["facets"]["sex"]
    assert group["value_or_threshold"] == "0"
    return {one["name"]: one["value"] for one in group["metrics"]}


@pytest.mark.journey
@pytest.mark.parametrize("sdk", ["sdk2", "sdk3"])
def test_clarify_of_the_sdk_runs(shared_platform, loans, client_python, sdk):
    folder, booster, table = loans
    done = subprocess.run(
        [client_python(sdk), "-c", STORY], env=shared_platform.client_env | {"MODEL": f"loans-{sdk}"}, cwd=folder,
        capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads((folder / "facts.json").read_text())
    paid, sex = table[:, 0], table[:, 1]

    before = _values(facts["pre"], "pre_training_bias_metrics")
    assert before["DPL"] == pytest.approx(paid[sex == 1].mean() - paid[sex == 0].mean())
    assert len(before) == 8
    assert None not in before.values()

    score = booster.predict(xgb.DMatrix(table[:, 1:]))
    said = score > 0.5
    after = _values(facts["post"], "post_training_bias_metrics")
    assert after["DI"] == pytest.approx(said[sex == 0].mean() / said[sex == 1].mean())
    assert len(after) == 13
    assert None not in after.values()

    explained = facts["shap"]["explanations"]["kernel_shap"]["label0"]
    names, *rows = [line.split(",") for line in facts["local"].splitlines()]
    local = np.array(rows, float)
    nothing = booster.predict(xgb.DMatrix(np.array([[0, 40, 50.0]])))[0]
    assert names == ["sex_label0", "age_label0", "income_label0"]
    assert explained["expected_value"] == pytest.approx(nothing, abs=1e-5)
    # what the features add up to is what the model answered
    np.testing.assert_allclose(local.sum(axis=1) + nothing, score, atol=1e-5)
    assert list(explained["global_shap_values"].values()) == pytest.approx(
        np.abs(local).mean(axis=0)
    )
    assert "income" in facts["report"]

    assert facts["left"] == []
    assert facts["raised"]
    assert (
        "facet 'gender' is no column of the data. There are: paid, sex, age, income."
        in facts["wrong"]
    )


#: Asks the endpoint about today's people, who are older and earn less; brings the truth; has both monitors look at it.
WATCH = """
import datetime as dt, json, os, time
import boto3, numpy as np
from sagemaker import Session, clarify, get_execution_role
from sagemaker.model_monitor import (
    CronExpressionGenerator, EndpointInput, ModelBiasMonitor, ModelExplainabilityMonitor,
)

session = Session()
bucket, role, endpoint = session.default_bucket(), get_execution_role(), os.environ["ENDPOINT"]
s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
runtime, prefix = boto3.client("sagemaker-runtime"), f"watch-{endpoint}"
rng = np.random.default_rng(5)
sex, age, income = rng.integers(0, 2, 250), rng.integers(18, 80, 250), rng.normal(52, 9, 250).round(1)
income = np.where(sex == 0, income - 6, income).round(1)
truths = []
for at, row in enumerate(zip(sex, age, income)):
    runtime.invoke_endpoint(
        EndpointName=endpoint, ContentType="text/csv", Body=",".join(map(str, row)), InferenceId=f"{endpoint}-{at}",
    )
    truths.append(json.dumps({
        "groundTruthData": {"data": str(int(row[2] > 48)), "encoding": "CSV"},
        "eventMetadata": {"eventId": f"{endpoint}-{at}"}, "eventVersion": "0",
    }))
now = dt.datetime.now(dt.timezone.utc)
s3.put_object(Bucket=bucket, Key=f"{prefix}/truth/{now:%Y/%m/%d/%H}/a.jsonl", Body="\\n".join(truths))
told = sagemaker.describe_endpoint(EndpointName=endpoint)
captures = told["DataCaptureConfig"]["DestinationS3Uri"].removeprefix(f"s3://{bucket}/") + f"/{endpoint}/"

def captured():
    found = s3.list_objects_v2(Bucket=bucket, Prefix=captures).get("Contents", [])
    return sum(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read().count(b"\\n") for one in found)

for _ in range(1000):
    if captured() >= 250:
        break
    time.sleep(0.5)
before = captured()
config = sagemaker.describe_endpoint_config(EndpointConfigName=told["EndpointConfigName"])
model = config["ProductionVariants"][0]["ModelName"]
s3.upload_file("train.csv", bucket, f"{prefix}/train.csv")

def data(name):
    return clarify.DataConfig(
        s3_data_input_path=f"s3://{bucket}/{prefix}/train.csv", s3_output_path=f"s3://{bucket}/{prefix}/{name}",
        label="paid", headers=["paid", "sex", "age", "income"], dataset_type="text/csv",
    )

asked = clarify.ModelConfig(
    model_name=model, instance_type="ml.m5.xlarge", instance_count=1, accept_type="text/csv", content_type="text/csv",
)
common = dict(role=role, instance_count=1, instance_type="ml.m5.xlarge", sagemaker_session=session)
bias = ModelBiasMonitor(**common)
bias.suggest_baseline(
    data_config=data("bias"), model_config=asked, wait=True,
    bias_config=clarify.BiasConfig([1], facet_name="sex", facet_values_or_threshold=[0]),
    model_predicted_label_config=clarify.ModelPredictedLabelConfig(probability_threshold=0.5),
)
explain = ModelExplainabilityMonitor(**common)
explain.suggest_baseline(
    data_config=data("explain"), model_config=asked, wait=True,
    explainability_config=clarify.SHAPConfig(baseline=[[0, 40, 50.0]], num_samples=50, agg_method="mean_abs"),
)
once = dict(
    schedule_cron_expression=CronExpressionGenerator.now(), data_analysis_start_time="-PT2H",
    data_analysis_end_time="PT0H", enable_cloudwatch_metrics=True, output_s3_uri=f"s3://{bucket}/{prefix}/reports",
)
bias.create_monitoring_schedule(
    monitor_schedule_name=f"{endpoint}-bias", ground_truth_input=f"s3://{bucket}/{prefix}/truth",
    endpoint_input=EndpointInput(
        endpoint, "/opt/ml/processing/input/endpoint", start_time_offset="-PT2H", end_time_offset="-PT0H",
        probability_threshold_attribute=0.5,
    ),
    **once,
)
explain.create_monitoring_schedule(monitor_schedule_name=f"{endpoint}-explain", endpoint_input=endpoint, **once)
facts = {}
for name, monitor in (("bias", bias), ("explain", explain)):
    for _ in range(1000):
        told = sagemaker.list_monitoring_executions(MonitoringScheduleName=f"{endpoint}-{name}")
        states = [one["MonitoringExecutionStatus"] for one in told["MonitoringExecutionSummaries"]]
        if states and states[0] not in ("Pending", "InProgress"):
            break
        time.sleep(0.5)
    facts[name] = [states, told["MonitoringExecutionSummaries"][0].get("FailureReason", "")]
    facts[f"{name} violations"] = monitor.latest_monitoring_constraint_violations().body_dict["violations"]
    facts[f"{name} constraints"] = monitor.suggested_constraints().body_dict
cloudwatch = boto3.client("cloudwatch")
for kind in ("bias", "explainability"):
    listed = cloudwatch.list_metrics(Namespace=f"aws/sagemaker/Endpoints/{kind}-metrics", Dimensions=[{"Name": "Endpoint", "Value": endpoint}])
    facts[f"{kind} metrics"] = sorted({one["MetricName"] for one in listed["Metrics"]})
facts["captured besides"] = captured() - before
for monitor in (bias, explain):
    monitor.delete_monitoring_schedule()
json.dump(facts, open("watch.json", "w"))
"""


@pytest.mark.journey
def test_bias_and_attributions_of_an_endpoint_are_watched(shared_platform, loans, client_python):
    folder, _, _ = loans
    shared_platform.farero(
        "deploy", str(folder / "xgboost-model.ubj"), "--name", "loans-watch", "--capture", "100"
    )
    done = subprocess.run(
        [client_python("sdk2"), "-c", WATCH], env=shared_platform.client_env | {"ENDPOINT": "loans-watch"}, cwd=folder,
        capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    shared_platform.farero("rm", "--yes", "loans-watch", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads((folder / "watch.json").read_text())

    assert facts["bias"][0] == ["CompletedWithViolations"], facts["bias"]
    broken = {one["metric_name"]: one for one in facts["bias violations"]}
    assert broken["DPPL"]["constraint_check_type"] == "bias_drift_check"
    assert (broken["DPPL"]["facet"], broken["DPPL"]["facet_value"]) == ("sex", "0")
    assert {"bias_metric_DPPL", "bias_metric_DPL"} <= {*facts["bias metrics"]}

    assert facts["explain"][0][0] in {"Completed", "CompletedWithViolations"}, facts["explain"]
    assert facts["explain violations"] == []
    (label,) = facts["explain constraints"]["explanations"]["kernel_shap"].values()
    assert set(label["global_shap_values"]) == {"sex", "age", "income"}
    assert facts["explainability metrics"] == [
        "ExpectedValue", "feature_age", "feature_income", "feature_sex",
    ]  # fmt: skip
    # what a monitor asks the model is nobody's request
    assert facts["captured besides"] == 0
