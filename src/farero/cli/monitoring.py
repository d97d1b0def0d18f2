"""`farero monitor`: take a baseline, judge what was captured, read the report. The analyzer is a child process.

Baselines and reports lie in S3 beside the captures, under `farero-monitor/<endpoint>/`; what was downloaded to judge it
stays in the user's cache folder, with its profiles, so that the same window again is merged and not read.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from farero.base.clock import SystemClock
from farero.cli.output import WRONG_USAGE, fail, lines, result, say
from farero.cli.session import admin, client, guarded, is_aws, settings

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(no_args_is_help=True, help="Compare what was captured with the training data.")
FILES = ("statistics.json", "constraints.json", "baseline.sample")
REPORTS = ("drift_report.json", "constraint_violations.json", "statistics.json", "report.html")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
#: Hours of captures looked at when nothing is said.
DEFAULT = "24h"


@app.command()
def baseline(
    endpoint: str,
    data: Annotated[str, typer.Argument(help="Training data: a file, a folder, or s3://…")],
    *,
    kind: Annotated[str, typer.Option("--format", help="csv, parquet, json; by the name.")] = "",
    no_header: Annotated[bool, typer.Option("--no-header", help="CSV without names.")] = False,
    missing: Annotated[
        list[str] | None, typer.Option(help="A text for a missing value, as NA; repeatable.")
    ] = None,
) -> None:
    """Say what is normal: farero monitor baseline price train.csv. The target is the first column."""
    _needs_analyzer()
    bucket, prefix = place(endpoint)
    with tempfile.TemporaryDirectory(prefix="farero-") as folder:
        source = _local(data, Path(folder) / "data")
        output = Path(folder) / "baseline"
        asked = ["baseline", str(source), "-o", str(output)]
        asked += ["--format", kind] if kind else []
        asked += ["--no-header"] if no_header else []
        asked += [word for text in missing or () for word in ("--missing", text)]
        code, printed = _analyze(asked)
        if code:
            fail("E-BASELINE", printed, where=data, fix="farero monitor baseline --help")
        s3 = client("s3")
        for name in FILES:
            guarded(
                lambda name=name: s3.upload_file(
                    str(output / name), bucket, f"{prefix}baseline/{name}"
                )
            )
        rows = json.loads((output / "statistics.json").read_bytes())["dataset"]["item_count"]
    uri = f"s3://{bucket}/{prefix}baseline/"
    table = printed.rsplit("\n\n", 1)[0]
    result({"baseline": uri, "rows": rows}, escape(table))
    say(escape(f"\n{rows:,} rows are the baseline of {endpoint}, in {uri}"))
    say(escape(f"next: farero monitor run {endpoint}"))


@app.command()
def run(
    endpoint: str,
    *,
    since: Annotated[
        str, typer.Option(help="How far back: 30m, or 24h and 7d from the full hour.")
    ] = DEFAULT,
    last: Annotated[int, typer.Option(help="Only the newest so many records.", min=0)] = 0,
    target_last: Annotated[
        bool, typer.Option("--target-last", help="The target is the baseline's last column.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write the page here, too.", dir_okay=False)
    ] = None,
) -> None:
    """Judge what was captured lately. Exit code 1: the data is broken."""
    _needs_analyzer()
    _warn_of_aws()
    bucket, prefix = place(endpoint)
    if last and is_aws():
        fail("E-LAST", "AWS has no newest records, only files in S3", where="--last",
             fix=f"farero monitor run {endpoint} --since 1h --aws", status=WRONG_USAGE)  # fmt: skip
    until = SystemClock().now()
    start = until - _span(since)
    exact = since.endswith("m")
    if not exact:
        start = start.replace(minute=0, second=0, microsecond=0)
    with tempfile.TemporaryDirectory(prefix="farero-") as folder:
        base, output = Path(folder) / "baseline", Path(folder) / "output"
        _fetch_baseline(endpoint, bucket, prefix, base)
        captured = _newest(endpoint, last, Path(folder)) if last else _captures(endpoint, start)
        page = output / "report.html"
        asked = ["run", str(captured), "-b", str(base), "-o", str(output), "--format", "capture"]
        asked += ["--report", str(page)]
        if not last:
            # whole hours are whole files, whose profiles stay good for the next run
            asked += ["--since", f"{start:%Y-%m-%dT%H:%M:%SZ}"] if exact else ["--keep"]
        asked += ["--output-last"] if target_last else []
        code, printed = _analyze(asked)
        if code not in {0, 1}:
            fail(
                "E-MONITOR",
                printed,
                where=f"captures of {endpoint}",
                fix="farero monitor run --help",
            )
        verdict = json.loads((output / "drift_report.json").read_bytes())
        at = f"{prefix}reports/{until:%Y-%m-%dT%H-%M-%SZ}/"
        s3 = client("s3")
        for name in REPORTS:
            guarded(lambda name=name: s3.upload_file(str(output / name), bucket, at + name))
        if report is not None:
            report.write_bytes(page.read_bytes())
    result({"report": f"s3://{bucket}/{at}", **verdict}, escape(_without_paths(printed)))
    say(
        escape(
            f"next: farero monitor report {endpoint}"
            if report is None
            else f"the page is in {report}"
        )
    )
    raise typer.Exit(code)


@app.command()
def show(endpoint: str) -> None:
    """Show the last verdict."""
    bucket, prefix = place(endpoint)
    found = _reports(bucket, prefix)
    if not found:
        fail("E-NO-REPORT", f"{endpoint} was not judged yet", fix=f"farero monitor run {endpoint}")
    verdict = _json(bucket, f"{found[-1][1]}drift_report.json")
    rows = [[f["severity"], f["column"] or "all", f["text"]] for f in verdict["findings"]]
    text = f"{verdict['sentence']}\n" + (
        lines(["SEVERITY", "COLUMN", "WHAT"], rows) if rows else ""
    )
    result(verdict, escape(text.rstrip()))


@app.command()
def report(
    endpoint: str,
    output: Annotated[Path | None, typer.Option("--output", "-o", dir_okay=False)] = None,
) -> None:
    """Fetch the last report, one HTML page that needs nothing else."""
    bucket, prefix = place(endpoint)
    found = _reports(bucket, prefix)
    if not found:
        fail("E-NO-REPORT", f"{endpoint} was not judged yet", fix=f"farero monitor run {endpoint}")
    target = output or Path(f"{endpoint}-drift.html")
    guarded(lambda: client("s3").download_file(bucket, f"{found[-1][1]}report.html", str(target)))
    result({"report": str(target)}, escape(f"{target}   # open it in a browser"))


@app.command()
def ls() -> None:
    """List endpoints that have a baseline, with their last verdict."""
    sagemaker = client("sagemaker")
    pages = sagemaker.get_paginator("list_endpoints").paginate()
    names = guarded(lambda: [e["EndpointName"] for page in pages for e in page["Endpoints"]])
    found: list[dict[str, Any]] = []
    for name in names:
        capture = guarded(lambda name=name: sagemaker.describe_endpoint(EndpointName=name)).get(
            "DataCaptureConfig"
        )
        if not capture:
            continue
        bucket, prefix = _beside(capture["DestinationS3Uri"], name)
        if not files_of(bucket, f"{prefix}baseline/"):
            continue
        runs = _reports(bucket, prefix)
        last = _json(bucket, f"{runs[-1][1]}drift_report.json") if runs else {}
        when = f"{runs[-1][0]:%Y-%m-%d %H:%M:%S}" if runs else "never"
        found.append(
            {
                "endpoint": name,
                "judged": when,
                "severity": last.get("severity", ""),
                "sentence": last.get("sentence", ""),
            }
        )
    rows = [[one["endpoint"], one["judged"], one["severity"], one["sentence"]] for one in found]
    titles = ["ENDPOINT", "JUDGED", "SEVERITY", "VERDICT"]
    result({"monitors": found}, lines(titles, rows) if rows else "")
    if not rows:
        say("No baselines yet. next: farero monitor baseline ENDPOINT train.csv")


def _needs_analyzer() -> None:
    missing = [
        name for name in ("numpy", "pyarrow", "datasketches") if not importlib.util.find_spec(name)
    ]
    if missing:
        fail("E-EXTRA", f"the analyzer needs {', '.join(missing)}", where=sys.executable,
             fix="pip install 'farero[monitor]'")  # fmt: skip


def _warn_of_aws() -> None:
    if is_aws():
        say(
            "AWS has closed Model Monitor to new accounts; this analysis runs here, on captures from AWS."
        )


def _analyze(arguments: Sequence[str]) -> tuple[int, str]:
    """Run the analyzer; return its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "farero_monitor", *arguments],
        capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    if done.returncode in {0, 1}:
        return done.returncode, done.stdout.rstrip()
    told = (
        done.stderr.strip().removeprefix("error: ") or f"the analyzer ended with {done.returncode}"
    )
    return done.returncode or 2, told


def _without_paths(printed: str) -> str:
    return "\n".join(
        line for line in printed.splitlines() if not line.startswith("The report is in")
    )


def place(endpoint: str) -> tuple[str, str]:
    """Return bucket and prefix of an endpoint's baselines and reports; ends the command if it captures nothing."""
    described = guarded(lambda: client("sagemaker").describe_endpoint(EndpointName=endpoint))
    capture = described.get("DataCaptureConfig")
    if not capture:
        fail("E-NO-CAPTURE", f"{endpoint} does not capture its traffic", where="its endpoint config",
             fix=f"farero deploy … --name {endpoint} --capture 100")  # fmt: skip
    return _beside(capture["DestinationS3Uri"], endpoint)


def _beside(destination: str, endpoint: str) -> tuple[str, str]:
    bucket, _, _ = destination.removeprefix("s3://").partition("/")
    return bucket, f"farero-monitor/{endpoint}/"


def _local(data: str, folder: Path) -> Path:
    """Return data as a local path; what lies in S3 is fetched."""
    if not data.startswith("s3://"):
        path = Path(data)
        if not path.exists():
            fail(
                "E-NO-DATA",
                f"there is no {path}",
                fix="farero monitor baseline --help",
                status=WRONG_USAGE,
            )
        return path
    bucket, _, key = data.removeprefix("s3://").partition("/")
    keys = files_of(bucket, key)
    if not keys:
        fail("E-NO-DATA", f"there is nothing under {data}", where="S3", fix=f"aws s3 ls {data}")
    for found in keys:
        _download(bucket, found, folder / found["Key"].replace("/", "_"))
    return folder


def _fetch_baseline(endpoint: str, bucket: str, prefix: str, folder: Path) -> None:
    there = {
        found["Key"].rpartition("/")[2]: found for found in files_of(bucket, f"{prefix}baseline/")
    }
    if FILES[1] not in there:
        fail("E-NO-BASELINE", f"{endpoint} has no baseline", where=f"s3://{bucket}/{prefix}baseline/",
             fix=f"farero monitor baseline {endpoint} train.csv")  # fmt: skip
    for name, found in there.items():
        _download(bucket, found, folder / name)


def _captures(endpoint: str, start: dt.datetime) -> Path:
    """Return a folder with the capture files since a moment; one that is there already is not fetched again."""
    described = guarded(lambda: client("sagemaker").describe_endpoint(EndpointName=endpoint))
    destination = described["DataCaptureConfig"]["DestinationS3Uri"]
    bucket, _, prefix = destination.removeprefix("s3://").partition("/")
    root = f"{prefix.rstrip('/')}/" if prefix else ""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "farero" / "monitor"
    where = (
        "aws" if is_aws() else re.sub(r"\W+", "-", str(settings().data_dir.resolve())).strip("-")
    )
    window = cache / where / endpoint
    first = f"{start:%Y/%m/%d/%H}"
    wanted = [
        found
        for found in files_of(bucket, f"{root}{endpoint}/")
        if "/".join(found["Key"].split("/")[-5:-1]) >= first
    ]
    if not wanted:
        fail("E-NO-RECORDS", f"nothing was captured since {start:%Y-%m-%d %H:%M} UTC",
             where=f"s3://{bucket}/{root}{endpoint}/",
             fix=f"farero capture tail {endpoint} --no-follow   # what there is; or a longer --since")  # fmt: skip
    kept = {found["Key"].replace("/", "_") for found in wanted}
    for path in window.glob("*") if window.is_dir() else ():
        if path.name.removesuffix(".profile") not in kept:
            path.unlink()
    for found in wanted:
        path = window / found["Key"].replace("/", "_")
        if not path.exists() or path.stat().st_size != found["Size"]:
            _download(bucket, found, path)
    return window


def _newest(endpoint: str, last: int, folder: Path) -> Path:
    """Return a file with the newest records, also those that are not in S3 yet."""
    query = f"endpoint={endpoint}&last={last}"
    page: dict[str, Any] = guarded(lambda: admin("GET", "capture", query))
    if not page["records"]:
        fail(
            "E-NO-RECORDS",
            page["note"],
            where=f"endpoint {endpoint}",
            fix=f"farero show {endpoint}",
        )
    path = folder / "newest.jsonl"
    path.write_text("".join(line + "\n" for line in page["records"]), encoding="utf-8")
    return path


def files_of(bucket: str, prefix: str) -> list[dict[str, Any]]:
    """Return the objects below a prefix, as S3 lists them."""
    pages = client("s3").get_paginator("list_objects_v2")
    return guarded(
        lambda: [
            found
            for page in pages.paginate(Bucket=bucket, Prefix=prefix)
            for found in page.get("Contents", [])
        ]
    )


def _reports(bucket: str, prefix: str) -> list[tuple[dt.datetime, str]]:
    """Return time and prefix of an endpoint's reports, the oldest first: its own runs' and its schedule's."""
    found = files_of(bucket, f"{prefix}reports/")
    return sorted(
        (one["LastModified"], one["Key"].rpartition("/")[0] + "/")
        for one in found
        if one["Key"].endswith("/drift_report.json")
    )


def _json(bucket: str, key: str) -> dict[str, Any]:
    s3 = client("s3")
    found = guarded(lambda: s3.get_object(Bucket=bucket, Key=key))
    return json.loads(guarded(found["Body"].read))


def _download(bucket: str, found: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    guarded(lambda: client("s3").download_file(bucket, found["Key"], str(path)))


def _span(text: str) -> dt.timedelta:
    found = re.fullmatch(r"(\d{1,5})([mhd])", text)
    if not found:
        fail(
            "E-SPAN",
            f"{text!r} is no span of time",
            where="--since",
            fix="30m, 24h or 7d",
            status=WRONG_USAGE,
        )
    return dt.timedelta(**{UNITS[found.group(2)]: int(found.group(1))})
