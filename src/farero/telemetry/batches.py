"""What PutLogEvents takes: how large a batch may be, and which of its events are left out. Pure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.base.errors import Invalid
from farero.store.logs import OVERHEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.records.telemetry import NewLogEvent

#: PutLogEvents: "The maximum batch size is 1,048,576 bytes", each event counted with 26 bytes besides its message.
BATCH_BYTES = 1_048_576
_DAY_MS = 86_400_000
_TOO_OLD_MS = 14 * _DAY_MS
_TOO_NEW_MS = 2 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Which events of a batch were left out; indices into the batch, None for none."""

    #: First event more than two hours ahead.
    too_new_from: int | None = None
    #: One past the last event older than 14 days.
    too_old_to: int | None = None
    #: One past the last event older than the group's retention.
    expired_to: int | None = None


def check(events: Sequence[NewLogEvent]) -> None:
    """Raise Invalid for a batch that is too large or not in order of time."""
    size = sum(size_of(event.message) for event in events)
    if size > BATCH_BYTES:
        raise Invalid(f"Upload too large: {size} bytes exceeds limit of {BATCH_BYTES}")
    times = [event.timestamp_ms for event in events]
    if any(later < earlier for earlier, later in itertools.pairwise(times)):
        raise Invalid("Log events in a single PutLogEvents request must be in chronological order.")


def reject(events: Sequence[NewLogEvent], now_ms: int, cutoff_ms: int | None) -> Rejected:
    """Say which events are too old or too new. Raises Invalid if the others span more than a day.

    cutoff_ms: what is older has outlived its group's retention.
    """
    times = [event.timestamp_ms for event in events]
    new = next((i for i, ms in enumerate(times) if ms > now_ms + _TOO_NEW_MS), None)
    old = sum(ms < now_ms - _TOO_OLD_MS for ms in times)
    expired = sum(ms < cutoff_ms for ms in times) if cutoff_ms is not None else 0
    good = times[max(old, expired) : new]
    if good and good[-1] - good[0] > _DAY_MS:
        raise Invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        )
    return Rejected(too_new_from=new, too_old_to=old or None, expired_to=expired or None)


def size_of(message: str) -> int:
    """Return the bytes that an event counts."""
    return len(message.encode()) + OVERHEAD_BYTES
