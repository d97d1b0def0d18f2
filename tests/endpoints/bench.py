"""A platform with one endpoint that captures everything, for tests that watch what it measures."""

import io
import tarfile

import numpy as np
import xgboost

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"


def archive():
    rows = np.random.default_rng(1).normal(size=(50, 2))
    model = xgboost.train({"max_depth": 2}, xgboost.DMatrix(rows, label=rows[:, 0]), 3)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        body = bytes(model.save_raw("json"))
        info = tarfile.TarInfo("xgboost-model")
        info.size = len(body)
        tar.addfile(info, io.BytesIO(body))
    return made.getvalue()


class Bench:
    """The platform with one endpoint that captures everything."""

    def __init__(self, platform, wait_for):
        self.platform, self.wait_for = platform, wait_for
        self.s3, self.sagemaker = platform.client("s3"), platform.client("sagemaker")
        self.s3.put_object(Bucket=platform.bucket, Key="model.tar.gz", Body=archive())
        container = {"Image": IMAGE, "ModelDataUrl": f"s3://{platform.bucket}/model.tar.gz"}
        self.sagemaker.create_model(
            ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container
        )

    def config(self, name, count=1, **changes):
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": "m",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": count,
        }
        capture = {
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{self.platform.bucket}/capture",
            "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
        }
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[variant | changes],
            DataCaptureConfig=capture,
        )
        return name

    def create(self, count):
        self.sagemaker.create_endpoint(
            EndpointName="iris", EndpointConfigName=self.config("c", count)
        )
        self.wait_status("InService")

    def status(self):
        return self.sagemaker.describe_endpoint(EndpointName="iris")["EndpointStatus"]

    def wait_status(self, status):
        self.wait_for(lambda: self.status() == status, 30)
