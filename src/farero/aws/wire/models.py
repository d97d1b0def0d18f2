"""botocore's service models: the one source of operations, shapes and protocols.

The table below names the services that one host tells apart; everything else is read from botocore's
`service-2.json` when a service is first asked for. What is kept of it is JSON, without the texts for people, and a
shape becomes objects when somebody asks for it: SageMaker's model then takes 3 MB of memory, as objects 11.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import orjson
from botocore.exceptions import DataNotFoundError
from botocore.loaders import JSONFileLoader, Loader
from botocore.model import ServiceModel
from botocore.utils import deep_merge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import OperationModel, Shape

#: What a model has many of.
PARTS = ("operations", "shapes")


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


class _Parts(Mapping[str, Any]):
    """Operations or shapes by name, as JSON; each is read when it is asked for, and not kept."""

    def __init__(self, parts: Mapping[str, msgspec.Raw]) -> None:
        self._parts: dict[str, bytes] = {}
        for name, part in parts.items():
            self.put(name, orjson.loads(memoryview(part)))

    def put(self, name: str, part: Any) -> None:
        """Keep a part, without what is written for people."""
        _leave_out_texts(part)
        self._parts[name] = bytes(
            memoryview(orjson.dumps(part))
        )  # dumps() holds a kilobyte for each

    def __getitem__(self, name: str) -> Any:
        return orjson.loads(self._parts[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


class _Files(JSONFileLoader):
    """Reads quickly, and only so far as it is needed."""

    def load_file(self, file_path: str) -> Any:
        """Return what a file says, named without its ending; None if there is none."""
        for path in (Path(f"{file_path}.json"), Path(f"{file_path}.json.gz")):
            if path.is_file():
                raw = path.read_bytes()
                text = gzip.decompress(raw) if path.suffix == ".gz" else raw
                members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
                return {
                    name: _Parts(msgspec.json.decode(member, type=dict[str, msgspec.Raw]))
                    if name in PARTS
                    else orjson.loads(memoryview(member))
                    for name, member in members.items()
                }
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
    loader = Loader(file_loader=_Files(), include_default_extras=False)
    folder = f"{service}/{loader.determine_latest_version(service, 'service-2')}"
    description = cast("dict[str, Any]", loader.load_data(f"{folder}/service-2"))
    _leave_out_texts(description)
    _add(description, loader, f"{folder}/service-2.sdk-extras")
    return ServiceModel(description, service)


def _add(description: dict[str, Any], loader: Loader, extras: str) -> None:
    """Add what botocore keeps beside a service's own description, as its own loader does."""
    try:
        more = cast("dict[str, Any]", loader.load_data(extras)).get("merge", {})
    except DataNotFoundError:
        return
    for part in PARTS:
        for name, members in more.pop(part, {}).items():
            whole = {**description[part].get(name, {})}
            deep_merge(whole, members)
            description[part].put(name, whole)
    deep_merge(description, more)


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
