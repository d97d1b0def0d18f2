"""Where labelled predictions come from: CSV, Parquet, JSON lines, and captures merged with their labels.

Columns are named by `Attributes`: by name, by index (`"0"`), or by JSONPath, as SageMaker's `InferenceAttribute`,
`ProbabilityAttribute` and `GroundTruthAttribute`. Of several classes the probability is one column for each, or one
with a list in each row.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from farero_monitor.errors import AnalysisError
from farero_monitor.probabilities import of_text
from farero_monitor.quality import jsonpath
from farero_monitor.quality.columns import Batch
from farero_monitor.readers import files, flat, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from farero_monitor.profile.dataset import Unread

Problem = Literal["Regression", "BinaryClassification", "MulticlassClassification"]
PROBLEMS: tuple[Problem, ...] = ("Regression", "BinaryClassification", "MulticlassClassification")
Kind = files.Format
#: Role of the column that has a list with the probability of every class.
LISTED = "probabilities"
#: Rows of one batch where they are read one by one.
ROWS = 20_000


class AttributeMissingError(AnalysisError):
    """The data has no such column; the text names those there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What is where in the data, and of what kind."""

    problem: Problem
    #: Column of the prediction, of the probability of the positive label, and of the label; empty if there is none.
    #: Of several classes all probabilities, as `probabilities.of_text` reads them; what was told is then the likeliest.
    inference: str = ""
    probability: str = ""
    truth: str = ""
    #: A probability above it is a positive prediction.
    threshold: float = 0.5
    #: The positive label, where it does not tell itself.
    positive: str = ""

    @property
    def roles(self) -> dict[str, str]:
        """The columns to read, by role."""
        found = {"label": self.truth, "prediction": self.inference, "probability": self.probability}
        if self.problem != "BinaryClassification":
            del found["probability"]
        found |= chance_roles(self.chances)
        return {role: name for role, name in found.items() if name}

    @property
    def chances(self) -> Mapping[str, str]:
        """Class → column, where the likeliest of several classes is what was told; of a column of lists "" → column.

        Raises ProbabilitiesError.
        """
        if self.problem != "MulticlassClassification" or self.inference or not self.probability:
            return {}
        return of_text(self.probability)


def chance_roles(chances: Mapping[str, str]) -> dict[str, str]:
    """Return role → column of the probabilities of several classes, in the order of the classes."""
    if list(chances) == [""]:
        return {LISTED: chances[""]}
    return {f"probability {index}": column for index, column in enumerate(chances.values())}


@dataclass(frozen=True, slots=True)
class Source:
    """A labelled data set on disk."""

    path: Path
    kind: Kind
    header: bool = True
    #: Only captures of start <= inferenceTime < end; ISO 8601 in UTC, empty for no limit.
    start: str = ""
    end: str = ""
    #: Which halves of a capture hold what is asked for, the first one that there is.
    halves: tuple[str, ...] = ("endpointOutput", "batchTransformOutput")
    #: A preprocessing script, for captures.
    script: Path | None = None
    missing: tuple[str, ...] = field(default=table.MISSING)


def batches(source: Source, attributes: Attributes, unread: Unread) -> Iterator[Batch]:
    """Yield all rows, batch by batch. Raises NoDataError, AttributeMissingError, ScriptError."""
    if source.kind == "capture":
        from farero_monitor.quality.captures import capture_batches

        yield from capture_batches(source, attributes, unread)
        return
    for path in files.find(source.path):
        if source.kind == "csv":
            yield from _csv(path, source, attributes.roles, unread)
        elif source.kind == "parquet":
            yield from _parquet(path, attributes.roles)
        else:
            yield from _json(path, attributes.roles, unread)


def _csv(path: Path, source: Source, roles: dict[str, str], unread: Unread) -> Iterator[Batch]:
    names = None
    if source.header:
        with files.open_plain(path) as file:
            names = table.header(file.readline(files.LONGEST_LINE).rstrip(b"\r\n"))
    row = 1
    for held in flat.csv_tables(
        path, 0, None, names, source.missing, unread, skip=1 if source.header else 0
    ):
        wanted = {
            role: column_of(list(held.schema.names), name, path.name)
            for role, name in roles.items()
        }
        yield Batch({role: held.column(name) for role, name in wanted.items()}, path.name, row)
        row += held.num_rows


def _parquet(path: Path, roles: dict[str, str]) -> Iterator[Batch]:
    row = 1
    for held in flat.parquet_tables(path):
        wanted = {
            role: column_of(list(held.schema.names), name, path.name)
            for role, name in roles.items()
        }
        yield Batch({role: held.column(name) for role, name in wanted.items()}, path.name, row)
        row += held.num_rows


def _json(path: Path, roles: dict[str, str], unread: Unread) -> Iterator[Batch]:
    decode = msgspec.json.Decoder().decode
    steps = {role: parsed(name) for role, name in roles.items()}
    gathered = Gathered(path.name, roles)
    for line, _, document in files.documents(path, decode, unread, "not JSON"):
        values = {role: jsonpath.find(document, path_of) for role, path_of in steps.items()}
        if values.get(LISTED):
            values[LISTED] = [lists(values[LISTED])]
        reason = gathered.add(values, line)
        if reason:
            unread.add(path.name, f"line {line}", reason)
        elif gathered.absent:
            # the first record lacks it: that is the name, unless later ones have it
            gathered.known = gathered.known or list(flat.flatten(document))
        if len(gathered) >= ROWS:
            yield gathered.take()
    yield from gathered.rest()


class Gathered:
    """Rows read one by one, and which columns none of them had."""

    def __init__(self, file: str, roles: dict[str, str]) -> None:
        self._file = file
        self._roles = roles
        self.absent = set(roles)
        #: Columns of the first record that lacked one.
        self.known: list[str] = []
        self._columns: dict[str, list[str | None]] = {role: [] for role in roles}
        self._places: list[int] = []

    def __len__(self) -> int:
        return len(self._places)

    def add(self, values: dict[str, list[Any]], line: int) -> str:
        """Add the rows of a record; returns what is wrong with it, or nothing. No value is a missing one."""
        if all(len(found) == 1 and isinstance(found[0], str) for found in values.values()):
            # one row of texts, as most records are
            self.absent.clear()
            self._places.append(line)
            for role, column in self._columns.items():
                column.append(values[role][0] or None)
            return ""
        spread = {role: flatten_once(found) for role, found in values.items()}
        self.absent -= {role for role, found in spread.items() if found}
        count = max((len(found) for found in spread.values()), default=0) or 1
        for role, found in spread.items():
            if len(found) not in {0, count}:
                return f"{len(found)} values of {role} where others have {count}"
        for role in self._columns:
            found = spread.get(role) or [None] * count
            self._columns[role] += [_text(value) for value in found]
        self._places += [line] * count
        return ""

    def take(self) -> Batch:
        """Return what was gathered, and begin anew."""
        made = Batch(self._columns, self._file, self._places, lines=True)
        self._columns, self._places = {role: [] for role in self._roles}, []
        return made

    def rest(self) -> Iterator[Batch]:
        """Yield the last rows. Raises AttributeMissingError if no record had one of the columns."""
        for role in self._roles:
            if role in self.absent and self._places:
                raise missing(self._roles[role], self.known, self._file, role)
        if self._places:
            yield self.take()


def flatten_once(found: list[Any]) -> list[Any]:
    """Return a single list as the values in it: a path that leads to a list names several rows."""
    if len(found) == 1 and isinstance(found[0], list):
        return cast("list[Any]", found[0])
    return found


def lists(found: list[Any]) -> list[list[Any]]:
    """Return what a path leads to as a list for each row: lists, a list of lists, or the values of one."""
    if not any(isinstance(one, list) for one in found):
        return [found]
    made: list[list[Any]] = []
    for one in cast("list[list[Any]]", [one if isinstance(one, list) else [one] for one in found]):
        made += one if one and all(isinstance(inner, list) for inner in one) else [one]
    return made


def _text(value: Any) -> str | None:
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return flat.text(value)


@lru_cache
def parsed(name: str) -> tuple[jsonpath.Step, ...]:
    """Return a column's name as a path; raises AttributeMissingError if it is none."""
    try:
        return jsonpath.parse(name)
    except jsonpath.PathError as error:
        raise AttributeMissingError(str(error)) from error


def column_of(names: Sequence[str], wanted: str, file: str) -> str:
    """Return the column that a name or an index means; raises AttributeMissingError."""
    if wanted in names:
        return wanted
    plain = wanted.removeprefix("$.").removeprefix("_c")
    if plain in names:
        return plain
    if plain.isdecimal() and int(plain) < len(names):
        return names[int(plain)]
    raise missing(wanted, names, file)


def missing(wanted: str, names: Sequence[str], file: str, role: str = "") -> AttributeMissingError:
    """Return the error that names the columns there are, the likely one first."""
    close = difflib.get_close_matches(wanted.removeprefix("$."), names, 1)
    there = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return AttributeMissingError(
        f"{file} has no {f'{role} ' if role else 'column '}'{wanted}'; there are: {there or 'none'}."
        + (f" Did you mean '{close[0]}'?" if close else "")
    )
