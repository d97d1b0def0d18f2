"""SageMaker SDK 2.x as a child process: what the courses' notebooks do, line for line, and what no SDK could do."""

import json
import subprocess

import pytest

#: One XGBoost endpoint's whole life. Leaves what it saw in facts.json.
XGBOOST = """
import json, time
import boto3, numpy as np, sagemaker
from sagemaker import get_execution_role
from sagemaker.deserializers import CSVDeserializer
from sagemaker.model_monitor import DataCaptureConfig
from sagemaker.serializers import CSVSerializer

facts = {}
pauses, sleep = [], time.sleep

def noted(seconds):
    pauses.append(seconds)
    sleep(seconds)

time.sleep = noted

def reason(call):
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"

session = sagemaker.Session()
role, bucket = get_execution_role(), session.default_bucket()
facts["role"] = role
facts["bucket"] = bucket
rows = "\\n".join(f"{3 * a - b},{a},{b}" for a in range(30) for b in range(30))
boto3.client("s3").put_object(Bucket=bucket, Key="sdk2/train.csv", Body=rows)
xgboost = sagemaker.estimator.Estimator(
    image_uri=sagemaker.image_uris.retrieve("xgboost", boto3.Session().region_name, "1.0-1"),
    role=role, instance_count=1, instance_type="ml.m4.xlarge", output_path=f"s3://{bucket}/sdk2/model",
)
xgboost.fit({"train": f"s3://{bucket}/sdk2/train.csv"}, logs=True)
facts["pauses of fit"], pauses[:] = list(pauses), []
facts["model"] = xgboost.model_data
facts["deploy without a count"] = reason(lambda: xgboost.deploy(instance_type="ml.m5.large", endpoint_name="sdk2"))

def capture(percent):
    return DataCaptureConfig(
        enable_capture=True, sampling_percentage=percent, destination_s3_uri=f"s3://{bucket}/sdk2/capture/",
        capture_options=["Request", "Response"],
    )

predictor = xgboost.deploy(
    initial_instance_count=1, instance_type="ml.m5.large", endpoint_name="sdk2", data_capture_config=capture(100)
)
facts["pauses of deploy"] = list(pauses)
facts["a list without a serializer"] = reason(lambda: predictor.predict([7, 3]))
facts["json as octet-stream"] = json.loads(predictor.predict(json.dumps({"inputs": [[7, 3]]})))
predictor.serializer, predictor.deserializer = CSVSerializer(), CSVDeserializer()
facts["csv"] = predictor.predict([7, 3])
facts["rows"] = predictor.predict([[7, 3], [20, 1]])

sagemaker_ = boto3.client("sagemaker")
predictor.update_data_capture_config(capture(42))
described = sagemaker_.describe_endpoint(EndpointName="sdk2")
facts["capture"] = {k: described["DataCaptureConfig"][k] for k in ("EnableCapture", "CurrentSamplingPercentage")}
facts["csv after update"] = predictor.predict([7, 3])
facts["monitor.schedule"] = hasattr(sagemaker.model_monitor.DefaultModelMonitor, "schedule")

predictor.delete_endpoint()
facts["model after endpoint"] = reason(predictor.delete_model)
sagemaker_.get_waiter("endpoint_deleted").wait(EndpointName="sdk2")
facts["endpoints"] = [e["EndpointName"] for e in sagemaker_.list_endpoints(NameContains="sdk2")["Endpoints"]]
with open("facts.json", "w") as file:
    json.dump(facts, file)
"""

#: The model first, then the endpoint: the order that works.
DELETING = """
import boto3, sagemaker
from sagemaker.predictor import Predictor
predictor = Predictor("orderly")
predictor.delete_model()
predictor.delete_endpoint()
client = boto3.client("sagemaker")
left = [
    *client.list_models(NameContains="orderly")["Models"],
    *client.list_endpoint_configs(NameContains="orderly")["EndpointConfigs"],
    *[e for e in client.list_endpoints(NameContains="orderly")["Endpoints"] if e["EndpointStatus"] != "Deleting"],
]
assert left == [], left
"""

#: A packed PyTorch model on a serverless endpoint.
PYTORCH = """
import json, pathlib, sys, tarfile
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.pytorch import PyTorchModel
from sagemaker.predictor import Predictor
from sagemaker.serializers import JSONSerializer
from sagemaker.serverless import ServerlessInferenceConfig

session = sagemaker.Session()
pathlib.Path("config.json").write_text('{"scale": 2}')
pathlib.Path("inference.py").write_text('''
import json, os
import torch

def model_fn(model_dir):
    with open(os.path.join(model_dir, "config.json")) as file:
        return json.load(file)["scale"]

def input_fn(body, content_type):
    assert content_type == "application/json", content_type
    return torch.tensor(json.loads(body)["signals"])

def predict_fn(signals, scale):
    return float(signals.mean()) * scale

def output_fn(value, accept):
    return json.dumps({"prediction": value, "probability": value}), "application/json"
''')
with tarfile.open("model.tar.gz", "w:gz") as archive:
    archive.add("config.json")
model = PyTorchModel(
    model_data=session.upload_data("model.tar.gz", key_prefix="ecg"), role=sagemaker.get_execution_role(),
    framework_version="2.0.0", py_version="py310", entry_point="inference.py",
)
predictor = model.deploy(
    serverless_inference_config=ServerlessInferenceConfig(memory_size_in_mb=3072, max_concurrency=10),
    endpoint_name="sdk2-ecg", serializer=JSONSerializer(), deserializer=JSONDeserializer(),
)
answer = predictor.predict({"signals": [[[0.25, 0.5, 0.75]] * 2000]})
assert answer == {"prediction": 1.0, "probability": 1.0}, answer
described = session.sagemaker_client.describe_endpoint(EndpointName="sdk2-ecg")
serverless = described["ProductionVariants"][0]["CurrentServerlessConfig"]
assert serverless == {"MemorySizeInMB": 3072, "MaxConcurrency": 10}, serverless
try:
    Predictor("sdk2-ecg", serializer=json.dumps, deserializer=json.loads).predict({"signals": []})
except AttributeError as error:
    assert "CONTENT_TYPE" in str(error), error
else:
    sys.exit("functions work as serializers")
predictor.delete_model()
predictor.delete_endpoint()
"""


@pytest.fixture
def sdk(shared_platform, client_python, tmp_path):
    """A function: program → the finished process, which ended well."""

    def run(program):
        done = subprocess.run(
            [client_python("sdk2"), "-c", program],
            cwd=tmp_path, env=shared_platform.client_env | {"SAGEMAKER_SUPPRESS_V2_WARNING": "1"},
            capture_output=True, text=True, timeout=1200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
        return done

    return run


@pytest.fixture(scope="module")
def story(shared_platform, client_python, tmp_path_factory):
    """What the XGBoost story printed, and its facts by name."""
    folder = tmp_path_factory.mktemp("sdk2")
    done = subprocess.run(
        [client_python("sdk2"), "-c", XGBOOST],
        cwd=folder, env=shared_platform.client_env,
        capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
    return done.stdout, json.loads((folder / "facts.json").read_text(encoding="utf-8"))


@pytest.mark.journey
@pytest.mark.network
class TestXGBoost:
    def test_role_and_bucket_are_found(self, story, shared_platform):
        _, facts = story

        assert facts["role"].endswith(":role/AmazonSageMaker-ExecutionRole-farero")
        assert facts["bucket"] == shared_platform.bucket

    def test_fit_prints_the_log(self, story):
        printed, facts = story

        assert "train-rmse" in printed
        assert "farero: lenient:" in printed
        assert "Training seconds:" in printed
        assert facts["model"].endswith("/output/model.tar.gz")

    def test_the_sdk_never_pauses_longer_than_a_second_between_two_looks(self, story):
        for work in ("fit", "deploy"):
            assert 0 < max(story[1][f"pauses of {work}"]) <= 1

    def test_every_body_that_the_sdk_sends_gets_the_same_answer(self, story):
        _, facts = story
        [[score]] = facts["csv"]

        assert abs(float(score) - 18) < 1
        assert facts["json as octet-stream"] == {"predictions": [{"score": float(score)}]}
        assert facts["csv after update"] == [[score]]
        # The container of 1.0-1 puts the answers of several rows on one line, later ones one a line.
        assert [[round(float(value)) for value in row] for row in facts["rows"]] == [[18, 59]]

    def test_capture_is_changed_by_an_update(self, story):
        assert story[1]["capture"] == {"EnableCapture": True, "CurrentSamplingPercentage": 42}

    def test_what_runs_nowhere_says_what_it_says_on_aws(self, story):
        _, facts = story

        assert facts["deploy without a count"] == (
            "ValueError: Must specify instance type and instance count unless using serverless inference"
        )
        assert facts["a list without a serializer"].startswith("ParamValidationError: ")
        assert "Could not find endpoint configuration" in facts["model after endpoint"]
        assert facts["monitor.schedule"] is False

    def test_nothing_is_left(self, story):
        assert story[1]["endpoints"] == []


@pytest.mark.journey
@pytest.mark.network
def test_model_then_endpoint_is_the_order_that_works(sdk, shared_platform, xgboost_archive):
    shared_platform.farero("deploy", str(xgboost_archive.path), "--name", "orderly")

    sdk(DELETING)


@pytest.mark.journey
@pytest.mark.network
def test_a_pytorch_model_is_repacked_and_served_serverless(sdk):
    sdk(PYTORCH)
