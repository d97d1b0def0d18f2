"""SageMaker SDK 3.x as a child process: every answer it gets is checked against the model by the SDK itself."""

import subprocess

import pytest

STORY = """
import boto3, time
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core import image_uris
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant
from sagemaker.train import ModelTrainer
from sagemaker.core.training.configs import Compute, InputData

session = Session()
role = get_execution_role()
bucket = session.default_bucket()
rows = "\\n".join(f"{2 * a + b},{a},{b}" for a in range(20) for b in range(20))
boto3.client("s3").put_object(Bucket=bucket, Key="sdk3/train.csv", Body=rows)
image = image_uris.retrieve("xgboost", "us-east-1", "1.7-1")
trainer = ModelTrainer(
    training_image=image, role=role, base_job_name="sdk3",
    compute=Compute(instance_type="ml.m5.large", instance_count=1),
    hyperparameters={"num_round": 30, "objective": "reg:squarederror"},
)
trainer.train(input_data_config=[InputData(channel_name="train", data_source=f"s3://{bucket}/sdk3/train.csv", content_type="text/csv")])
name = boto3.client("sagemaker").list_training_jobs(NameContains="sdk3")["TrainingJobSummaries"][-1]["TrainingJobName"]
job = TrainingJob.get(name)
assert job.training_job_status == "Completed", job.failure_reason
data = job.model_artifacts.s3_model_artifacts
Model.create(model_name="sdk3", primary_container=ContainerDefinition(image=image, model_data_url=data), execution_role_arn=role)
EndpointConfig.create(endpoint_config_name="sdk3", production_variants=[ProductionVariant(
    variant_name="AllTraffic", model_name="sdk3", initial_instance_count=1, instance_type="ml.m5.large")])
endpoint = Endpoint.create(endpoint_name="sdk3", endpoint_config_name="sdk3")
endpoint.wait_for_status("InService")
answer = endpoint.invoke(body="7,3", content_type="text/csv")
print("ANSWER", answer.body.read().decode().strip())
endpoint.delete()
# The SDK's own shape writes MemorySizeInMb, which botocore refuses.
boto3.client("sagemaker").create_endpoint_config(EndpointConfigName="sdk3-serverless", ProductionVariants=[
    {"VariantName": "AllTraffic", "ModelName": "sdk3", "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}])
endpoint = Endpoint.create(endpoint_name="sdk3-serverless", endpoint_config_name="sdk3-serverless")
endpoint.wait_for_status("InService")
answer = endpoint.invoke(body="7,3", content_type="text/csv")
print("SERVERLESS", answer.body.read().decode().strip())
endpoint.delete()
"""


@pytest.mark.journey
@pytest.mark.network
def test_sdk_3_trains_deploys_and_predicts(shared_platform, client_python, tmp_path):
    done = subprocess.run(
        [client_python("sdk3"), "-c", STORY],
        cwd=tmp_path, env=shared_platform.client_env, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    answers = [line.split() for line in done.stdout.splitlines()]
    told = {words[0]: words[1] for words in answers if words[:1] in (["ANSWER"], ["SERVERLESS"])}
    assert abs(float(told["ANSWER"]) - 17) < 1
    assert told["SERVERLESS"] == told["ANSWER"]
