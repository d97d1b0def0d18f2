"""What every part of the page is made from: the judged window, its baseline, those before it, and the language."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

from farero_monitor.report import svg
from farero_monitor.report.texts import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero_monitor.history import Point, Window
    from farero_monitor.monitor import Baseline, Result
    from farero_monitor.words import Language

#: Characters of a name or a text that are shown.
NAME, TEXT = 80, 400


@dataclass(frozen=True)
class View:
    """All of it. Texts that come from data go through `name` or `safe`, and nowhere else."""

    result: Result
    baseline: Baseline
    #: The oldest first, the judged one last.
    windows: Sequence[Window]
    language: Language

    def say(self, key: str, **facts: object) -> str:
        """Return one of the page's own texts; it is escaped, as facts may come from data."""
        return escape(TABLES[self.language][key].format(**facts))

    @cached_property
    def points(self) -> list[dict[str, Point]]:
        """The columns of each window by their names."""
        return [{point.name: point for point in window.columns} for window in self.windows]

    @cached_property
    def only_once(self) -> set[str]:
        """The columns that changed and are not told yet: a notice needs two of three windows."""
        told = {finding.column for finding in self.result.verdict.findings}
        return {*self.result.verdict.drifted} - told

    @cached_property
    def ends(self) -> tuple[str, str]:
        """What stands below a drawing over time."""
        return moment(self.windows[0].begin), moment(self.windows[-1].until)


def moment(time: str) -> str:
    """Write an ISO time in few characters: month, day, hour and minute."""
    return time[5:16].replace("T", " ")


def name(text: str) -> str:
    """Return a column's name, or another short text of the data, as HTML."""
    return escape(svg.cut(text, NAME))


def safe(text: str) -> str:
    """Return a longer text that may hold parts of the data, as HTML."""
    return escape(svg.cut(text, TEXT))
