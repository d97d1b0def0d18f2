"""Earlier windows, read from the `drift_report.json` that each run left: what the page draws over time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Windows that are drawn; older ones are left out.
MOST = 60
NAME = "drift_report.json"


class Point(msgspec.Struct, frozen=True):
    """One column in one window."""

    name: str
    state: str = ""
    score: float | None = None
    missing: float | None = None


class Figure(msgspec.Struct, frozen=True):
    """A metric of the model: its value, its band of 95 %, the baseline's, and what is usual. None is unknown."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    reference: float | None = None
    least: float | None = None
    most: float | None = None
    #: same, worse, better
    state: str = ""


class Quality(msgspec.Struct, frozen=True):
    """The model's quality: measured (`quality`) or estimated without labels (`estimated`)."""

    figures: dict[str, Figure] = {}
    method: str = ""
    #: Rows it was computed from, and rows of the window.
    rows: int | None = None
    window_rows: int | None = None
    #: Why there are no figures; empty if there are.
    reason: str = ""


class Together(msgspec.Struct, frozen=True):
    """How well a classifier tells the window's rows from the baseline's by how columns go together."""

    auc: float | None = None
    changed: bool = False
    #: The pairs of columns that give the window away, the clearest first.
    pairs: tuple[tuple[str, str], ...] = ()


class Window(msgspec.Struct, frozen=True):
    """One window, as its report tells it; what a report of an earlier version lacks is empty."""

    rows: int
    severity: str = "none"
    start: str = ""
    end: str = ""
    first: str = ""
    last: str = ""
    columns: tuple[Point, ...] = ()
    estimated: Quality | None = None
    quality: Quality | None = None
    together: Together | None = None

    @property
    def begin(self) -> str:
        """When it began, ISO 8601; empty where nothing tells it."""
        return self.start or self.first

    @property
    def until(self) -> str:
        """When it ended."""
        return self.end or self.last

    @property
    def changed(self) -> list[str]:
        """The columns that had changed."""
        return [point.name for point in self.columns if point.state == "changed"]

    @property
    def share_changed(self) -> float | None:
        """The share of columns that had changed, of those with enough data."""
        judged = [point for point in self.columns if point.state != "not enough data"]
        return len(self.changed) / len(judged) if judged else None

    @property
    def missing(self) -> float | None:
        """The share of all values that were missing."""
        known = [point.missing for point in self.columns if point.missing is not None]
        return sum(known) / len(known) if known else None


@dataclass(frozen=True, slots=True)
class History:
    """Windows, the oldest first, and what could not be read."""

    windows: list[Window] = field(default_factory=list[Window])
    #: (file, reason)
    left_out: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def before(self, start: str, end: str) -> list[Window]:
        """Return the windows earlier than one; a window that is judged again is not its own past."""
        return [
            window
            for window in self.windows
            if not start or (window.begin <= start and (window.begin, window.until) != (start, end))
        ]


def read(folder: Path) -> History:
    """Read all reports below a folder; the latest `MOST` are kept. A file that is no report is named, not fatal."""
    made = History()
    for path in sorted(folder.rglob(NAME)):
        try:
            made.windows.append(msgspec.json.decode(path.read_bytes(), type=Window))
        except (OSError, msgspec.MsgspecError) as error:
            made.left_out.append((str(path), str(error)))
    made.windows.sort(key=lambda window: window.begin)
    del made.windows[:-MOST]
    return made


def of_content(content: dict[str, Any]) -> Window:
    """Return the window of a report's content; raises ValueError if it is none."""
    return msgspec.convert(content, Window, strict=False)


def drifted(windows: Sequence[Window]) -> list[list[str]]:
    """Return the columns that had changed in each window, the newest first, as `judge(before=…)` takes them."""
    return [window.changed for window in reversed(windows)]
