"""A dashboard on the screen: each widget at its place, drawn anew when what it shows has changed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nicegui import ui

from farero.console import charts
from farero.console.data import UnavailableError
from farero.console.layout import heading, words
from farero.console.widgets import asking, drawing, markdown, views
from farero.console.widgets.alarms import queries
from farero.console.widgets.body import alarms_of, is_auto
from farero.console.widgets.grid import place
from farero.console.widgets.marks import Mark, number
from farero.console.widgets.metrics import CannotDrawError, Graph, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from farero.console.charts import Series
    from farero.console.data import Cloud
    from farero.console.time_range import Range
    from farero.console.widgets.grid import Widget
    from farero.console.widgets.metrics import Json


class Board:
    """The widgets of one dashboard."""

    def __init__(self, cloud: Cloud, t: dict[str, str], body: Json) -> None:
        """body: any JSON object, whoever wrote it."""
        self._cloud = cloud
        self._t = t
        self._widgets = place(body)
        self._is_auto = is_auto(body)
        self._frames: dict[int, ui.element] = {}
        self._holders: dict[int, ui.element] = {}
        self._noted: set[int] = set()
        self._drawn: dict[int, Any] = {}
        self._charts: dict[int, ui.element] = {}
        self._asking = asyncio.Semaphore(2)

    @property
    def size(self) -> int:
        """How many widgets there are."""
        return len(self._widgets)

    def draw(self) -> None:
        """Draw the frames, and what needs no data."""
        ui.add_css(views.CSS)
        with ui.element("div").classes("f-dash"):
            for key, widget in enumerate(self._widgets):
                self._frame(key, widget)

    def _frame(self, key: int, widget: Widget) -> None:
        bare = widget.properties.get("background") == "transparent"
        made = ui.element("section").classes("f-card f-widget" + (" f-bare" if bare else ""))
        made.classes("f-text" if widget.kind == "text" else "")
        column = f"grid-column:{widget.x + 1}/span {widget.width}"
        made.style(f"{column};grid-row:{widget.y + 1}/span {widget.height};--h:{widget.height}")
        self._frames[key] = made
        made.props["aria-label"] = widget.title or widget.kind
        with made:
            if widget.title and widget.kind != "text":
                heading(widget.title)
            self._holders[key] = ui.element("div").classes("f-fill")
        if widget.problem:
            self._say(key, widget.problem)
        elif widget.kind == "text":
            blocks = markdown.read(str(widget.properties.get("markdown", "")))
            self._show(key, blocks, views.text)
        elif widget.kind == "log":
            self._show(key, "…", _dim)
        elif widget.kind in ("explorer", "custom"):
            self._say(key, f"{widget.kind} widgets are not there")

    async def show_metrics(self, chosen: Range) -> None:
        """Ask for all metrics and alarms of the page, and draw what has changed."""
        known = await self._alarms()
        graphs: dict[int, Graph] = {}
        for key, widget in enumerate(self._widgets):
            if widget.problem:
                continue
            if widget.kind == "alarm":
                shown = [known.get(name, {"AlarmName": name}) for name in alarms_of(widget)]
                self._show(key, shown, lambda got: views.alarms(self._t, got))
            elif widget.kind == "metric":
                try:
                    graphs[key] = self._planned(widget, known, chosen)
                except CannotDrawError as error:
                    self._say(key, str(error))
        got = await asking.series(self._cloud, graphs, chosen)
        for key, graph in graphs.items():
            found = got[key]
            if isinstance(found, str):
                self._say(key, found)
            else:
                self._draw_graph(key, graph, found, chosen, known)

    async def show_logs(self, chosen: Range) -> None:
        """Run the queries of the log widgets, two at a time, and draw what has changed."""
        wanted = [
            (key, widget)
            for key, widget in enumerate(self._widgets)
            if widget.kind == "log" and not widget.problem
        ]
        await asyncio.gather(*(self._show_log(key, widget, chosen) for key, widget in wanted))

    async def _show_log(self, key: int, widget: Widget, chosen: Range) -> None:
        text = str(widget.properties.get("query", ""))
        view = str(widget.properties.get("view", "table"))
        async with self._asking:
            try:
                rows = await asking.log_rows(
                    self._cloud, text, chosen.start.timestamp(), chosen.end.timestamp()
                )
            except (CannotDrawError, UnavailableError) as error:
                self._say(key, str(error))
                return
        option = drawing.of_rows(rows, view, chosen)
        if option is None:
            self._show(key, rows, lambda got: views.rows(self._t, got))
        else:
            self._chart(key, option, f"{widget.title or self._t['widget_log']}: {len(rows)}")

    async def _alarms(self) -> dict[str, Json]:
        names = list(dict.fromkeys(n for one in self._widgets for n in alarms_of(one)))[:100]
        if not names:
            return {}
        try:
            found = await self._cloud.ask(
                "cloudwatch", "describe_alarms", AlarmNames=names, MaxRecords=100,
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            )  # fmt: skip
        except UnavailableError:
            return {}
        every = [*found["MetricAlarms"], *found["CompositeAlarms"]]
        return {one["AlarmName"]: one for one in every}

    def _planned(self, widget: Widget, known: dict[str, Json], chosen: Range) -> Graph:
        properties = widget.properties
        if properties.get("metrics"):
            return plan(
                properties,
                period=chosen.period,
                seconds=int(chosen.seconds),
                is_auto=self._is_auto,
            )
        alarm = next((known[name] for name in alarms_of(widget) if name in known), None)
        found = queries(alarm, chosen.period) if alarm else []
        if not found:
            raise CannotDrawError(f"{self._t['alarm_gone']} {', '.join(alarms_of(widget))}"[:300])
        return Graph(view="timeSeries", queries=found, rows={}, properties=properties)

    def _draw_graph(
        self,
        key: int,
        graph: Graph,
        found: Sequence[Series],
        chosen: Range,
        known: dict[str, Json],
    ) -> None:
        widget = self._widgets[key]
        if graph.notes and key not in self._noted:
            self._noted.add(key)
            with self._frames[key]:
                words(self._t["ignored_region"]).classes("f-dim")
        if not any(one.values for one in found):
            self._show(key, self._t["no_data"], _dim)
        elif graph.view == "singleValue":
            sparks = chosen if graph.properties.get("sparkline") is not False else None
            self._show(key, list(found), lambda got: views.numbers(got, sparks))
        elif graph.view == "table":
            self._show(key, list(found), lambda got: views.statistics(self._t, got))
        else:
            limits = [
                Mark(at=limit, label=name)
                for name in alarms_of(widget)
                if (limit := number(known.get(name, {}).get("Threshold"))) is not None
            ]
            try:
                option = drawing.option(graph, found, chosen, limits)
            except CannotDrawError as error:
                self._say(key, str(error))
                return
            self._chart(key, option, f"{widget.title}: {charts.told(found)}")

    def _say(self, key: int, why: str) -> None:
        self._show(key, self._t["cannot_draw"].format(why=why), _dim)

    def _show(self, key: int, what: Any, draw: Callable[[Any], None]) -> None:
        holder = self._holders[key]
        if holder.is_deleted or self._drawn.get(key) == what:
            return
        self._drawn[key] = what
        self._charts.pop(key, None)
        holder.props["tabindex"] = "0"  # what is longer than its place is scrolled by keys, too
        holder.clear()
        with holder:
            draw(what)

    def _chart(self, key: int, option: Json, label: str) -> None:
        holder = self._holders[key]
        if holder.is_deleted:
            return
        if key in self._charts:
            charts.redraw(self._charts[key], option, label)
            return
        self._drawn.pop(key, None)
        holder.clear()
        with holder:
            self._charts[key] = charts.chart(option, label, "100%")


def _dim(text: str) -> None:
    words(text).classes("f-dim")
