"""Capture records one by one: every encoding, several rows in a record, missing halves, scripts."""

from __future__ import annotations

import base64
import binascii
import csv
import io
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np

from farero_monitor.readers import table
from farero_monitor.readers.files import documents_of
from farero_monitor.readers.flat import flatten, of_records, text
from farero_monitor.readers.scripts import record_of, rows_of_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farero_monitor.profile.dataset import Profile
    from farero_monitor.readers.options import Options

#: A row as it was sent: values in order, or named ones.
Row = list[str | None] | dict[str, str | None]
#: Rows looked at to learn how many values a row has.
FIRST = 100
#: Keys under which model servers expect or return a list of rows.
WRAPPERS = ("instances", "inputs", "predictions", "outputs", "data")


class UnreadableError(Exception):
    """A record that is no record, or a payload in a form that is not known."""


class Half(msgspec.Struct):
    """A request or an answer."""

    data: str = ""
    encoding: str = "CSV"
    observedContentType: str = ""  # noqa: N815 - SageMaker's own key
    mode: str = ""


class Data(msgspec.Struct):
    """Both halves of a record, or those of a batch transform."""

    endpointInput: Half | None = None  # noqa: N815
    endpointOutput: Half | None = None  # noqa: N815
    batchTransformInput: Half | None = None  # noqa: N815
    batchTransformOutput: Half | None = None  # noqa: N815


class Metadata(msgspec.Struct):
    """When a record came, and its names."""

    eventId: str = ""  # noqa: N815
    inferenceTime: str = ""  # noqa: N815
    inferenceId: str | None = None  # noqa: N815


class Record(msgspec.Struct):
    """A line of a capture file, or of a merge job's result."""

    captureData: Data  # noqa: N815
    eventMetadata: Metadata = msgspec.field(default_factory=Metadata)  # noqa: N815
    groundTruthData: Half | None = None  # noqa: N815


_decode = msgspec.json.Decoder(Record).decode


def records(
    block: bytes, options: Options, profile: Profile, file: str, line: int
) -> Iterator[tuple[str, bytes, Record]]:
    """Yield place, text and record of each line within the window; the others go into `unread`."""
    found = documents_of(block, _decode, profile.unread, "not a capture record", file, line)
    for number, content, record in found:
        moment = record.eventMetadata.inferenceTime
        if options.wants(moment):
            profile.seen(moment)
            yield f"line {number}", content, record
        else:
            profile.outside += 1


def tables_of_records(
    block: bytes, options: Options, profile: Profile, file: str, line: int
) -> Iterator[Any]:
    """Yield a block's rows as tables of texts, one for each form of row in it."""
    plain: dict[tuple[bool, bool], list[tuple[str, list[str | None], int]]] = {}
    named: list[dict[str, str | None]] = []
    for place, content, record in records(block, options, profile, file, line):
        if options.script is not None:
            named += rows_of_script(options.script, record_of(content))
            continue
        try:
            joined = list(_join(record))
        except UnreadableError as error:
            profile.unread.add(file, place, str(error))
            continue
        for answer, sent in joined:
            got = _placed(answer, sent, options.names)
            if isinstance(got, list | None) and isinstance(sent, list | None):
                form = (got is not None, sent is not None)
                row = [*(got or []), *(sent or [])]
                plain.setdefault(form, []).append((place, row, len(got or [])))
            else:
                named.append(_name(got, sent, options, profile))
    for rows in plain.values():
        yield from _of_plain(rows, options, profile, file)
    if named:
        yield of_records(named)


def _of_plain(
    rows: list[tuple[str, list[str | None], int]], options: Options, profile: Profile, file: str
) -> Iterator[Any]:
    wide = Counter(len(row) for _, row, _ in rows[:FIRST]).most_common(1)[0][0]
    outputs = next(count for _, row, count in rows if len(row) == wide)
    kept: list[list[str | None]] = []
    for place, row, _ in rows:
        if len(row) == wide:
            kept.append(row)
        else:
            profile.unread.add(file, place, f"{len(row)} values instead of {wide}")
    if kept and wide:
        names = options.columns(outputs, wide - outputs)
        profile.answers.update(names[:outputs])
        yield table.of_rows(kept, names, options.missing)


def _join(record: Record) -> Iterator[tuple[Row | None, Row | None]]:
    """Yield answer and request of each row in a record."""
    data = record.captureData
    sent = rows_of(data.endpointInput or data.batchTransformInput)
    got = rows_of(data.endpointOutput or data.batchTransformOutput)
    if sent is None and got is None:
        raise UnreadableError("neither request nor answer in the record")
    if sent is None:
        yield from ((row, None) for row in got or [])
    elif got is None:
        yield from ((None, row) for row in sent)
    elif len(sent) == len(got):
        yield from zip(got, sent, strict=True)
    else:
        raise UnreadableError(f"{len(sent)} rows in the request, {len(got)} in the answer")


def _placed(got: Row | None, sent: Row | None, names: tuple[str, ...]) -> Row | None:
    """Return a JSON answer under the names of a baseline that knows none of its own, if it has as many as are left.

    A baseline from a table names columns as it likes: `price` is what {"score": 251.5} says.
    """
    if not isinstance(got, dict) or sent is None or not got.keys().isdisjoint(names):
        return got
    left = [name for name in names if name not in sent] if isinstance(sent, dict) else names
    if len(left) - (0 if isinstance(sent, dict) else len(sent)) != len(got):
        return got
    values = list(got.values())
    return dict(zip(left, values, strict=True)) if isinstance(sent, dict) else values


def _name(
    got: Row | None, sent: Row | None, options: Options, profile: Profile
) -> dict[str, str | None]:
    outputs = len(got) if isinstance(got, list) else 0
    inputs = len(sent) if isinstance(sent, list) else 0
    names = options.columns(outputs, inputs)
    profile.answers.update(got if isinstance(got, dict) else names[:outputs])
    made: dict[str, str | None] = {}
    for half, own in ((got, names[:outputs]), (sent, names[outputs:])):
        if isinstance(half, dict):
            made.update(half)
        elif half is not None:
            made.update(zip(own, half, strict=True))
    missing = {*options.missing}
    return {name: None if value in missing else value for name, value in made.items()}


def rows_of(half: Half | None) -> list[Row] | None:
    """Return the rows of a payload; None where there is none. Raises UnreadableError."""
    if half is None:
        return None
    kind = half.observedContentType.split(";", 1)[0].strip().lower()
    if half.encoding == "BASE64":
        try:
            content = base64.b64decode(half.data, validate=True)
        except binascii.Error as error:
            raise UnreadableError(f"not base64: {error}") from error
        if kind == "application/x-npy":
            return _of_npy(content)
        try:
            data = content.decode()
        except UnicodeDecodeError:
            raise UnreadableError(
                f"content of type {kind or 'unknown'} is no text; a preprocessing script can read it"
            ) from None
    else:
        data = half.data
    if half.encoding == "JSON" or "json" in kind:
        return _of_json(data)
    return _of_csv(data)


def _of_csv(data: str) -> list[Row]:
    if '"' in data:
        return [list(row) for row in csv.reader(io.StringIO(data)) if row]
    rows = [row.removesuffix("\r") for row in data.split("\n")]
    if len(rows) > 1 and not rows[-1]:
        rows.pop()
    return [list(row.split(",")) for row in rows]


def _of_json(data: str) -> list[Row]:
    try:
        found = msgspec.json.decode(data)
    except msgspec.DecodeError:
        try:
            return [_row(msgspec.json.decode(line)) for line in data.splitlines() if line.strip()]
        except msgspec.DecodeError as error:
            raise UnreadableError(f"payload is not JSON: {error}") from error
    if isinstance(found, dict):
        ((key, held), *others) = cast("dict[str, Any]", found).items() or [("", None)]
        if not others and key in WRAPPERS and isinstance(held, list):
            found = cast("list[Any]", held)
    rows = cast("list[Any]", found if isinstance(found, list) else [])
    if rows and all(isinstance(row, list | dict) for row in rows):
        return [_row(row) for row in rows]
    return [_row(found)]


def _row(found: Any) -> Row:
    if isinstance(found, dict):
        return flatten(found)
    if isinstance(found, list):
        return list(flatten(found).values())
    return [text(found)]


def _of_npy(content: bytes) -> list[Row]:
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UnreadableError(f"not a NumPy array: {error}") from error
    shaped = array.reshape(len(array), -1) if array.ndim > 1 else np.atleast_2d(array)
    return [[text(value) for value in row] for row in shaped.tolist()]
