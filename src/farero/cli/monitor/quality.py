"""`farero monitor quality`: how good the model is, by the labels that came later.

Captures and labels are fetched, the analyzer joins and measures them. What is compared with is a window that was good:
`--as-baseline` keeps its figures, and every later run says whether the model got worse.
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from farero.base.clock import SystemClock
from farero.cli.monitor import figures, history
from farero.cli.monitor.analyzer import analyze, needs_analyzer
from farero.cli.monitor.answers import put_answers, read_answers
from farero.cli.monitor.captured import captures, window_of
from farero.cli.monitor.kinds import QUALITY
from farero.cli.monitor.labels import label_uri
from farero.cli.monitor.places import download, files_of, place, split_uri
from farero.cli.monitor.toward_aws import warn_of_aws
from farero.cli.output import WRONG_USAGE, fail, result, say
from farero.cli.session import client, guarded

if TYPE_CHECKING:
    from farero.cli.monitor.captured import Window
    from farero.cli.monitor.places import Place

PROBLEMS = ("regression", "binary", "multiclass")
#: Files of a run that are kept.
KEPT = ("drift_report.json", "constraint_violations.json", "statistics.json", "report.html")
BASELINE = ("statistics.json", "constraints.json")


def quality(
    endpoint: str,
    *,
    problem: Annotated[
        str, typer.Option(help="regression, binary or multiclass; a baseline tells it.")
    ] = "",
    since: Annotated[str, typer.Option(help="Requests since: 24h, 30d, a time in UTC.")] = "30d",
    until: Annotated[str, typer.Option(help="The same; by default now.")] = "",
    prediction: Annotated[
        str, typer.Option(help="Which value of the answer: index, name, JSONPath; by default 0.")
    ] = "",
    probability: Annotated[
        list[str] | None,
        typer.Option(
            help="Which one is the probability of the positive label; of several classes all: 0-2, or CLASS=INDEX each."
        ),
    ] = None,
    positive: Annotated[
        str, typer.Option(help="The positive label; by default 1, true, yes.")
    ] = "",
    as_baseline: Annotated[
        bool, typer.Option("--as-baseline", help="These figures are what is normal from now on.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write the page here, too.", dir_okay=False)
    ] = None,
) -> None:
    """Measure the model by its labels: farero monitor quality price. Exit code 1: it got worse."""
    needs_analyzer()
    if problem and problem not in PROBLEMS:
        fail("E-PROBLEM", f"{problem!r} is no kind of problem", where="--problem",
             fix=f"--problem {'|'.join(PROBLEMS)}", status=WRONG_USAGE)  # fmt: skip
    warn_of_aws("this analysis runs here, on captures and labels from AWS.")
    where, now = place(endpoint), SystemClock().now()
    base = f"{where.prefix}quality-baseline/"
    window = window_of(since, until, now)
    known = {one["Key"].rpartition("/")[2] for one in files_of(where.bucket, base)}
    compare = "constraints.json" in known and not as_baseline
    if not problem and "constraints.json" not in known:
        fail("E-PROBLEM", "say what kind of problem the model solves", where="--problem",
             fix=f"farero monitor quality {endpoint} --problem {'|'.join(PROBLEMS)}",
             status=WRONG_USAGE)  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="farero-") as name:
        folder = Path(name)
        truth = _labels(where, folder / "labels")
        for file in BASELINE if "constraints.json" in known else ():
            download(where.bucket, base + file, folder / "baseline" / file)
        asked = [
            "quality", str(captures(where, window, "quality")), "--format", "capture", "--truth", str(truth),
            "-o", str(folder / "output"), *_bounds(window),
        ]  # fmt: skip
        asked += ["--baseline", str(folder / "baseline")] if compare else []
        asked += ["--problem", problem or _problem(folder / "baseline")] if not compare else []
        chosen = {
            "prediction": prediction,
            "probability": ",".join(probability or ()),
            "positive": positive,
        }
        if not any(chosen.values()) and "constraints.json" in known:
            chosen = {flag: read_answers(where, base, QUALITY).get(flag, "") for flag in chosen}
        asked += [word for flag, value in chosen.items() if value for word in (f"--{flag}", value)]
        past = history.fetch(where, folder / "history", kind=QUALITY) if compare else None
        asked += ["--history", str(past)] if past else []
        code, printed = analyze([*asked, "--json"])
        if code not in {0, 1}:
            fail("E-QUALITY", printed, where=f"captures and labels of {endpoint}",
                 fix=f"farero monitor quality {endpoint} --help")  # fmt: skip
        told: dict[str, Any] = json.loads(printed)
        at = base if as_baseline else f"{where.prefix}quality/{now:%Y-%m-%dT%H-%M-%SZ}/"
        # without a baseline the analyzer suggests one and leaves no report
        (folder / "output" / KEPT[0]).write_text(json.dumps(told), encoding="utf-8")
        _keep(where, folder / "output", at, BASELINE if as_baseline else KEPT)
        if as_baseline:
            put_answers(where, base, chosen)
        page = folder / "output" / "report.html"
        if report is not None and page.exists():
            report.write_bytes(page.read_bytes())
    result({**told, "report": where.uri(at)}, figures.measured(told["quality"]))
    _next(endpoint, told, at, as_baseline=as_baseline, compare=compare)
    raise typer.Exit(code)


def _labels(where: Place, folder: Path) -> Path:
    """Fetch an endpoint's labels under their hours; ends the command if there are none."""
    uri = label_uri(where)
    bucket, key = split_uri(uri)
    root = f"{key.rstrip('/')}/"
    found = [one["Key"] for one in files_of(bucket, root) if one["Size"]]
    if not found:
        fail("E-NO-LABELS", f"{where.endpoint} has no labels yet", where=uri,
             fix=f"farero monitor label {where.endpoint} labels.csv")  # fmt: skip
    for one in found:
        download(bucket, one, folder / one.removeprefix(root))
    return folder


def _bounds(window: Window) -> list[str]:
    end = window.end + dt.timedelta(seconds=0 if window.whole else 1)
    return ["--since", f"{window.start:%Y-%m-%dT%H:%M:%SZ}", "--until", f"{end:%Y-%m-%dT%H:%M:%SZ}"]


def _problem(folder: Path) -> str:
    """Return the kind of problem of the baseline that is about to be replaced."""
    content: dict[str, Any] = json.loads((folder / "constraints.json").read_bytes())
    return next(short for short in PROBLEMS if any(name.startswith(short) for name in content))


def _keep(where: Place, folder: Path, at: str, names: tuple[str, ...]) -> None:
    s3 = client("s3")
    for name in names:
        path = folder / name
        if path.exists():
            guarded(lambda path=path: s3.upload_file(str(path), where.bucket, at + path.name))


def _next(
    endpoint: str, told: dict[str, Any], at: str, *, as_baseline: bool, compare: bool
) -> None:
    if compare:
        say(escape(f"\n{told['sentence']}"))
    if as_baseline:
        say(escape(f"these figures are what is normal for {endpoint} from now on, in {at}"))
    elif not compare:
        say(
            "next: --as-baseline, if the model was good in this window; later ones are then compared"
        )
    else:
        say(escape(f"next: farero monitor show {endpoint}"))
