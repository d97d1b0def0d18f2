"""botocore's service models: the one source of operations, shapes and protocols.

The table below names the services that one host tells apart; everything else is read from botocore's
`service-2.json` when a service is first asked for, because the model of SageMaker alone takes 4 MB. Read in botocore's
own way, with all its texts for people, it would take 10, and 120 ms of the first request's time instead of 25.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson
from botocore.loaders import JSONFileLoader, Loader
from botocore.model import ServiceModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel, Shape


@dataclass(frozen=True, slots=True)
class Entry:
    """What tells a service's requests apart; equal to its model's metadata (a test compares them)."""

    #: Name in the SigV4 credential scope.
    scope: str
    #: First part of X-Amz-Target and of the rpc-v2 path; "" for REST and query services.
    target: str = ""
    #: API version, the `Version` of query requests.
    version: str = ""


#: Services by botocore's name. Of several REST services in one scope the first whose path fits is meant.
SERVICES: Mapping[str, Entry] = {
    "sagemaker-runtime": Entry("sagemaker", version="2017-05-13"),
    "sagemaker-metrics": Entry("sagemaker", version="2022-09-30"),
    "sagemaker": Entry("sagemaker", "SageMaker", "2017-07-24"),
    "s3": Entry("s3", version="2006-03-01"),
    "sts": Entry("sts", version="2011-06-15"),
    "iam": Entry("iam", version="2010-05-08"),
    "logs": Entry("logs", "Logs_20140328", "2014-03-28"),
    "cloudwatch": Entry("monitoring", "GraniteServiceVersion20100801", "2010-08-01"),
    "sns": Entry("sns", version="2010-03-31"),
    "sqs": Entry("sqs", "AmazonSQS", "2012-11-05"),
    "events": Entry("events", "AWSEvents", "2015-10-07"),
    "scheduler": Entry("scheduler", version="2021-06-30"),
    "lambda": Entry("lambda", version="2015-03-31"),
    "apigateway": Entry("apigateway", version="2015-07-09"),
    "apigatewayv2": Entry("apigateway", version="2018-11-29"),
    "ecs": Entry("ecs", "AmazonEC2ContainerServiceV20141113", "2014-11-13"),
    "ecr": Entry("ecr", "AmazonEC2ContainerRegistry_V20150921", "2015-09-21"),
    "application-autoscaling": Entry(
        "application-autoscaling", "AnyScaleFrontendService", "2016-02-06"
    ),
    "ses": Entry("ses", version="2010-12-01"),
    "sesv2": Entry("ses", version="2019-09-27"),
    "stepfunctions": Entry("states", "AWSStepFunctions", "2016-11-23"),
}


class _Files(JSONFileLoader):
    """Reads quickly, and leaves out what is written for people."""

    def load_file(self, file_path: str) -> Any:
        """Return what a file says, named without its ending; None if there is none."""
        for path in (Path(f"{file_path}.json"), Path(f"{file_path}.json.gz")):
            if path.is_file():
                raw = path.read_bytes()
                found = orjson.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
                _leave_out_texts(found)
                return found
        return None


def _leave_out_texts(node: Any) -> None:
    if isinstance(node, dict):
        described = cast("dict[str, Any]", node)
        if isinstance(described.get("documentation"), str):  # else it is a member of that name
            del described["documentation"]
        for value in described.values():
            _leave_out_texts(value)
    elif isinstance(node, list):
        for value in cast("list[Any]", node):
            _leave_out_texts(value)


@cache
def service_model(service: str) -> ServiceModel:
    """Load a service's model; the answer is kept."""
    description = Loader(file_loader=_Files()).load_service_model(service, "service-2")
    return ServiceModel(description, service)


def operation_model(service: str, name: str) -> OperationModel | None:
    """Return the model of operation `name`, or None when the service has none of that name."""
    model = service_model(service)
    return model.operation_model(name) if name in model.operation_names else None


def main_protocol(model: ServiceModel) -> str:
    """Return the protocol that a service's REST or target requests speak, without rpc-v2-cbor."""
    protocol = str(model.metadata.get("protocol", "json"))
    return "json" if protocol == "smithy-rpc-v2-cbor" else protocol


def wire_name(shape: Shape, default: str) -> str:
    """Return the name a member has on the wire."""
    return cast("str", shape.serialization.get("name", default))


def namespace(model: ServiceModel) -> str:
    """Return the XML namespace of a service's answers, or ""."""
    if model.service_name == "s3":
        return "http://s3.amazonaws.com/doc/2006-03-01/"
    return cast("str", model.metadata.get("xmlNamespace") or "")


def is_query_compatible(model: ServiceModel) -> bool:
    """Say whether a service once spoke query and still sends its old error codes in a header."""
    return "awsQueryCompatible" in model.metadata


def find_error(model: ServiceModel, code: str) -> Shape | None:
    """Return the shape of an error, found by its name or by its wire code."""
    return _errors(model).get(code)


def error_code(shape: Shape) -> str:
    """Return the code that query services send for an error shape."""
    return cast("str", shape.metadata.get("error", {}).get("code") or shape.name)


@cache
def _errors(model: ServiceModel) -> dict[str, Shape]:
    table: dict[str, Shape] = {}
    for shape in model.error_shapes:
        table.setdefault(error_code(shape), shape)
        table[shape.name] = shape
    return table
