"""`farero monitor run`: judge what was captured, now, with or without a schedule."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from farero.base.clock import SystemClock
from farero.cli.monitor import history
from farero.cli.monitor.analyzer import analyze, needs_analyzer
from farero.cli.monitor.captured import Window, captures, window_of, write_newest
from farero.cli.monitor.places import baseline_files, download, place
from farero.cli.monitor.schedules import period
from farero.cli.monitor.toward_aws import warn_of_aws
from farero.cli.output import WRONG_USAGE, fail, result, say
from farero.cli.session import client, guarded

if TYPE_CHECKING:
    from farero.cli.monitor.places import Place

REPORTS = ("drift_report.json", "constraint_violations.json", "statistics.json", "report.html")
#: Captures looked at when nothing is said.
DEFAULT = "24h"


def run(
    endpoint: str,
    *,
    last: Annotated[
        int, typer.Option(help="A dry run over the newest so many records.", min=0)
    ] = 0,
    now: Annotated[
        bool, typer.Option("--now", help="What the schedule's next run would look at, up to now.")
    ] = False,
    since: Annotated[
        str, typer.Option(help="30m; 24h, 7d from the full hour; or a time in UTC.")
    ] = "",
    until: Annotated[str, typer.Option(help="The same; by default now.")] = "",
    baseline: Annotated[str, typer.Option(help="The name of a baseline.")] = "",
    target_last: Annotated[
        bool, typer.Option("--target-last", help="The target is the baseline's last column.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write the page here, too.", dir_okay=False)
    ] = None,
) -> None:
    """Judge what was captured. Exit code 1: the data is broken. --last N writes nothing to S3."""
    needs_analyzer()
    _one_window(last=last, now=now, since=since or until)
    warn_of_aws("this analysis runs here, on captures from AWS.")
    where = place(endpoint)
    ended = SystemClock().now()
    window = None if last else _window(where, ended, now=now, since=since or DEFAULT, until=until)
    with tempfile.TemporaryDirectory(prefix="farero-") as folder:
        base, output = Path(folder) / "baseline", Path(folder) / "output"
        for name, found in baseline_files(where, baseline).items():
            download(where.bucket, found["Key"], base / name)
        newest = Path(folder) / "newest.jsonl"
        data = captures(where, window) if window else write_newest(where, last, newest)
        page = output / "report.html"
        asked = ["run", str(data), "-b", str(base), "-o", str(output), "--format", "capture"]
        asked += ["--report", str(page), *_bounds(window)]
        asked += ["--output-last"] if target_last else []
        past = history.fetch(where, Path(folder) / "history")
        # who asks is told at once; only runs of a schedule wait for a second window
        asked += ["--history", str(past), "--at-once"] if past else []
        code, printed = analyze(asked)
        if code not in {0, 1}:
            fail("E-MONITOR", printed, where=f"captures of {endpoint}", fix="farero monitor run --help")  # fmt: skip
        verdict = json.loads((output / "drift_report.json").read_bytes())
        if window is not None and not verdict["rows"]:
            _nothing_in(where, window)
        at = "" if window is None else _keep(where, output, ended)
        if report is not None:
            report.write_bytes(page.read_bytes())
    _tell(where, verdict, printed, at, report)
    raise typer.Exit(code)


def _one_window(*, last: int, now: bool, since: str) -> None:
    given = [flag for flag, on in (("--last", last), ("--now", now), ("--since", since)) if on]
    if len(given) > 1:
        fail("E-WINDOW", f"{' and '.join(given)} are different windows", where="farero monitor run",
             fix=f"only one of them, as {given[0]}", status=WRONG_USAGE)  # fmt: skip


def _window(where: Place, ended: dt.datetime, *, now: bool, since: str, until: str) -> Window:
    if now:
        return Window(start=ended - period(where.endpoint, ended), end=ended, whole=False)
    return window_of(since, until, ended)


def _bounds(window: Window | None) -> list[str]:
    if window is None:
        return []
    if window.whole:
        return ["--keep"]  # whole files, whose profiles stay good for the next run
    # inferenceTime has seconds; the second that is not over belongs to the window, too
    end = window.end + dt.timedelta(seconds=1)
    return [
        "--since", f"{window.start:%Y-%m-%dT%H:%M:%SZ}", "--until", f"{end:%Y-%m-%dT%H:%M:%SZ}",
    ]  # fmt: skip


def _keep(where: Place, output: Path, ended: dt.datetime) -> str:
    """Put the files of a run beside those of the schedule; return their prefix."""
    at = f"{where.prefix}reports/{ended:%Y-%m-%dT%H-%M-%SZ}/"
    s3 = client("s3")
    for name in REPORTS:
        guarded(lambda name=name: s3.upload_file(str(output / name), where.bucket, at + name))
    return at


def _nothing_in(where: Place, window: Window) -> None:
    fail("E-NO-RECORDS", f"nothing was captured between {window.start:%Y-%m-%d %H:%M:%S} and "
         f"{window.end:%Y-%m-%d %H:%M:%S} UTC", where=where.uri(where.captures),
         fix=f"farero monitor run {where.endpoint} --since 24h")  # fmt: skip


def _tell(
    where: Place, verdict: dict[str, Any], printed: str, at: str, report: Path | None
) -> None:
    told = {"report": where.uri(at) if at else None, "dry_run": not at, **verdict}
    text = "\n".join(
        line for line in printed.splitlines() if not line.startswith("The report is in")
    )
    result(told, escape(text))
    if not at:
        say("A dry run: nothing was written to S3.")
    if report is not None:
        say(escape(f"the page is in {report}"))
    elif at:
        say(escape(f"next: farero monitor report {where.endpoint}"))
    else:
        say(escape(f"next: farero monitor add {where.endpoint} --every 1h"))
