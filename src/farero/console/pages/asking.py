"""Before and after something is changed: ask whether it is meant, and say what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from farero.console.data import UnavailableError
from farero.console.layout import button, card, heading, popup, words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def attempt(act: Callable[[], Awaitable[Any]]) -> Any:
    """Do something; what went wrong is told at the page's edge, and None returned."""
    client = ui.context.client  # what was clicked may be drawn anew meanwhile
    try:
        return await act()
    except UnavailableError as error:
        with client:
            ui.notify(str(error), type="negative", multi_line=True)
        return None


def confirm(
    t: dict[str, str], question: str, answer: str, act: Callable[[], Awaitable[Any]]
) -> None:
    """Ask first; `answer` is what the button says that does it."""

    async def go() -> None:
        dialog.close()
        await attempt(act)

    with popup() as dialog, card():
        heading(question)
        words(t["sure"]).classes("f-dim")
        with ui.element("div").classes("f-answers"):
            button(answer, go)
            button(t["cancel"], dialog.close, quiet=True)
    dialog.on("hide", lambda _: dialog.delete())
    dialog.open()
