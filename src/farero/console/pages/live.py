"""A part of a page that draws itself anew when its data has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from farero.console.data import UnavailableError
from farero.console.layout import card, words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def live(
    read: Callable[[], Awaitable[Any]], draw: Callable[[Any], None], every_s: float = 2.0
) -> None:
    """Draw what `read` returns now and whenever it changes; what is not available is said so."""
    holder = ui.element("div").style("display:contents")
    last: list[Any] = [None]

    async def turn() -> None:
        found: Any
        try:
            found = ("ok", await read())
        except UnavailableError as error:
            found = ("no", str(error))
        if found == last[0] or holder.is_deleted:
            return
        last[0] = found
        holder.clear()
        with holder:
            if found[0] == "ok":
                draw(found[1])
            else:
                with card():
                    words(found[1]).classes("f-dim")

    await turn()
    ui.timer(every_s, turn, immediate=False)


async def live_text(
    t: dict[str, str], read: Callable[[], Awaitable[tuple[str, str]]], every_s: float = 2.0
) -> None:
    """Draw a growing text whose end stays in sight; `read` returns it and a note to stand below it."""
    with card():
        with ui.element("div").classes("f-tail").props("role=log tabindex=0 aria-live=off") as box:
            box.props["aria-label"] = t["lines"]
            shown = words("").classes("f-pre")
        note = words("").classes("f-dim f-small")

    async def turn() -> None:
        try:
            text, told = await read()
        except UnavailableError as error:
            text, told = "", str(error)
        if not shown.is_deleted:
            shown.set_text(text or t["empty"])
            note.set_text(told)

    await turn()
    ui.timer(every_s, turn, immediate=False)
