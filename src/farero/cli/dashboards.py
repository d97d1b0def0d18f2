"""`farero dashboard`: list, export to files, import from files, remove. The text is AWS's own, kept as it is."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError
from rich.markup import escape

from farero.cli.output import WRONG_USAGE, fail, lines, options, result, say
from farero.cli.session import client, guarded

app = typer.Typer(no_args_is_help=True, help="Move CloudWatch dashboards in and out of files.")
#: What CloudWatch says of a dashboard that is not there, by protocol.
MISSING = ("ResourceNotFound", "DashboardNotFoundError")
INVALID = ("InvalidParameterInput", "DashboardInvalidInputError")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")


@app.command()
def ls(prefix: Annotated[str, typer.Argument(help="How their names begin.")] = "") -> None:
    """List dashboards."""
    cloudwatch = client("cloudwatch")
    entries = guarded(lambda: _entries(cloudwatch, prefix))
    if not entries:
        say("No dashboards yet. next: farero dashboard import FILE.json")
    rows = [
        [
            one["DashboardName"], f"{one['LastModified'].astimezone():%Y-%m-%d %H:%M:%S}",
            f"{one['Size']} bytes",
        ]
        for one in entries
    ]  # fmt: skip
    titles = ["DASHBOARD", "CHANGED", "SIZE"]
    result({"dashboards": entries}, lines(titles, rows) if rows else "")


@app.command("export")
def export(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all if left out.")] = None,
    *,
    to: Annotated[
        Path | None, typer.Option("--to", "-o", help="A folder: NAME.json each. Else: printed.")
    ] = None,
) -> None:
    """Write dashboards as they were put, byte for byte: into a folder, or one of them to the output."""
    cloudwatch = client("cloudwatch")
    wanted = names or [one["DashboardName"] for one in guarded(lambda: _entries(cloudwatch, ""))]
    if to is None and len(wanted) != 1:
        fail("E-DASHBOARD", f"there are {len(wanted)} dashboards; they need a folder",
             where="farero dashboard export", fix="farero dashboard export --to dashboards",
             status=WRONG_USAGE)  # fmt: skip
    bodies = {name: _body(cloudwatch, name) for name in wanted}
    if to is None:
        sys.stdout.write(bodies[wanted[0]])
        return
    to.mkdir(parents=True, exist_ok=True)
    for name, body in bodies.items():
        (to / f"{name}.json").write_bytes(body.encode())
    written = [str(to / f"{name}.json") for name in wanted]
    result({"written": written}, "\n".join(escape(f"wrote {path}") for path in written))


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="A JSON file, or a folder of them.")],
    *,
    name: Annotated[str, typer.Option(help="Name of the dashboard; the file's if left out.")] = "",
) -> None:
    """Put dashboards from files, and say what CloudWatch finds odd about them."""
    bodies = _read(path, name)
    cloudwatch = client("cloudwatch")
    done: list[dict[str, Any]] = []
    for one, (file, body) in bodies.items():
        messages = _put(cloudwatch, one, file, body)
        done.append({"name": one, "file": str(file), "messages": messages})
        say(escape(f"put {one} from {file}"))
        for message in messages:
            say(escape(f"  {message.get('DataPath', '')}: {message['Message']}"))
    result({"put": done})
    say("next: farero open")


@app.command()
def rm(names: list[str]) -> None:
    """Remove dashboards, all or none."""
    cloudwatch = client("cloudwatch")
    for name in names:
        _body(cloudwatch, name)
    if not options.yes and not options.as_json and sys.stdin.isatty():
        for name in names:
            say(f"  dashboard {escape(name)}")
        if not typer.confirm("Delete these?"):
            raise typer.Exit(1)
    guarded(lambda: cloudwatch.delete_dashboards(DashboardNames=names))
    things = [f"dashboard {name}" for name in names]
    result({"deleted": things}, "\n".join(escape(f"deleted {thing}") for thing in things))


def _entries(cloudwatch: Any, prefix: str) -> list[dict[str, Any]]:
    asked = {"DashboardNamePrefix": prefix} if prefix else {}
    pages = cloudwatch.get_paginator("list_dashboards").paginate(**asked)
    return [one for page in pages for one in page["DashboardEntries"]]


def _body(cloudwatch: Any, name: str) -> str:
    try:
        return cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in MISSING:
            guarded(lambda: cloudwatch.get_dashboard(DashboardName=name))
        fail("E-NO-DASHBOARD", f"there is no dashboard '{name}'", where="CloudWatch",
             fix="farero dashboard ls")  # fmt: skip


def _read(path: Path, name: str) -> dict[str, tuple[Path, str]]:
    """Return name → (file, text) of every dashboard, all checked before the first is put."""
    if not path.exists():
        fail("E-FILE", f"{path} does not exist", where=str(Path.cwd()),
             fix="give a path that exists: ls", status=WRONG_USAGE)  # fmt: skip
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files or (name and len(files) > 1):
        what = f"--name fits one file, not {len(files)}" if name else "no file ends in .json"
        fail("E-DASHBOARD", what, where=str(path), fix="farero dashboard import FILE.json",
             status=WRONG_USAGE)  # fmt: skip
    return {name or file.stem: (file, _text(file, name or file.stem)) for file in files}


def _text(file: Path, name: str) -> str:
    if not _NAME.fullmatch(name):
        fail("E-DASHBOARD", f"'{name}' cannot be a dashboard's name: letters, digits, - and _ only",
             where=str(file), fix=f"farero dashboard import {file} --name {_allowed(name)}",
             status=WRONG_USAGE)  # fmt: skip
    try:
        text = file.read_bytes().decode()
        parsed = json.loads(text)
    except ValueError as error:
        fail("E-JSON", f"this is no JSON: {error}", where=str(file),
             fix=f"python -m json.tool {file}   # where it goes wrong", status=WRONG_USAGE)  # fmt: skip
    if not isinstance(parsed, dict):
        fail("E-JSON", 'a dashboard is a JSON object with "widgets"', where=str(file),
             fix="farero dashboard export NAME   # how one looks", status=WRONG_USAGE)  # fmt: skip
    return text


def _allowed(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "dashboard"


def _put(cloudwatch: Any, name: str, file: Path, body: str) -> list[dict[str, str]]:
    try:
        answer = cloudwatch.put_dashboard(DashboardName=name, DashboardBody=body)
    except ClientError as error:
        facts = error.response.get("Error", {})
        if facts.get("Code") not in INVALID:
            guarded(lambda: cloudwatch.put_dashboard(DashboardName=name, DashboardBody=body))
        fail("E-DASHBOARD", str(facts.get("Message", error)), where=str(file),
             fix="farero dashboard export NAME   # how one looks")  # fmt: skip
    return answer.get("DashboardValidationMessages", [])
