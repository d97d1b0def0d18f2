"""Which operations there are, for the page that lists them."""

from __future__ import annotations

import inspect
from typing import Any

from farero.aws.services.cloudwatch import CloudWatch
from farero.aws.services.cloudwatch.alarms import AlarmFamily
from farero.aws.services.cloudwatch.anomaly import AnomalyFamily
from farero.aws.services.cloudwatch.dashboards import DashboardFamily
from farero.aws.services.cloudwatch.metrics import MetricFamily
from farero.aws.services.events import EventBridge
from farero.aws.services.iam import Iam
from farero.aws.services.logs import CloudWatchLogs
from farero.aws.services.s3 import S3
from farero.aws.services.sagemaker import SageMaker
from farero.aws.services.sagemaker.endpoint_configs import EndpointConfigs
from farero.aws.services.sagemaker.endpoints import Endpoints
from farero.aws.services.sagemaker.models import Models
from farero.aws.services.sagemaker.monitoring import Monitoring
from farero.aws.services.sagemaker.monitoring_definitions import JobDefinitions
from farero.aws.services.sagemaker.processing import Processing as ProcessingRoom
from farero.aws.services.sagemaker.search import Search
from farero.aws.services.sagemaker.tags import Tags
from farero.aws.services.sagemaker.training import Training as TrainingRoom
from farero.aws.services.sagemaker_runtime import SageMakerRuntime
from farero.aws.services.sns import Sns
from farero.aws.services.sqs import Sqs
from farero.aws.services.sts import Sts

ROOMS = (
    S3,
    SageMaker,
    SageMakerRuntime,
    CloudWatchLogs,
    Iam,
    Sts,
    Sns,
    Sqs,
    CloudWatch,
    EventBridge,
)
SAGEMAKER_FAMILIES = (
    Models,
    EndpointConfigs,
    Endpoints,
    Tags,
    Search,
    TrainingRoom,
    ProcessingRoom,
    JobDefinitions,
    Monitoring,
)
CLOUDWATCH_FAMILIES = (MetricFamily, AlarmFamily, AnomalyFamily, DashboardFamily)


def supported_operations() -> dict[str, set[str]]:
    """Return, per service, the names of the operations that its room has."""
    found: dict[str, set[str]] = {}
    for room in ROOMS:
        families: tuple[type, ...] = getattr(room, "FAMILIES", ())
        if room is SageMaker:
            families = SAGEMAKER_FAMILIES
        if room is CloudWatch:
            families = CLOUDWATCH_FAMILIES
        names: set[str] = set()
        for cls in families or (room,):
            names |= {n for n, f in inspect.getmembers(cls, callable) if _is_operation(n, f)}
        found[room.service] = names
    return found


def _is_operation(name: str, function: Any) -> bool:
    if name.startswith("_") or not inspect.isfunction(function):
        return False
    parameters = list(inspect.signature(function).parameters)
    return parameters[:2] == ["self", "ctx"] and len(parameters) == 3
