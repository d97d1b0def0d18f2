"""The record of something to be done later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
