"""The families of models and endpoints behind a real boto3 client; nothing runs, so endpoints stay as they are set."""

import dataclasses

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
from farero.store import endpoints as rows

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
ARN = "arn:aws:sagemaker:us-east-1:123456789012:"


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
