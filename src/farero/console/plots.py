"""The charts of a page: asked for at once, drawn, and kept up to date while the range ends now."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nicegui import ui

from farero.console import charts
from farero.console.charts import Series, chart, columns, lines, redraw, told
from farero.console.data import Cloud, UnavailableError
from farero.console.layout import card, heading, words
from farero.console.metrics import figures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from farero.console.charts import Band, Json
    from farero.console.time_range import Range

EVERY_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One chart: its queries' ids must differ from those of the page's other plots."""

    title: str
    queries: Sequence[Json]
    unit: str = ""
    is_columns: bool = False
    #: Sums become what a minute had.
    is_per_minute: bool = False
    colours: Sequence[str] = ()
    #: Where nothing was measured, the chart is left out.
    is_optional: bool = False
    ids: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Keep the ids to tell the plot's own series by."""
        object.__setattr__(self, "ids", frozenset(query["Id"] for query in self.queries))

    def option(self, series: Sequence[Series], shown: Range, bands: Sequence[Band]) -> Json:
        """Return what ECharts is told."""
        draw = columns if self.is_columns else lines
        return draw(
            series, unit=self.unit, start=shown.start_ms, end=shown.end_ms, bands=bands,
        )  # fmt: skip

    def own(self, found: Sequence[Series], period: int) -> list[Series]:
        """Return the plot's own series of a page's."""
        mine = [one for one in found if one.id in self.ids]
        factor = 60 / period if self.is_per_minute else 1.0
        return [
            replace(
                one,
                points=[(at, None if v is None else v * factor) for at, v in one.points],
                colour=self.colours[place] if place < len(self.colours) else "",
            )
            for place, one in enumerate(mine)
        ]


class _Place:
    """Where one plot is drawn."""

    def __init__(self, plot: Plot, t: dict[str, str]) -> None:
        self.plot, self.t = plot, t
        self.card = card()
        with self.card:
            heading(plot.title)
            self.note = words("").classes("f-dim f-nothing")
            self.holder = ui.element("div").style("width:100%")
        self.chart: ui.element | None = None

    def show(self, found: Sequence[Series], shown: Range, bands: Sequence[Band]) -> None:
        series = self.plot.own(found, shown.period)
        is_empty = not any(one.values for one in series)
        self.card.set_visibility(not (is_empty and self.plot.is_optional))
        self.note.set_visibility(is_empty)
        self.holder.set_visibility(not is_empty)
        if is_empty:
            self.note.set_text(self.t["no_data"])
            return
        option = self.plot.option(series, shown, bands)
        label = f"{self.plot.title}. {told(series, self.plot.unit)}"
        if self.chart is None:
            with self.holder:
                self.chart = chart(option, label)
        else:
            redraw(self.chart, option, label)

    def fail(self, text: str, *, is_first: bool) -> None:
        self.card.set_visibility(is_first)  # all were asked at once: the reason is said once
        self.holder.set_visibility(False)
        self.note.set_text(text)
        self.note.set_visibility(True)


async def plots(
    cloud: Cloud,
    t: dict[str, str],
    wanted: Sequence[Plot],
    shown: Range,
    bands: Callable[[Range], Any] | None = None,
) -> None:
    """Draw charts in a grid. bands: coroutine function that returns stretches of time to mark in all of them."""
    with ui.element("div").classes("f-charts"):
        places = [_Place(plot, t) for plot in wanted]

    async def turn() -> None:
        now = shown.again()
        queries = [query for plot in wanted for query in plot.queries]
        try:
            found, marked = await asyncio.gather(
                figures(cloud, queries, now), bands(now) if bands else _none()
            )
        except UnavailableError as error:
            for number, place in enumerate(places):
                place.fail(str(error), is_first=number == 0)
            return
        if not places or places[0].card.is_deleted:
            return
        for place in places:
            place.show(found, now, marked)

    await turn()
    if shown.is_live:
        ui.timer(EVERY_S, turn, immediate=False)


async def _none() -> list[Band]:
    return []


def sparkline(points: Sequence[charts.Point], shown: Range, label: str, colour: str) -> None:
    """Draw a line as high as a word, over a range; label: what it shows, in words."""
    with (
        ui.element("svg").classes("f-spark")
        .props('viewBox="0 0 100 24" preserveAspectRatio=none role=img') as drawn
    ):  # fmt: skip
        drawn.props["aria-label"] = label
        path = ui.element("path")
        path.props["d"] = charts.spark(points, shown.start_ms, shown.end_ms)
        path.style(f"stroke:{colour}")
