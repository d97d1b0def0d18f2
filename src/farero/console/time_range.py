"""The stretch of time that a page shows; the address says which, so a link shows the same to anybody."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds of each range that ends now.
KEYS = {"15m": 900, "1h": 3600, "3h": 10800, "12h": 43200, "1d": 86400, "3d": 259200, "1w": 604800}
DEFAULT = "1h"
_PERIODS = (60, 300, 900, 3600, 21600, 86400)
_MOST_POINTS = 300
#: What is older than the days is kept in periods of the seconds.
_KEPT = ((63, 3600), (15, 300))
_MOST_DAYS = 456


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of time; key: what the address calls it, "" if it gives a start and an end."""

    start: datetime
    end: datetime
    key: str

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end - self.start).total_seconds()

    @property
    def period(self) -> int:
        """Seconds of a point, so that a graph has some hundred points and the data is still kept so finely."""
        age = datetime.now(UTC) - self.start
        floor = next((period for days, period in _KEPT if age > timedelta(days=days)), 60)
        fitting = (p for p in _PERIODS if self.seconds / p <= _MOST_POINTS and p >= floor)
        return next(fitting, _PERIODS[-1])

    @property
    def start_ms(self) -> float:
        """The start, in milliseconds since 1970."""
        return self.start.timestamp() * 1000

    @property
    def end_ms(self) -> float:
        """The end, in milliseconds since 1970."""
        return self.end.timestamp() * 1000

    @property
    def is_live(self) -> bool:
        """Whether it ends now, whenever that is."""
        return bool(self.key)

    @property
    def query(self) -> dict[str, str]:
        """What the address says of it."""
        if self.key:
            return {"range": self.key}
        return {"start": self.start.isoformat(), "end": self.end.isoformat()}

    def again(self, now: datetime | None = None) -> Range:
        """Return the same range at a later time: what ends now has moved on, anything else is the same."""
        return latest(self.key, now) if self.key else self

    def aligned(self) -> Range:
        """Return the range widened to whole periods, so that the same question is asked while a period lasts."""
        period = self.period
        start = math.floor(self.start.timestamp() / period) * period
        end = math.ceil(self.end.timestamp() / period) * period
        return Range(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC), self.key)


def latest(key: str = DEFAULT, now: datetime | None = None) -> Range:
    """Return a range that ends now."""
    end = now or datetime.now(UTC)
    return Range(end - timedelta(seconds=KEYS[key]), end, key)


def from_query(
    given: Mapping[str, str], default: str = DEFAULT, now: datetime | None = None
) -> Range:
    """Return the range that an address names: ?range=KEY, or ?start= and ?end= in ISO 8601; else the default."""
    start, end = _moment(given.get("start", "")), _moment(given.get("end", ""))
    if start and not end:
        end = now or datetime.now(UTC)
    if start and end and timedelta(0) < end - start <= timedelta(days=_MOST_DAYS):
        return Range(start, end, "")
    key = given.get("range", "")
    return latest(key if key in KEYS else default, now)


def picker(t: dict[str, str], chosen: Range) -> None:
    """Draw links to the ranges, and a form for any other; choosing one changes the address."""
    from nicegui import ui

    from farero.console.layout import words

    url = ui.context.client.request.url

    def address(query: Mapping[str, str]) -> str:
        bare = url.remove_query_params(["range", "start", "end"])
        new = bare.include_query_params(**query)
        return new.path + (f"?{new.query}" if new.query else "")

    with ui.element("div").classes("f-picker").props("role=group") as group:
        group.props["aria-label"] = t["range"]
        for key in KEYS:
            link = ui.link(key, address({"range": key}))
            if key == chosen.key:
                link.props("aria-current=true")
        with ui.element("details").classes("f-custom"):
            with ui.element("summary"):
                words(t["custom"] if chosen.key else shown(chosen))
            fields = [
                _field(t[name], at) for name, at in (("from", chosen.start), ("to", chosen.end))
            ]
            again = ui.element("button").classes("f-quiet").props("type=button")

            def choose() -> None:
                start, end = (_moment(str(one.value or "")) for one in fields)
                if start and end and start < end:
                    ui.navigate.to(address({"start": start.isoformat(), "end": end.isoformat()}))

            again.on("click", lambda _: choose())
            with again:
                words(t["apply_range"])


def shown(chosen: Range) -> str:
    """Return a range as people read it, in local time."""
    start, end = chosen.start.astimezone(), chosen.end.astimezone()
    return f"{start:%Y-%m-%d %H:%M} - {end:%Y-%m-%d %H:%M %Z}"


def _field(label: str, at: datetime):  # noqa: ANN202 - NiceGUI's input, which is imported late
    from nicegui import ui

    value = f"{at.astimezone():%Y-%m-%dT%H:%M}"
    return ui.input(label, value=value).props("type=datetime-local dense stack-label")


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
