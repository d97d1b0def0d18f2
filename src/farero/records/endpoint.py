"""Models, endpoint configs, endpoints and their replicas."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads the annotations at run time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EndpointStatus(StrEnum):
    """AWS's EndpointStatus."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    ROLLING_BACK = "RollingBack"
    FAILED = "Failed"
    DELETING = "Deleting"


#: Nothing may be changed while an endpoint is in one of these; it can still be deleted.
IN_PROGRESS = frozenset(
    {EndpointStatus.CREATING, EndpointStatus.UPDATING, EndpointStatus.ROLLING_BACK}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelData:
    """Where a model's files lie, and what lay there when the model was created."""

    uri: str
    #: Fingerprint of the content: the object's ETag, or a hash over the ETags below a prefix.
    etag: str
    size_bytes: int
    #: The URI is a prefix whose objects are the files themselves, not an archive.
    is_folder: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A container and its model data; immutable."""

    name: str
    arn: str
    created_at: dt.datetime
    #: The create request without name and tags, under AWS's names.
    given: dict[str, Any]
    #: None for a container without model data.
    data: ModelData | None = None

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Container definitions as given; one, unless the model is a pipeline."""
        if "PrimaryContainer" in self.given:
            return [self.given["PrimaryContainer"]]
        return list(self.given.get("Containers", []))


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """What an endpoint shall look like; immutable."""

    name: str
    arn: str
    created_at: dt.datetime
    #: The create request without name and tags, under AWS's names.
    given: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One production variant of a fleet with all that is needed to start a replica of it."""

    name: str
    model_name: str
    role_arn: str = ""
    #: The container definition, under AWS's names.
    container: dict[str, Any]
    data: ModelData | None = None
    instance_type: str = ""
    #: Under AWS's names; None for instances.
    serverless: dict[str, int] | None = None
    #: What is asked for.
    desired_count: int = 1
    desired_weight: float = 1.0
    #: What routing uses; follows the desired values when replicas are ready.
    current_count: int = 0
    current_weight: float = 0.0
    #: Seconds a replica may take until /ping answers 200.
    startup_timeout_s: int = 240
    #: What runs behind the image's name, e.g. `xgboost 3.0.5 (Python 3.11.4)`; "" until it is known.
    runs: str = ""
    resolved_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """One generation of replicas: an endpoint config brought together with its models."""

    generation: int
    config_name: str
    #: EndpointConfig.given.
    config: dict[str, Any]
    variants: tuple[Variant, ...]
    began_at: dt.datetime
    #: While it is on its way in: what part of the endpoint's requests it gets, from 0 to 1, and since when.
    share: float = 0.0
    shifted_at: dt.datetime | None = None
    #: What part of its replicas it shall have; less than all where two fleets take turns batch by batch.
    part: float = 1.0

    @property
    def capture(self) -> dict[str, Any] | None:
        """DataCaptureConfig as given, or None."""
        return self.config.get("DataCaptureConfig")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint: what it serves with, and what shall take its place."""

    name: str
    arn: str
    status: EndpointStatus
    created_at: dt.datetime
    modified_at: dt.datetime
    #: The fleet that gets the requests; None until the first is ready.
    current: Fleet | None = None
    #: The fleet on its way in.
    pending: Fleet | None = None
    #: Number of the newest fleet.
    generation: int = 0
    failure_reason: str | None = None
    #: The last DeploymentConfig.
    deployment: dict[str, Any] | None = None
    #: Raised by every change a caller made, so that the worker notices one made while it looked.
    revision: int = 0

    @property
    def routed(self) -> list[tuple[Fleet, float]]:
        """The fleets that get requests, and what part of them each; nothing before the first fleet is in service."""
        if self.current is None:
            return []
        share = self.pending.share if self.pending is not None else 0.0
        both = [(self.current, 1 - share), (self.pending, share)]
        return [(fleet, part) for fleet, part in both if fleet is not None and part]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointChange:
    """What an endpoint became at some time."""

    at: dt.datetime
    status: str
    #: The configuration on its way in, else the one that serves.
    config: str
    #: Name, weight and count that were asked for.
    variants: list[tuple[str, float, int]]
    reason: str | None


class ReplicaState(StrEnum):
    """Where one replica stands."""

    #: Has no process: new, or waiting for its restart.
    WAITING = "waiting"
    #: The process runs, /ping has not answered 200 yet.
    STARTING = "starting"
    READY = "ready"
    #: Gets no new requests; stopped when the drain is over.
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One model server process, or the place for it."""

    id: str
    endpoint: str
    variant: str
    generation: int
    state: ReplicaState = ReplicaState.WAITING
    socket_path: str
    created_at: dt.datetime
    #: Raised by every start; part of the process's name.
    attempt: int = 0
    started_at: dt.datetime | None = None
    #: When it was first able to answer; None while it never was. Routing lists it from then on.
    ready_at: dt.datetime | None = None
    #: Not to be started before this moment.
    start_after: dt.datetime | None = None
    #: When a draining replica is told to end.
    stop_after: dt.datetime | None = None
    stop_sent: bool = False
    #: Deaths of the last minute.
    deaths: tuple[dt.datetime, ...] = field(default=())

    @property
    def process_name(self) -> str:
        """Name of the present attempt in the process seam."""
        return f"{process_prefix(self.endpoint)}{self.variant}/{self.id}/{self.attempt}"


def process_prefix(endpoint: str | None = None) -> str:
    """Return what the names of all processes of an endpoint, or of all endpoints, begin with."""
    return "endpoint/" if endpoint is None else f"endpoint/{endpoint}/"


def log_group(endpoint: str) -> str:
    """Return the log group of an endpoint."""
    return f"/aws/sagemaker/Endpoints/{endpoint}"


def log_stream(replica: Replica) -> str:
    """Return a replica's stream: `<variant>/<instance id>`."""
    return f"{replica.variant}/i-{replica.id}"
