"""CloudWatch's dashboards: the list, one drawn as its body says, and the body to edit, import and export."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.console import time_range
from farero.console.data import Cloud, UnavailableError
from farero.console.layout import button, card, frame, heading, page_at, table, words
from farero.console.pages.live import live
from farero.console.widgets.board import Board
from farero.console.widgets.body import range_query
from farero.console.widgets.views import CSS, clock
from farero.telemetry.dashboards import NoJsonError, parse

if TYPE_CHECKING:
    from collections.abc import Callable

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_METRICS_S, _LOGS_S = 10.0, 60.0
#: A page of more widgets asks as rarely as for logs.
_MANY = 40
_FIRST_S = 1.5
_MOST_BYTES = 1_000_000
_SEARCH = '{AWS/SageMaker,EndpointName,VariantName} MetricName="Invocations"'
_BEGIN: dict[str, Any] = {
    "start": "-PT3H",
    "widgets": [
        {
            "type": "metric", "x": 0, "y": 0, "width": 24, "height": 6,
            "properties": {
                "title": "Invocations", "stat": "Sum", "period": 60,
                "metrics": [[{"expression": f"SEARCH('{_SEARCH}', 'Sum', 60)"}]],
            },
        }
    ],
}  # fmt: skip


def register(cloud: Cloud) -> None:
    """Make the pages known."""

    @page_at("/dashboards")
    async def every() -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame("Dashboards", "/dashboards") as t:
            ui.add_css(CSS)
            await _list(cloud, t)
            with card():
                heading(t["new_dashboard"])
                name = ui.input(t["name"]).style("max-width:24rem;width:100%")
                _editor(cloud, t, json.dumps(_BEGIN, indent=2), lambda: str(name.value or ""))

    @page_at("/dashboards/{name}")
    async def one(name: str) -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame(name, "/dashboards") as t:
            await _show(cloud, t, name)


async def _list(cloud: Cloud, t: dict[str, str]) -> None:
    async def read() -> Any:
        return (await cloud.ask("cloudwatch", "list_dashboards"))["DashboardEntries"]

    def draw(found: list[Any]) -> None:
        rows = [
            [
                (one["DashboardName"], _address(one["DashboardName"])),
                clock(one["LastModified"]),
                f"{one['Size'] / 1000:,.1f} kB",
            ]
            for one in found
        ]
        with card():
            table([t["name"], t["modified"], t["size"]], rows, t["empty"])

    await live(read, draw, 5.0)


async def _show(cloud: Cloud, t: dict[str, str], name: str) -> None:
    try:
        text = (await cloud.ask("cloudwatch", "get_dashboard", DashboardName=name))["DashboardBody"]
    except UnavailableError as error:
        with card():
            words(t["dashboard_gone"])
            words(error).classes("f-dim")
        return
    try:
        body = parse(text)
    except NoJsonError:
        body = {}
    query = dict(ui.context.client.request.query_params)
    default = range_query(body, time_range.KEYS) if not query.keys() & {"range", "start"} else {}
    chosen = time_range.from_query({**query, **default}, "3h")
    with ui.element("div").classes("f-bar"):
        time_range.picker(t, chosen)
        ui.element("div").classes("f-space")
        button(t["edit"], lambda: _edit(cloud, t, name, text), quiet=True)
        button(t["export"], lambda: _export(name, text), quiet=True)
        button(t["delete"], lambda: _delete(cloud, t, name), quiet=True)
    board = Board(cloud, t, body)
    board.draw()
    first = asyncio.create_task(board.show_metrics(chosen))
    await asyncio.wait([first], timeout=_FIRST_S)  # then the page is shown, and the rest follows

    async def metrics() -> None:
        if first.done():
            await board.show_metrics(chosen.again())

    asked = asyncio.create_task(board.show_logs(chosen))

    async def logs() -> None:
        if asked.done():
            await board.show_logs(chosen.again())

    if chosen.is_live:
        ui.timer(
            _METRICS_S if board.size <= _MANY else _LOGS_S,
            metrics,
            immediate=False,
        )
        ui.timer(_LOGS_S, logs, immediate=False)


def _edit(cloud: Cloud, t: dict[str, str], name: str, text: str) -> None:
    with ui.dialog().props("full-width") as dialog, card():
        heading(f"{t['edit']}: {name}")
        _editor(cloud, t, _indented(text), lambda: name, dialog.close)
    dialog.open()


def _editor(
    cloud: Cloud,
    t: dict[str, str],
    text: str,
    name: Callable[[], str],
    close: Callable[[], Any] | None = None,
) -> None:
    """Draw the body to edit or read from a file; keeping it leads to its page."""
    body = ui.textarea(t["dashboard_body"], value=text)
    body.props("outlined input-class=f-pre input-style=min-height:18rem spellcheck=false").style(
        "width:100%"
    )
    told = words("").props("role=status aria-live=polite").classes("f-pre")

    async def keep() -> None:
        if not _NAME.fullmatch(name()):
            told.set_text(t["wrong_name"])
            return
        try:
            parse(str(body.value or ""))
            found = await cloud.do(
                "cloudwatch", "put_dashboard", DashboardName=name(), DashboardBody=str(body.value)
            )
        except NoJsonError:
            told.set_text(t["dashboard_bad"])
            return
        except UnavailableError as error:
            told.set_text(str(error))
            return
        remarks = found.get("DashboardValidationMessages", [])
        if not remarks:
            ui.navigate.to(_address(name()))
            return
        lines = [f"{one.get('DataPath', '')}: {one.get('Message', '')}" for one in remarks[:50]]
        told.set_text("\n".join([t["dashboard_kept"].format(count=len(remarks)), *lines]))
        link.set_visibility(True)

    async def read(event: Any) -> None:
        data: bytes = await event.file.read()
        body.value = _indented(data.decode("utf-8", "replace"))
        chooser.reset()

    link = ui.element("div")
    link.set_visibility(False)
    with link:
        button(t["open"], lambda: ui.navigate.to(_address(name())), quiet=True)
    with ui.element("div").classes("f-bar f-form"):
        button(t["save"], keep)
        if close:
            button(t["cancel"], close, quiet=True)
        chooser = ui.upload(
            label=t["import"],
            on_upload=read,
            auto_upload=True,
            max_files=1,
            max_file_size=_MOST_BYTES,
        )
        chooser.props("flat accept=.json,application/json").classes("f-upload")


def _export(name: str, text: str) -> None:
    ui.download.content(text, f"{name}.json", "application/json")


def _delete(cloud: Cloud, t: dict[str, str], name: str) -> None:
    async def delete() -> None:
        try:
            await cloud.do("cloudwatch", "delete_dashboards", DashboardNames=[name])
        except UnavailableError as error:
            ui.notify(str(error), type="negative")
            return
        ui.navigate.to("/dashboards")

    with ui.dialog() as dialog, card():
        heading(t["ask_delete"].format(name=name))
        button(t["delete"], delete)
        button(t["cancel"], dialog.close, quiet=True)
    dialog.open()


def _indented(text: str) -> str:
    try:
        return json.dumps(parse(text), indent=2, ensure_ascii=False)
    except NoJsonError:
        return text


def _address(name: str) -> str:
    return f"/dashboards/{quote(name, safe='')}"
