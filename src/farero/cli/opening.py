"""`farero open`: the console in a browser, logged in by a link that works once."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import webbrowser
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farero.cli.output import fail, result, say
from farero.cli.session import admin, guarded, settings

if TYPE_CHECKING:
    from farero.base.config import Settings


def open_console(
    *,
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the link; open no browser.")
    ] = False,
) -> None:
    """Open the console in a browser (or print its link where there is none)."""
    if not is_installed():
        fail("E-CONSOLE", "the console is not installed", where="package nicegui",
             fix="pip install 'farero[console]'")  # fmt: skip
    wake(settings())
    answer: dict[str, Any] = guarded(lambda: admin("POST", "console-login"))
    if print_only or not webbrowser.open(answer["url"]):
        result(answer, answer["url"])
        return
    say("The console is open in your browser.")


def is_installed() -> bool:
    """Whether there is a console."""
    return importlib.util.find_spec("nicegui") is not None


def wake(found: Settings) -> None:
    """Knock, so that the console starts before its visitor is there."""
    with contextlib.suppress(OSError):
        socket.create_connection((found.bind, found.console_port), 0.5).close()
