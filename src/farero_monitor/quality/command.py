"""`python -m farero_monitor quality`: how good is the model, from predictions and labels in files."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from farero_monitor.history import read as read_history
from farero_monitor.quality import runs
from farero_monitor.quality.arguments import SHORT
from farero_monitor.quality.gather import QualityError
from farero_monitor.quality.joined import join
from farero_monitor.quality.merging import MergeError, merge
from farero_monitor.quality.sources import Attributes, Source
from farero_monitor.readers.files import format_of

if TYPE_CHECKING:
    import argparse

    from farero_monitor.quality.contents import Constraints
    from farero_monitor.quality.runs import Quality
    from farero_monitor.quality.sources import Kind


def run(asked: argparse.Namespace) -> int:
    """Do it; 1 if the model is worse than its baseline. Raises what `runs.run` and `merge` raise."""
    constraints = _constraints(asked.baseline)
    kind = asked.format or format_of(asked.data)
    source = Source(
        asked.data,
        kind,
        not asked.no_header,
        start=asked.since,
        end=asked.until,
        script=asked.script,
    )
    attributes = _attributes(asked, kind, constraints)
    with ExitStack() as stack:
        told = ""
        if asked.truth is not None:
            folder = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="farero-quality-"))
            )
            source, attributes, told = _labelled(asked, source, attributes, folder)
        made = runs.run(
            source, attributes, asked.output, constraints=constraints, language=asked.language,
            history=None if asked.history is None else read_history(asked.history),
        )  # fmt: skip
    if asked.json:
        print(msgspec.json.format(msgspec.json.encode(made.result.report()), indent=2).decode())
    else:
        _show(made, told, asked.output)
    return 1 if made.result.verdict.severity == "critical" else 0


def _constraints(given: Path | None) -> Constraints | None:
    if given is None:
        return None
    return runs.read_constraints(given / runs.CONSTRAINTS if given.is_dir() else given)


def _attributes(
    asked: argparse.Namespace, kind: Kind, constraints: Constraints | None
) -> Attributes:
    problem = SHORT.get(asked.problem, asked.problem) or (
        constraints.problem if constraints else None
    )
    if problem is None:
        raise QualityError(f"Say what kind of problem it is: --problem {'|'.join(SHORT)}.")
    prediction = asked.prediction
    if not prediction and not asked.probability:
        prediction = "0" if kind == "capture" else "prediction"
    label = asked.label or ("" if kind == "capture" else "label")
    return Attributes(
        problem=problem, inference=prediction, probability=asked.probability, truth=label,
        threshold=asked.threshold, positive=asked.positive,
    )  # fmt: skip


def _labelled(
    asked: argparse.Namespace, source: Source, attributes: Attributes, folder: Path
) -> tuple[Source, Attributes, str]:
    """Bring predictions and labels together in a folder; return what is there, and the counts in words."""
    truth_kind = format_of(asked.truth)
    if source.kind == "capture":
        if truth_kind != "json":
            raise MergeError(
                f"{asked.truth} is a table; labels of captures are SageMaker's ground truth: JSON lines with "
                "groundTruthData and eventMetadata.eventId."
            )
        merged = merge(source.path, asked.truth, folder, window=(source.start, source.end))
        return replace(source, path=folder), attributes, merged.message
    labels = Source(asked.truth, truth_kind, not asked.no_header)
    target = folder / "joined.parquet"
    attributes, told = join(source, labels, attributes, asked.id, target)
    return Source(target, "parquet"), attributes, told


def _show(made: Quality, told: str, output: Path | None) -> None:
    if told:
        print(f"{told}\n")
    against = bool(made.judged)
    width = max(len(name) for name in made.found)
    print(
        f"{'metric':{width}}  {'value':>9}  {'band of 95 %':>22}"
        + (f"  {'baseline':>9}" if against else "")
    )
    for name, one in made.found.items():
        band = f"{one.shown.low:.4g} to {one.shown.high:.4g}" if one.shown.known else ""
        line = f"{name:{width}}  {one.value:9.4g}  {band:>22}"
        judged = made.judged.get(name)
        if judged:
            line += f"  {judged.constraint.threshold:9.4g}  {'' if judged.state == 'same' else judged.state}"
        print(line.rstrip())
    unread, missing = made.gathered.unread, made.gathered.missing
    for role, count in missing.items():
        if count:
            print(f"\n{count:,} rows without a {role} are left out.")
    if unread.count:
        print(f"\n{unread.count:,} rows could not be used:")
        for file, place, reason in unread.places[:5]:
            print(f"  {file}, {place}: {reason}")
    print()
    if against:
        print(made.result.verdict.sentence)
        for finding in made.result.verdict.findings:
            print(f"  {finding.severity:8}  {finding.text}")
        print(made.message)
    else:
        print(f"{made.gathered.tally.rows:,} labelled predictions.")
    if output is not None:
        print(f"The files are in {output}.")
