"""One alarm: its graph, what it is in words, what has happened to it, whom it told; test, switch, delete."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.base.errors import Invalid
from farero.console import charts, time_range
from farero.console.charts import Band
from farero.console.data import Cloud, UnavailableError
from farero.console.layout import button, card, frame, heading, page_at, pill, table, words
from farero.console.metrics import figures
from farero.console.pages.live import live
from farero.console.widgets import alarms, drawing
from farero.console.widgets.deliveries import panel
from farero.console.widgets.metrics import Graph
from farero.console.widgets.views import CSS, clock, local, long
from farero.telemetry.alarms.rules import parse

if TYPE_CHECKING:
    from farero.console.time_range import Range
    from farero.console.widgets.alarms import Json

_GRAPH_S = 10.0
_MOST_HISTORY = 100
_SHADED = ("ALARM", "INSUFFICIENT_DATA")


def register(cloud: Cloud) -> None:
    """Make the page known."""

    @page_at("/alarms/{name:path}")
    async def page(name: str) -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame(name, "/alarms") as t:
            ui.add_css(CSS)
            await _Page(cloud, t, name).draw()


class _Page:
    """The page of one alarm, being looked at."""

    def __init__(self, cloud: Cloud, t: dict[str, str], name: str) -> None:
        self._cloud = cloud
        self._t = t
        self._name = name
        self._chart: ui.element | None = None
        #: Outside of what is drawn anew, so that no dialog goes while it is read.
        self._dialogs: ui.element

    async def draw(self) -> None:
        """Draw all of it."""
        t = self._t
        self._dialogs = ui.element("div").style("display:contents")
        try:
            alarm = await self._read()
        except UnavailableError as error:
            with card():
                words(error).classes("f-dim")
            return
        if alarm is None:
            with card():
                words(t["alarm_gone"])
                ui.link(t["alarms"], "/alarms")
            return
        await live(self._read, self._head)
        await self._graph(alarm)
        if "AlarmRule" in alarm:
            await live(self._children, self._draw_children)
        await live(self._history, self._draw_history)
        topics = alarms.topics(alarm)
        if topics:
            await live(self._deliveries, lambda found: panel(t, found, topics))

    async def _read(self) -> Json | None:
        found = await self._cloud.ask(
            "cloudwatch", "describe_alarms", AlarmNames=[self._name],
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
        )  # fmt: skip
        every = found.get("MetricAlarms", []) + found.get("CompositeAlarms", [])
        return next((one for one in every if one["AlarmName"] == self._name), None)

    def _head(self, alarm: Json | None) -> None:
        t = self._t
        with card():
            if alarm is None:
                words(t["alarm_gone"])
                return
            changed = alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"]
            is_on = alarm.get("ActionsEnabled", True)
            with ui.element("div").classes("f-bar"):
                pill(alarm["StateValue"])
                words(f"{t['since']} {local(changed)}").classes("f-dim")
                ui.element("div").classes("f-space")
                button(t["test_alarm"], lambda: self._test(alarm), quiet=True)
                button(
                    t["turn_off"] if is_on else t["turn_on"], lambda: self._switch(not is_on), quiet=True
                )  # fmt: skip
                button(t["delete"], self._delete, quiet=True)
            words(alarm.get("StateReason", ""))
            heading(t["configuration"])
            if alarm.get("AlarmDescription"):
                words(alarm["AlarmDescription"])
            for sentence in alarms.in_words(alarm, t):
                words(sentence)
            words(t["actions_on"] if is_on else t["actions_off"]).classes("" if is_on else "f-busy")
            for kind in ("AlarmActions", "OKActions", "InsufficientDataActions"):
                if alarm.get(kind):
                    told = ", ".join(str(arn).rpartition(":")[2] for arn in alarm[kind])
                    words(f"{t['tells']} {told} ({kind.removesuffix('Actions')})").classes("f-dim")

    async def _graph(self, alarm: Json) -> None:
        t = self._t
        chosen = time_range.from_query(ui.context.client.request.query_params, "3h")
        with card():
            heading(t["states_over_time" if "AlarmRule" in alarm else "over_time"])
            time_range.picker(t, chosen)
            holder = ui.element("div")

        async def turn() -> None:
            if holder.is_deleted:
                return
            try:
                option, label = await self._asked(alarm, chosen.again())
            except UnavailableError as error:
                self._chart = None
                holder.clear()
                with holder:
                    words(error).classes("f-dim")
                return
            if self._chart is None:
                holder.clear()
                with holder:
                    height = "7rem" if "AlarmRule" in alarm else "20rem"
                    self._chart = charts.chart(option, label, height)
            else:
                charts.redraw(self._chart, option, label)

        await turn()
        if chosen.is_live:
            ui.timer(_GRAPH_S, turn, immediate=False)

    async def _asked(self, alarm: Json, chosen: Range) -> tuple[Json, str]:
        now = await self._read() or alarm
        asked = alarms.queries(now, chosen.period)
        factor, sign = alarms.unit(now)
        found = [
            replace(one, points=[(at, None if v is None else v * factor) for at, v in one.points])
            for one in (await figures(self._cloud, asked, chosen) if asked else [])
        ]
        shades = alarms.shades(
            await self._history(), now["StateValue"], chosen.start_ms, chosen.end_ms
        )
        bands = [Band(a, b, "", charts.STATES[s]) for a, b, s in shades if s in _SHADED]
        level = alarms.level(now)
        axis = {"yAxis": {"left": {"label": sign.strip()}}} if sign else {}
        graph = Graph(view="timeSeries", queries=asked, rows={}, properties=axis)
        option = drawing.over_time(graph, found, chosen, [level] if level else [], bands)
        if "AlarmRule" in now:  # there is nothing to measure, only states
            option["yAxis"][0]["show"] = False
            option["grid"]["top"] = 8
        states = ", ".join(state for _, _, state in shades)
        return option, f"{self._t['over_time']}: {charts.told(found)} ({states})"

    async def _children(self) -> list[Json]:
        alarm = await self._read()
        try:
            names = list(parse(alarm["AlarmRule"]).children)[:100] if alarm else []
        except Invalid:
            return []
        names = [one.partition(":alarm:")[2] or one for one in names]
        if not names:
            return []
        found = await self._cloud.ask(
            "cloudwatch", "describe_alarms", AlarmNames=names, MaxRecords=100,
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
        )  # fmt: skip
        states = {
            one["AlarmName"]: one["StateValue"]
            for one in found.get("MetricAlarms", []) + found.get("CompositeAlarms", [])
        }
        return [{"name": name, "state": states.get(name, "")} for name in names]

    def _draw_children(self, found: list[Json]) -> None:
        with card():
            heading(self._t["alarms"])
            rows = [
                [
                    (one["name"], f"/alarms/{quote(one['name'], safe='')}"),
                    (lambda state=one["state"]: pill(state)) if one["state"] else self._t["alarm_gone"],
                ]
                for one in found
            ]  # fmt: skip
            table([self._t["name"], self._t["state"]], rows, self._t["empty"])

    async def _history(self) -> list[Json]:
        found = await self._cloud.ask(
            "cloudwatch", "describe_alarm_history", AlarmName=self._name, MaxRecords=_MOST_HISTORY,
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
        )  # fmt: skip
        return found["AlarmHistoryItems"]

    def _draw_history(self, found: list[Json]) -> None:
        t = self._t
        with card():
            heading(t["history"])
            rows = [
                [clock(one["Timestamp"]), one["HistoryItemType"], long(one["HistorySummary"])]
                for one in found
            ]  # fmt: skip
            with ui.element("div").classes("f-tall f-stack"):
                table([t["time"], t["type"], t["summary"]], rows, t["empty"])

    async def _deliveries(self) -> Json:
        return await self._cloud.page("deliveries", "last=100")

    def _test(self, alarm: Json) -> None:
        t = self._t
        with self._dialogs, ui.dialog() as dialog, card():
            heading(t["test_alarm"])
            words(t["ask_test"].format(name=self._name))
            with ui.element("div").classes("f-bar"):
                for state in alarms.STATES:
                    if state != alarm["StateValue"]:
                        button(
                            t["test_to"].format(state=state),
                            lambda state=state: self._do(
                                dialog, "set_alarm_state", AlarmName=self._name, StateValue=state,
                                StateReason=t["manual"],
                            ),
                        )  # fmt: skip
                button(t["cancel"], dialog.close, quiet=True)
        dialog.open()

    async def _switch(self, is_on: bool) -> None:  # noqa: FBT001 - a switch
        operation = "enable_alarm_actions" if is_on else "disable_alarm_actions"
        await self._do(None, operation, AlarmNames=[self._name])

    def _delete(self) -> None:
        t = self._t

        async def delete() -> None:
            if await self._do(dialog, "delete_alarms", AlarmNames=[self._name]):
                ui.navigate.to("/alarms")

        with self._dialogs, ui.dialog() as dialog, card():
            heading(t["ask_delete"].format(name=self._name))
            with ui.element("div").classes("f-bar"):
                button(t["delete"], delete)
                button(t["cancel"], dialog.close, quiet=True)
        dialog.open()

    async def _do(self, dialog: Any, operation: str, **params: Any) -> bool:
        if dialog is not None:
            dialog.close()
        try:
            await self._cloud.do("cloudwatch", operation, **params)
        except UnavailableError as error:
            ui.notify(str(error), type="negative")
            return False
        return True
