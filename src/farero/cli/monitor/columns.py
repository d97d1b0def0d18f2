"""Whether a baseline's columns are those that an endpoint captures, and if not, which mistake was likely made.

The analyzer reads a few of the newest records against the baseline, as every run will; what it finds is compared here.
Values of CSV go by position, the answer's first; those of JSON by name.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farero.cli.monitor.analyzer import analyze

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Records that are looked at.
ENOUGH = 500
#: What pandas and others call the row number that they write in front.
INDEX = {"", "index", "unnamed: 0", "_c0", "id", "row"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as statistics.json describes it."""

    name: str
    #: Integral, Fractional, String, or Unknown for one without values.
    kind: str
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is likely wrong, and what to do."""

    what: str
    fix: str


def check(records: Sequence[str], baseline: Path, folder: Path, fix: str) -> Mistake | None:
    """Return the mistake that captured records show in a baseline's folder; None if they go together.

    fix: the command that takes the baseline again.
    """
    whole, requests = folder / "whole.jsonl", folder / "requests.jsonl"
    whole.write_text("".join(f"{line}\n" for line in records), encoding="utf-8")
    requests.write_text(
        "".join(f"{json.dumps(_request(line))}\n" for line in records), encoding="utf-8"
    )
    known = columns_of(json.loads((baseline / "statistics.json").read_bytes()))
    seen = _read(["run", str(whole), "-b", str(baseline)], folder / "seen")
    asked = _read(["baseline", str(requests)], folder / "asked")
    if seen is None or asked is None:
        return None  # what cannot be read is told by the runs themselves, with file and line
    by_name = not all(re.fullmatch(r"_c\d+", column.name) for column in asked)
    return compare(known, seen, request=len(asked), by_name=by_name, fix=fix)


def columns_of(statistics: dict[str, Any]) -> list[Column]:
    """Return the columns of a statistics.json."""
    found: list[Column] = []
    for feature in statistics["features"]:
        numbers = feature.get("numerical_statistics")
        values: dict[str, float] = {}
        if numbers and numbers["common"]["num_present"]:
            values = {"low": numbers["min"], "high": numbers["max"], "mean": numbers["mean"]}
        found.append(Column(name=feature["name"], kind=feature["inferred_type"], **values))
    return found


def compare(
    known: Sequence[Column], seen: Sequence[Column], *, request: int, by_name: bool, fix: str
) -> Mistake | None:
    """Compare a baseline's columns with captured ones.

    seen: of answer and request together, under the names that the analyzer gave them; request: how many of them the
    request has; by_name: whether the request's values have names of their own.
    """
    if by_name:
        return _by_name(known, seen, request, fix)
    return _by_position(known, seen, request, fix)


def _by_name(
    known: Sequence[Column], seen: Sequence[Column], request: int, fix: str
) -> Mistake | None:
    names, there = [c.name for c in known], [c.name for c in seen]
    missing = [c for c in known if c.name not in there]
    extra = [c for c in seen if c.name not in names]
    if not missing and not extra:
        return None
    folded = {name.strip().casefold(): name for name in there}
    alike = [
        (c.name, folded[c.name.strip().casefold()])
        for c in missing
        if c.name.strip().casefold() in folded
    ]
    if alike:
        told = ", ".join(f"{one!r} is captured as {other!r}" for one, other in alike[:3])
        return Mistake(f"names differ in capitals or blanks: {told}", f"rename them, then {fix}")
    if not {*names} & {*there}:
        return Mistake(
            f"none of the baseline's columns ({_some(known)}) is captured ({_some(seen)}): "
            "it looks like the baseline of another model",
            fix,
        )
    if not missing and len(extra) <= len(seen) - request:
        return _without_answer(known, seen, request, fix)
    parts: list[str] = []
    if missing:
        parts.append(f"{_some(missing)} of the baseline is not captured")
    if extra:
        parts.append(f"{_some(extra)} is captured and not in the baseline")
    return Mistake("; ".join(parts), f"the names as they are sent, then {fix}")


def _by_position(
    known: Sequence[Column], seen: Sequence[Column], request: int, fix: str
) -> Mistake | None:
    width, answer = len(seen), len(seen) - request
    if len(known) == width:
        return _order(known, seen, fix)
    if len(known) == request and answer:
        return _without_answer(known, seen, request, fix)
    counts = f"the baseline has {len(known)} columns, a record {width}: {answer} of the answer and {request} sent"
    if len(known) == width + 1:
        first = known[0].name
        if first.strip().casefold() in INDEX:
            return Mistake(
                f"{counts}; the first one, {first!r}, looks like a row number",
                f"write the file without it (to_csv(…, index=False)), then {fix}",
            )
        return Mistake(
            f"{counts}; is one an id that is not sent, or are both target and prediction in it?",
            f"leave that column out, then {fix}",
        )
    return Mistake(f"{counts}; it looks like the baseline of another model", fix)


def _without_answer(
    known: Sequence[Column], seen: Sequence[Column], request: int, fix: str
) -> Mistake:
    return Mistake(
        f"the baseline has {len(known)} columns, as the request alone; a record has {len(seen)}, as the answer comes "
        f"first: the column that the model predicts is missing ({request} are sent)",
        f"put the target first in the file, then {fix}",
    )


def _order(known: Sequence[Column], seen: Sequence[Column], fix: str) -> Mistake | None:
    wrong = _misfits(known, seen)
    if not wrong:
        return None
    turned = [known[-1], *known[:-1]]
    if not _misfits(turned, seen):
        return Mistake(
            f"the columns stand in another order: what the model answers comes first in a record, and looks like "
            f"{known[-1].name!r}, the last one of the baseline",
            f"put {known[-1].name!r} first in the file, then {fix}",
        )
    if len(wrong) > 1 and len(wrong) > len(known) / 2:
        return Mistake(
            f"{len(wrong)} of {len(known)} columns hold nothing like the baseline ({_some(wrong)}): another order of "
            "columns, or the baseline of another model",
            fix,
        )
    return None  # one or two columns elsewhere: that may be drift, which a run shall tell


def _misfits(known: Sequence[Column], seen: Sequence[Column]) -> list[Column]:
    """Return the columns whose captured values are of another type, or on average outside of all known ones."""
    return [one for one, other in zip(known, seen, strict=False) if not _fits(one, other)]


def _fits(one: Column, other: Column) -> bool:
    if "Unknown" in {one.kind, other.kind}:
        return True
    if "String" in {one.kind, other.kind}:
        return one.kind == other.kind
    return one.low <= other.mean <= one.high


def _read(asked: list[str], output: Path) -> list[Column] | None:
    code, _ = analyze([*asked, "-o", str(output), "--format", "capture"])
    if code not in {0, 1}:
        return None
    return columns_of(json.loads((output / "statistics.json").read_bytes()))


def _request(line: str) -> dict[str, Any]:
    record = json.loads(line)
    record["captureData"] = {
        half: value for half, value in record["captureData"].items() if half != "endpointOutput"
    }
    return record


def _some(columns: Sequence[Column], most: int = 4) -> str:
    names = ", ".join(repr(column.name) for column in columns[:most])
    return names + (f" and {len(columns) - most} more" if len(columns) > most else "")
