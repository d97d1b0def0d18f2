"""`python -m farero_monitor`: a baseline, and a verdict over a window, from files."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import farero_monitor.own_process  # noqa: F401  # pyright: ignore[reportUnusedImport] - before all libraries
from farero_monitor.dataset import Format, Source
from farero_monitor.drift.verdict import largest
from farero_monitor.errors import AnalysisError
from farero_monitor.history import read as read_history
from farero_monitor.monitor import Baseline, Result, judge, take_baseline
from farero_monitor.quality import arguments as quality
from farero_monitor.readers.files import find, open_plain
from farero_monitor.readers.options import Options
from farero_monitor.words import of_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero_monitor.estimate.labelled import Labelled
    from farero_monitor.profile.dataset import Profile

_FORMATS: dict[str, Format] = {
    ".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".jsonl": "json", ".json": "json",
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 is fine, 1 found something critical, 2 could not be done."""
    asked = _parser().parse_args(arguments)
    try:
        return asked.do(asked)
    except AnalysisError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("farero_monitor", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="baseline|run|quality")
    baseline = commands.add_parser("baseline", help="statistics and constraints of training data")
    run = commands.add_parser("run", help="a verdict over a window, against a baseline")
    for command in (baseline, run):
        command.add_argument("data", type=Path, help="a file, or a folder of files")
        command.add_argument(
            "--format", choices=["csv", "parquet", "json", "capture"],
            help="of the data; told by the name of the file, and by the first line for .jsonl",
        )  # fmt: skip
        command.add_argument("--no-header", action="store_true", help="CSV without names")
        command.add_argument(
            "--missing", action="append", default=[], metavar="TEXT",
            help="a text that stands for a missing value, for instance NA; may be repeated",
        )  # fmt: skip
        command.add_argument("--script", type=Path, help="with a preprocess_handler")
        command.add_argument("--output", "-o", type=Path, help="folder for the files")
        command.add_argument("--workers", type=int, help="processes; by default one a core")
    baseline.add_argument("--target", metavar="COLUMN", help="with the true class or number")
    baseline.add_argument("--prediction", default="", metavar="COLUMN", help="told by the model")
    baseline.add_argument(
        "--probability", action="append", default=[], metavar="[CLASS=]COLUMN",
        help="told by the model; of more than two classes one for each, with its class",
    )  # fmt: skip
    baseline.set_defaults(do=_baseline)
    run.add_argument("--baseline", "-b", type=Path, required=True, help="folder with its files")
    run.add_argument("--since", default="", metavar="TIME", help="ISO 8601 in UTC, of captures")
    run.add_argument("--until", default="", metavar="TIME", help="the same")
    run.add_argument("--output-last", action="store_true", help="the target is the last column")
    run.add_argument("--keep", action="store_true", help="keep a profile beside each file")
    run.add_argument("--report", type=Path, help="write one HTML page")
    run.add_argument(
        "--history", type=Path, metavar="FOLDER",
        help="outputs of earlier windows: the report draws them, and a notice needs two of three",
    )  # fmt: skip
    run.add_argument(
        "--at-once", action="store_true", help="with --history: one window is enough for a notice"
    )
    run.add_argument(
        "--language", choices=["en", "es"], default=of_environment(os.environ),
        help="of the report; by default that of LANG",
    )  # fmt: skip
    run.set_defaults(do=_run)
    quality.add_to(commands)
    return parser


def _baseline(asked: argparse.Namespace) -> int:
    output = asked.output or Path("baseline")
    labelled = _labelled(asked)
    found = take_baseline(_source(asked, ()), output, workers=asked.workers, labelled=labelled)
    width = max((len(name) for name in found.columns), default=6)
    print(f"{'column':{width}}  {'type':10}  {'missing':>8}  mean ± deviation, or values")
    for column in found.columns.values():
        if column.inferred_type in {"Integral", "Fractional"}:
            what = f"{column.moments.mean:.6g} ± {column.moments.deviation:.6g}"
        else:
            top = column.categories.top(3) if column.categories else []
            distinct = column.categories.distinct if column.categories else 0
            what = f"{distinct} different: {', '.join(value for value, _ in top)}"
        missing = f"{1 - column.completeness:.2%}"
        print(f"{column.name:{width}}  {column.inferred_type:10}  {missing:>8}  {what}")
    _unread(found)
    print(f"\n{found.rows:,} rows. The baseline is in {output}.")
    if labelled is not None:
        print("Runs against it estimate the model's quality, without labels.")
    return 0


def _labelled(asked: argparse.Namespace) -> Labelled | None:
    # what only some of the commands need is imported by them: it would take longer than a run over kept profiles
    from farero_monitor.estimate.labelled import Labelled, LabelsError

    if not asked.target:
        if asked.prediction or asked.probability:
            raise LabelsError("--prediction and --probability need --target, the true one.")
        return None
    columns = dict(_named(text) for text in asked.probability)
    return Labelled(asked.target, asked.prediction, columns)


def _named(text: str) -> tuple[str, str]:
    name, _, column = text.rpartition("=")
    return name, column


def _run(asked: argparse.Namespace) -> int:
    baseline = Baseline.of_folder(asked.baseline)
    source = _source(asked, tuple(baseline.constraints.names))
    past = None if asked.history is None else read_history(asked.history)
    for file, reason in past.left_out if past else ():
        print(f"{file} is no report of an earlier window and left out: {reason}", file=sys.stderr)
    result = judge(
        source, baseline, asked.output, workers=asked.workers, keep=asked.keep, history=past,
        at_once=asked.at_once,
    )  # fmt: skip
    _show(result)
    if asked.report is not None:
        from farero_monitor.report.page import write as write_report

        write_report(result, baseline, asked.report, language=asked.language)
        print(f"The report is in {asked.report}.")
    return 1 if result.verdict.severity == "critical" else 0


def _show(result: Result) -> None:
    judged = result.verdict
    width = max((len(column.name) for column in judged.columns), default=6)
    if judged.columns:
        print(f"{'column':{width}}  {'verdict':15}  {'adjusted p':>10}  largest effect")
    for column in sorted(judged.columns, key=lambda column: column.adjusted):
        named = largest(column)
        effect = f"{named} {column.effects[named]:+.3f}" if named else ""
        p = "" if column.state == "not enough data" else f"{column.adjusted:.1e}"
        print(f"{column.name:{width}}  {column.state:15}  {p:>10}  {effect}")
    _unread(result.profile)
    _estimates(result)
    print(f"\n{judged.sentence}")
    for finding in judged.findings:
        print(f"  {finding.severity:8}  {finding.column or 'all'}: {finding.text}")
    print(result.message)


def _estimates(result: Result) -> None:
    estimated = result.more.get("estimated")
    if not estimated:
        return
    if estimated["reason"]:
        print(f"\nQuality could not be estimated: {estimated['reason']}")
        return
    from farero_monitor.estimate.figures import TITLES

    print(f"\n{'estimated':10}  {'value':>8}  {'band of 95 %':>19}  {'baseline':>8}")
    for name, found in estimated["figures"].items():
        band = f"{found['low']:.4g} to {found['high']:.4g}"
        state = "" if found["state"] == "same" else found["state"]
        print(
            f"{TITLES[name]:10}  {found['value']:8.4g}  {band:>19}  {found['reference']:8.4g}  {state}"
        )


def _unread(found: Profile) -> None:
    if found.unread.count:
        print(f"\n{found.unread.count} lines could not be read:")
        for file, place, reason in found.unread.places[:5]:
            print(f"  {file}, {place}: {reason}")


def _source(asked: argparse.Namespace, names: tuple[str, ...]) -> Source:
    options = Options(
        names=names, start=getattr(asked, "since", ""), end=getattr(asked, "until", ""),
        output_first=not getattr(asked, "output_last", False),
    )  # fmt: skip
    if asked.missing:
        options = Options(
            names=options.names, start=options.start, end=options.end,
            output_first=options.output_first, missing=(*options.missing, *asked.missing),
        )  # fmt: skip
    kind = asked.format or _guess(asked.data)
    return Source(asked.data, kind, not asked.no_header, options, asked.script)


def _guess(path: Path) -> Format:
    """Tell the format of a file, or of the first one below a folder; raises NoDataError."""
    first = find(path)[0]
    name = first.name.removesuffix(".gz")
    found = _FORMATS.get(Path(name).suffix.lower(), "csv")
    if found == "json":
        with open_plain(first) as file:
            return "capture" if file.read(20).lstrip().startswith(b'{"captureData"') else "json"
    return found


if __name__ == "__main__":
    raise SystemExit(main())
