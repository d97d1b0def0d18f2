"""What `python -m farero_monitor baseline` and `run` do, and what they print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import farero_monitor.own_process  # noqa: F401  # pyright: ignore[reportUnusedImport] - before all libraries
from farero_monitor.aws.constraints import NAME, Constraints
from farero_monitor.dataset import Reading, Source, begin
from farero_monitor.readers.files import format_of
from farero_monitor.readers.options import Options

if TYPE_CHECKING:
    import argparse

    from farero_monitor.estimate.labelled import Labelled
    from farero_monitor.monitor import Result
    from farero_monitor.profile.dataset import Profile
    from farero_monitor.workers import Workers


def baseline(asked: argparse.Namespace, pool: Workers | None) -> int:
    """Take a baseline and show its columns. pool: processes that are there already."""
    labelled = _labelled(asked)
    source = _source(asked, ())
    reading = _begun(source, asked, pool)
    from farero_monitor.monitor import take_baseline

    output = asked.output or Path("baseline")
    found = take_baseline(source, output, workers=reading, labelled=labelled)
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
    # what few runs need is imported by them: it takes a part of the time that a run over kept profiles takes
    from farero_monitor.estimate.labelled import Labelled, LabelsError
    from farero_monitor.probabilities import of_classes

    if not asked.target:
        if asked.prediction or asked.probability:
            raise LabelsError("--prediction and --probability need --target, the true one.")
        return None
    return Labelled(asked.target, asked.prediction, of_classes(asked.probability))


def run(asked: argparse.Namespace, pool: Workers | None) -> int:
    """Judge a window and show what was found; 1 if something is critical."""
    source = _source(asked, _names(asked.baseline))
    reading = _begun(source, asked, pool)
    from farero_monitor.history import read as read_history
    from farero_monitor.monitor import Baseline, judge

    baseline = Baseline.of_folder(asked.baseline)
    past = None if asked.history is None else read_history(asked.history)
    for file, reason in past.left_out if past else ():
        print(f"{file} is no report of an earlier window and left out: {reason}", file=sys.stderr)
    result = judge(
        source, baseline, asked.output, workers=reading, keep=asked.keep, history=past,
        at_once=asked.at_once,
    )  # fmt: skip
    _show(result)
    if asked.report is not None:
        from farero_monitor.report.page import write as write_report

        write_report(result, baseline, asked.report, language=asked.language)
        print(f"The report is in {asked.report}.")
    return 1 if result.verdict.severity == "critical" else 0


def _begun(source: Source, asked: argparse.Namespace, pool: Workers | None) -> int | Reading | None:
    """Let the processes that are there begin to read, while this one imports and reads what it judges by."""
    return asked.workers if pool is None else begin(source, pool)


def _names(folder: Path) -> tuple[str, ...]:
    """Return the columns of a baseline, which is all of it that reading takes; none of one that cannot be used."""
    try:
        content = msgspec.json.decode((folder / NAME).read_bytes(), type=dict[str, Any])
        return tuple(Constraints(content).names)
    except (OSError, ValueError):
        return ()  # reading all of it tells why


def _show(result: Result) -> None:
    from farero_monitor.drift.verdict import largest

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
    kind = asked.format or format_of(asked.data)
    return Source(asked.data, kind, not asked.no_header, options, asked.script)
