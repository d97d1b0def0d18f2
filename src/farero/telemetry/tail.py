"""Live tail: what arrives in a few groups, as it arrives; more than can be shown in a second is sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.store import logs as rows
from farero.telemetry.arrivals import Arrivals
from farero.telemetry.filter_patterns import compile_pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.base.clock import Clock
    from farero.records.telemetry import LogEvent
    from farero.store.engine import Store

#: "A sessionUpdate can include up to 500 log events"; what is beyond is left out evenly (StartLiveTail).
SHOWN = 500
#: A look reads this much of one group; what came above it meanwhile is passed over.
READ = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What has arrived since the last look: events with the name of their group."""

    events: list[tuple[str, LogEvent]]
    is_sampled: bool


class Tail:
    """One session. Raises NotFound for a group, Invalid for a pattern that cannot be read."""

    def __init__(  # noqa: PLR0913 - one a member of StartLiveTail
        self,
        store: Store,
        clock: Clock,
        groups: Sequence[str],
        *,
        streams: Sequence[str] = (),
        prefixes: Sequence[str] = (),
        pattern: str = "",
    ) -> None:
        """streams, prefixes: only streams of these names, or that begin so; all if none is given."""
        self._store = store
        self._arrivals = Arrivals(store, clock)
        self._streams = frozenset(streams)
        self._prefixes = tuple(prefixes)
        self._matches = compile_pattern(pattern)
        with store.read() as db:
            self._groups = [rows.get_group(db, name) for name in groups]
        head = self._arrivals.head()
        self._places = {group.id: head for group in self._groups}

    def look(self) -> Update:
        """Return what has arrived since the last look."""
        settled = self._arrivals.look()
        events: list[tuple[str, LogEvent]] = []
        is_sampled = False
        for group in self._groups:
            found, place = self._arrivals.read(
                group.id, after=self._places[group.id], settled=settled, limit=READ
            )
            if not found.is_end:
                place, is_sampled = max(place, self._arrivals.head()), True
            self._places[group.id] = place
            events += [(group.name, event) for event in found.events if self._is_wanted(event)]
        if len(events) > SHOWN:
            step = len(events) / SHOWN
            events, is_sampled = [events[int(index * step)] for index in range(SHOWN)], True
        return Update(events=events, is_sampled=is_sampled)

    def _is_wanted(self, event: LogEvent) -> bool:
        if self._streams and event.stream not in self._streams:
            return False
        if self._prefixes and not event.stream.startswith(self._prefixes):
            return False
        return self._matches(event.message)
