"""`farero open`: the console in a browser, logged in by a link that works once."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import webbrowser
from typing import Annotated, Any

import typer

from farero.cli.output import fail, result, say
from farero.cli.session import admin, guarded, settings


def open_console(
    *,
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the link; open no browser.")
    ] = False,
) -> None:
    """Open the console in a browser (or print its link where there is none)."""
    if importlib.util.find_spec("nicegui") is None:
        fail("E-CONSOLE", "the console is not installed", where="package nicegui",
             fix="pip install 'farero[console]'")  # fmt: skip
    _wake()
    answer: dict[str, Any] = guarded(lambda: admin("POST", "console-login"))
    if print_only or not webbrowser.open(answer["url"]):
        result(answer, answer["url"])
        return
    say("The console is open in your browser.")


def _wake() -> None:
    """Knock, so that the console starts while the link is made and the browser opens."""
    found = settings()
    with contextlib.suppress(OSError):
        socket.create_connection((found.bind, found.console_port), 0.5).close()
