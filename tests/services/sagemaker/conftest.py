"""The families of models and endpoints behind a real boto3 client; nothing runs, so endpoints stay as they are set."""

import dataclasses
import datetime as dt

import pytest

from farero.aws.services.sagemaker import SageMaker
from farero.aws.services.sagemaker.endpoint_configs import EndpointConfigs
from farero.aws.services.sagemaker.endpoints import Endpoints
from farero.aws.services.sagemaker.models import Models
from farero.aws.services.sagemaker.search import Search
from farero.aws.services.sagemaker.tags import Tags
from farero.endpoints import fleets
from farero.endpoints.commands import EndpointCommands
from farero.endpoints.definitions import Definitions
from farero.endpoints.router import RoutingStamp
from farero.objects.local import LocalObjects
from farero.records.endpoint import EndpointStatus
from farero.records.monitoring import Execution, ExecutionStatus, MonitoringType
from farero.store import endpoints as rows
from farero.store import monitoring as monitoring_rows

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
ARN = "arn:aws:sagemaker:us-east-1:123456789012:"

MONITOR = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
CLARIFY = "205585389593.dkr.ecr.us-east-1.amazonaws.com/sagemaker-clarify-processing:1.0"
#: Families of monitoring in the names of operations.
WORDS = {
    "DataQuality": "data_quality", "ModelQuality": "model_quality", "ModelBias": "model_bias",
    "ModelExplainability": "model_explainability",
}  # fmt: skip
EVERY_HOUR = {"ScheduleExpression": "cron(0 * ? * * *)"}


class Bench:
    """A client, and a hand on what lies behind it."""

    arn = ARN
    image = IMAGE
    role = ROLE

    def __init__(self, store, clock, objects, stamp, client_of):
        self.store, self.clock, self.objects = store, clock, objects
        definitions = Definitions(store, objects)
        commands = EndpointCommands(store, objects, lambda: None, stamp)
        families = (
            Models(definitions, store),
            EndpointConfigs(definitions, store),
            Endpoints(commands, store),
            Tags(store),
            Search(store),
        )
        self.client = client_of(SageMaker(families))

    def model(self, name="m", **container):
        self.clock.advance(seconds=1)
        given = {"Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz"} | container
        self.client.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=given)
        return name

    def variant(self, name="AllTraffic", **changes):
        facts = {
            "VariantName": name,
            "ModelName": "m",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        return facts | changes

    def config(self, name="c", *variants, **members):
        self.clock.advance(seconds=1)
        given = list(variants) or [self.variant()]
        self.client.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=given, **members
        )
        return name

    def endpoint(self, name="e", config="c", status="InService", **members):
        self.clock.advance(seconds=1)
        self.client.create_endpoint(EndpointName=name, EndpointConfigName=config, **members)
        if status != "Creating":
            self.set_status(name, status)
        return name

    def set_status(self, name, status, **changes):
        """Do what the worker would have done."""
        with self.store.begin() as db:
            endpoint = rows.find(db, name)
            if status == "InService" and endpoint.pending is not None:
                changes |= {"current": fleets.settle(endpoint.pending), "pending": None}
            rows.update(db, dataclasses.replace(endpoint, status=EndpointStatus(status), **changes))


@pytest.fixture
def bench(store, clock, tmp_path, client_of):
    """A bench with a model `m` and an endpoint config `c`."""
    objects = LocalObjects(store, tmp_path / "objects", clock)
    objects.ensure_bucket("bucket")
    objects.put("bucket", "model.tar.gz", b"an archive")
    made = Bench(store, clock, objects, RoutingStamp(tmp_path / "routing"), client_of)
    made.model()
    made.config()
    return made


@pytest.fixture
def refusal():
    """A function that makes a call which must fail, and returns code and message."""

    def call(operation, **members):
        with pytest.raises(operation.__self__.exceptions.ClientError) as caught:
            operation(**members)
        said = caught.value.response["Error"]
        return said["Code"], said["Message"]

    return call


class Desk:
    """A client, an endpoint that captures, and a hand on the rows behind."""

    def __init__(self, cloud):
        self.cloud, self.bucket = cloud, cloud.bucket
        self.client = cloud.client("sagemaker")
        self.s3 = cloud.client("s3")
        self.s3.put_object(Bucket=self.bucket, Key="model.tar.gz", Body=b"an archive")
        self.s3.put_object(Bucket=self.bucket, Key="clarify.json", Body=b"{}")
        self.endpoint("price")

    def endpoint(self, name):
        container = {"Image": IMAGE, "ModelDataUrl": f"s3://{self.bucket}/model.tar.gz"}
        self.client.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        variant = {
            "VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }  # fmt: skip
        capture = {
            "InitialSamplingPercentage": 100, "DestinationS3Uri": f"s3://{self.bucket}/captured",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        }  # fmt: skip
        self.client.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant], DataCaptureConfig=capture
        )
        self.client.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def members(self, kind, endpoint="price"):
        """Return the members of a Create…JobDefinition request."""
        app = {"ImageUri": MONITOR}
        source = {
            "EndpointInput": {
                "EndpointName": endpoint, "LocalPath": "/opt/ml/processing/input/endpoint",
            }
        }  # fmt: skip
        if kind in {"ModelBias", "ModelExplainability"}:
            app = {"ImageUri": CLARIFY, "ConfigUri": f"s3://{self.bucket}/clarify.json"}
        if kind == "ModelQuality":
            app["ProblemType"] = "Regression"
        if kind in {"ModelQuality", "ModelBias"}:
            source["GroundTruthS3Input"] = {"S3Uri": f"s3://{self.bucket}/labels"}
        place = {"S3Uri": f"s3://{self.bucket}/reports", "LocalPath": "/opt/ml/processing/output"}
        return {
            f"{kind}AppSpecification": app,
            f"{kind}JobInput": source,
            f"{kind}JobOutputConfig": {"MonitoringOutputs": [{"S3Output": place}]},
            "JobResources": {
                "ClusterConfig": {
                    "InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5,
                }
            },
            "RoleArn": ROLE,
            "StoppingCondition": {"MaxRuntimeInSeconds": 1800},
        }  # fmt: skip

    def call(self, verb, kind, **members):
        plural = "s" if verb == "list" else ""
        operation = getattr(self.client, f"{verb}_{WORDS[kind]}_job_definition{plural}")
        return operation(**members)

    def define(self, kind="DataQuality", name="d", **changes):
        given = self.members(kind) | changes
        return self.call("create", kind, JobDefinitionName=name, **given)["JobDefinitionArn"]

    def schedule(self, name="s", definition="d", kind="DataQuality", **config):
        given = {
            "ScheduleConfig": EVERY_HOUR, "MonitoringJobDefinitionName": definition,
            "MonitoringType": kind,
        } | config  # fmt: skip
        return self.client.create_monitoring_schedule(
            MonitoringScheduleName=name, MonitoringScheduleConfig=given
        )["MonitoringScheduleArn"]

    def executions(self, *statuses, schedule="s", kind="DataQuality"):
        """Leave executions as the worker would, an hour apart."""
        first = dt.datetime(2026, 1, 5, 10, tzinfo=dt.UTC)
        with self.cloud.app.store.begin() as db:
            for number, status in enumerate(statuses):
                at = first + dt.timedelta(hours=number)
                made = Execution(
                    schedule=schedule, scheduled_at=at, start=at - dt.timedelta(hours=1), end=at,
                    kind=MonitoringType(kind), definition="d", endpoint="price", job=f"j{number}",
                    job_arn=f"{ARN}processing-job/j{number}", status=ExecutionStatus(status),
                    created_at=at, modified_at=at + dt.timedelta(minutes=5),
                )  # fmt: skip
                monitoring_rows.put_execution(db, made)


@pytest.fixture
def desk(cloud):
    return Desk(cloud)
