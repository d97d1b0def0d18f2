"""What a person (or a program, with --json) sees: results, steps with elapsed time, errors in four parts."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from rich.status import Status

#: Characters in a line where no terminal ends it: programs that read a table get each row in one line.
_ENDLESS = 100_000

OK = 0
FAILED = 1
WRONG_USAGE = 2
NOT_RUNNING = 3
DENIED = 4
INTERRUPTED = 130


@dataclass(slots=True)
class Options:
    """Flags that every command takes."""

    as_json: bool = False
    quiet: bool = False
    yes: bool = False
    profile: str | None = None
    region: str | None = None
    data_dir: str | None = None
    aws: bool = False


options = Options()
#: Plain text when not on a terminal; NO_COLOR is honoured by rich.
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def result(data: Any, text: str | Table = "") -> None:
    """Print `data` as JSON with --json, else `text`."""
    if options.as_json:
        sys.stdout.write(json.dumps(data, indent=2, default=str) + "\n")
    elif text and not options.quiet:
        if not out.is_terminal:
            out.width = _ENDLESS
        out.print(text)


def say(text: str) -> None:
    """Print a line for a person; nothing with --json or --quiet."""
    if not options.as_json and not options.quiet:
        out.print(text)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Lay rows out in columns without lines."""
    grid = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for title in titles:
        grid.add_column(title, overflow="fold")
    for row in rows:
        grid.add_row(*[escape(cell) for cell in row])
    return grid


def lines(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out in columns that are never folded, for addresses and the like that somebody copies."""
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    laid = [
        "   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (titles, *rows)
    ]
    return escape("\n".join(laid))


def fail(code: str, what: str, *, where: str = "", fix: str = "", status: int = FAILED) -> NoReturn:
    """Print an error in four parts and end the command."""
    if options.as_json:
        body = {"error": {"code": code, "what": what, "where": where, "fix": fix}}
        sys.stdout.write(json.dumps(body, indent=2) + "\n")
    else:
        err.print(f"[bold red]{escape(code)}[/]  {escape(what)}")
        if where:
            err.print(f"  where: {escape(where)}")
        if fix:
            err.print(f"  fix:   {escape(fix)}")
    raise typer.Exit(status)


class Step:
    """One step of a longer command; `note` says what it waits for."""

    def __init__(self, title: str, status: Status | None = None) -> None:
        self.title = title
        self.detail = ""
        self._status = status
        self._start = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._start

    def note(self, detail: str) -> None:
        """Say what came out of the step, shown when it ends."""
        self.detail = detail

    def show(self, detail: str) -> None:
        """Say how far it is, on a terminal."""
        if self._status is not None:
            self._status.update(escape(f"{self.title}  {detail}".rstrip()))


@contextlib.contextmanager
def step(title: str) -> Generator[Step]:
    """Show a step with its elapsed time: a live line on a terminal, one line when done elsewhere."""
    silent = options.as_json or options.quiet
    status = None
    if not silent and out.is_terminal:
        status = out.status(escape(title))
        status.start()
    current = Step(title, status)
    try:
        yield current
    finally:
        if status is not None:
            status.stop()
    if not silent:
        detail = f"  {escape(current.detail)}" if current.detail else ""
        out.print(f"{escape(title):<34} {current.elapsed_s:5.1f} s{detail}")
