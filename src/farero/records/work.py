"""The record of something to be done later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """One row of the queue."""

    #: What to do, e.g. `endpoint.reconcile`; names the handler.
    kind: str
    #: For whom, e.g. the endpoint's name.
    key: str
    #: Not before this moment.
    due: dt.datetime
    #: Failures so far in a row.
    attempts: int
    #: Raised by every put; tells whether the item was put again while it ran.
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Something that happened and that others are to be told, in the order of its queue."""

    id: int
    #: What must stay in order among itself: `alarm/NAME`, `endpoint/NAME`.
    queue: str
    #: `event` (EventBridge), `publish` (SNS) or the kind of another target.
    kind: str
    payload: dict[str, Any]
    created_at: dt.datetime
