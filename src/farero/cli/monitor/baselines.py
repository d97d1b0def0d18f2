"""`farero monitor baseline`: say what is normal, from the training data."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from farero.cli.monitor.analyzer import analyze, needs_analyzer
from farero.cli.monitor.places import FILES, download, files_of, place, split_uri
from farero.cli.monitor.toward_aws import warn_of_aws
from farero.cli.output import WRONG_USAGE, fail, result, say
from farero.cli.session import client, guarded


def baseline(
    endpoint: str,
    data: Annotated[str, typer.Argument(help="Training data: a file, a folder, or s3://…")],
    *,
    name: Annotated[str, typer.Option(help="Of this baseline, beside others there are.")] = "",
    kind: Annotated[str, typer.Option("--format", help="csv, parquet, json; by the name.")] = "",
    no_header: Annotated[bool, typer.Option("--no-header", help="CSV without names.")] = False,
    missing: Annotated[
        list[str] | None, typer.Option(help="A text for a missing value, as NA; repeatable.")
    ] = None,
    target: Annotated[
        str, typer.Option(help="Column with the truth: runs then estimate the model's quality.")
    ] = "",
    prediction: Annotated[str, typer.Option(help="With it: what the model told.")] = "",
    probability: Annotated[
        list[str] | None, typer.Option(help="With it: COLUMN, or CLASS=COLUMN for each class.")
    ] = None,
) -> None:
    """Say what is normal: farero monitor baseline price train.csv. The target is the first column."""
    needs_analyzer()
    warn_of_aws("the baseline is taken here and put beside the captures there.")
    where = place(endpoint)
    prefix = where.baseline(name)
    with tempfile.TemporaryDirectory(prefix="farero-") as folder:
        output = Path(folder) / "baseline"
        asked = ["baseline", str(_local(data, Path(folder) / "data")), "-o", str(output)]
        asked += ["--format", kind] if kind else []
        asked += ["--no-header"] if no_header else []
        asked += [word for text in missing or () for word in ("--missing", text)]
        asked += ["--target", target] if target else []
        asked += ["--prediction", prediction] if prediction else []
        asked += [word for text in probability or () for word in ("--probability", text)]
        code, printed = analyze(asked)
        if code:
            again = f"farero monitor baseline {endpoint} {data} --no-header"
            headless = "has no header" in printed
            fail("E-BASELINE", printed.partition(" Read it without one")[0], where=data,
                 fix=again if headless else "farero monitor baseline --help")  # fmt: skip
        _put(output, where.bucket, prefix)
        rows = json.loads((output / "statistics.json").read_bytes())["dataset"]["item_count"]
    uri = where.uri(prefix)
    told = {"baseline": uri, "rows": rows, "estimates_quality": bool(target)}
    result(told, escape(printed.rsplit("\n\n", 1)[0]))
    say(escape(f"\n{rows:,} rows are the baseline of {endpoint}, in {uri}"))
    if target:
        say("runs against it estimate the model's quality, without labels")
    flag = f" --baseline {name}" if name else ""
    say(escape(f"next: farero monitor run {endpoint}{flag}"))


def _put(folder: Path, bucket: str, prefix: str) -> None:
    """Put the files of a baseline in place of those of one before."""
    s3 = client("s3")
    for name in FILES:
        path = folder / name
        if path.exists():
            guarded(lambda path=path: s3.upload_file(str(path), bucket, prefix + path.name))
        else:
            guarded(lambda name=name: s3.delete_object(Bucket=bucket, Key=prefix + name))


def _local(data: str, folder: Path) -> Path:
    """Return data as a local path; what lies in S3 is fetched."""
    if not data.startswith("s3://"):
        path = Path(data)
        if not path.exists():
            fail("E-NO-DATA", f"there is no {path}", where=str(Path.cwd()),
                 fix="farero monitor baseline --help", status=WRONG_USAGE)  # fmt: skip
        return path
    bucket, key = split_uri(data)
    found = files_of(bucket, key)
    if not found:
        fail("E-NO-DATA", f"there is nothing under {data}", where="S3", fix=f"aws s3 ls {data}")
    for one in found:
        download(bucket, one["Key"], folder / one["Key"].replace("/", "_"))
    return folder
