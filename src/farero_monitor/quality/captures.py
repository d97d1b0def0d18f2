"""Labelled predictions in captures that a merge gave their labels (`groundTruthData`).

A JSONPath, name or index is looked up in the answer (`endpointOutput`, or what `captureIndexNames` says): in JSON as a
path, in CSV as an index. Several rows in one record need as many labels, in as many lines. The probabilities of several
classes are values of a row (`0-2`), or a list of their own (`score`, `$.predictions[*].score`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from farero_monitor.quality import jsonpath
from farero_monitor.quality.sources import (
    LISTED,
    ROWS,
    AttributeMissingError,
    Gathered,
    flatten_once,
    lists,
    missing,
    parsed,
)
from farero_monitor.readers import files, table
from farero_monitor.readers.records import Half, Metadata, UnreadableError, rows_of
from farero_monitor.readers.scripts import preprocessor, record_of, rows_of_script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from farero_monitor.profile.dataset import Unread
    from farero_monitor.quality.columns import Batch
    from farero_monitor.quality.sources import Attributes, Source
    from farero_monitor.readers.records import Row


class Merged(msgspec.Struct):
    """A line of a merge job's result."""

    captureData: dict[str, Half]  # noqa: N815 - SageMaker's own key
    eventMetadata: Metadata = msgspec.field(default_factory=Metadata)  # noqa: N815
    groundTruthData: Half | None = None  # noqa: N815


def capture_batches(source: Source, attributes: Attributes, unread: Unread) -> Iterator[Batch]:
    """Yield the rows of all captures with a label. Raises NoDataError, AttributeMissingError, ScriptError."""
    roles = {"label": attributes.truth or "groundTruthData", **attributes.roles}
    script = preprocessor(source.script) if source.script else None
    good, lacking = 0, None
    for path in files.find(source.path):
        gathered = Gathered(path.name, roles)
        for line, text, record in _records(path, source, unread):
            try:
                values = (
                    _of_script(script, text, record, attributes)
                    if script
                    else _of_record(record, source, attributes)
                )
                reason = gathered.add(values, line) if values else ""
                good += not reason
            except UnreadableError as error:
                reason = str(error)
            except AttributeMissingError as error:
                lacking, reason = lacking or error, str(error)
            if reason:
                unread.add(path.name, f"line {line}", reason)
            if len(gathered) >= ROWS:
                yield gathered.take()
        yield from gathered.rest()
    if lacking is not None and not good:
        raise lacking


def _records(path: Any, source: Source, unread: Unread) -> Iterator[tuple[int, bytes, Merged]]:
    decode = msgspec.json.Decoder(Merged).decode
    what = "not a merged capture record"
    for line, text, record in files.documents(path, decode, unread, what):
        moment = record.eventMetadata.inferenceTime
        if source.start <= moment and (not source.end or moment < source.end):
            yield line, text, record


def _of_record(record: Merged, source: Source, attributes: Attributes) -> dict[str, list[Any]]:
    found = [name for name in source.halves if name in record.captureData]
    if not found:
        raise UnreadableError(f"none of {', '.join(source.halves)} in the record")
    half = record.captureData[found[0]]
    made = {"label": _label(record, attributes)}
    for role, name in attributes.roles.items():
        if role == LISTED:
            made[role] = [lists_of(half, name)]
        elif role != "label":
            made[role] = values_of(half, name)
    if attributes.problem == "MulticlassClassification":
        _check_told(made)
    return made


def _check_told(made: dict[str, list[Any]]) -> None:
    told = len(made.get("prediction", ()))
    if told > 1 == len(made["label"]):
        raise UnreadableError(
            f"{told} predictions for one label; if they are the probabilities of all classes, name them as "
            "probability_attribute"
        )


def _label(record: Merged, attributes: Attributes) -> list[Any]:
    half = record.groundTruthData
    if half is None:
        raise UnreadableError("the record has no groundTruthData; merge it with its labels first")
    if attributes.truth:
        try:
            return values_of(half, attributes.truth)
        except AttributeMissingError:
            # a label has no name of its own: the baseline's column of labels is meant
            if attributes.truth.startswith("$") or attributes.truth.isdecimal():
                raise
    if _is_plain(half) and "," not in half.data and not half.observedContentType:
        return [half.data]
    rows = rows_of(half) or []
    if any(len(row) != 1 for row in rows):
        raise UnreadableError(
            f"{len(rows[0])} values in groundTruthData; ground_truth_attribute says which"
        )
    return [next(iter(row.values())) if isinstance(row, dict) else row[0] for row in rows]


def values_of(half: Half, name: str) -> list[Any]:
    """Return a column of a payload, one value a row. Raises UnreadableError, AttributeMissingError."""
    kind = half.observedContentType.lower()
    if name.isdecimal() and "json" not in kind and _is_plain(half):
        values = half.data.split(",")
        if int(name) < len(values):
            return [values[int(name)]]
    steps = parsed(name)
    if half.encoding == "JSON" or ("json" in kind and half.encoding != "BASE64"):
        found = [value for one in _documents(half.data) for value in _find(one, steps)]
        if found:
            return flatten_once(found)
    rows = rows_of(half) or []
    return [_of_row(row, name, steps) for row in rows]


def lists_of(half: Half, name: str) -> list[list[Any]]:
    """Return a column of lists, one a row. Raises UnreadableError, AttributeMissingError."""
    kind = half.observedContentType.lower()
    if half.encoding == "JSON" or ("json" in kind and half.encoding != "BASE64"):
        steps = parsed(name)
        found = [value for one in _documents(half.data) for value in _find(one, steps)]
        if found:
            return lists(found)
    return [_list_in(row, name) for row in rows_of(half) or []]


def _list_in(row: Row, name: str) -> list[Any]:
    """Return a list of a row: what flat names made of it (`score.0`, `score.1`, …), or a cell of CSV with JSON."""
    if isinstance(row, dict):
        prefix = f"{name.removeprefix('$.')}."
        found = [value for key, value in row.items() if key.startswith(prefix)]
        if found:
            return found
    text = _of_row(row, name, parsed(name)) or ""
    try:
        return msgspec.json.decode(text, type=list[Any])
    except msgspec.MsgspecError:
        most = len(row) - 1
        hint = f"; name one for each class, as 0-{most}" if most else ""
        raise UnreadableError(f"'{text[:40]}' is no list of probabilities{hint}") from None


def _is_plain(half: Half) -> bool:
    """Tell whether a payload is one line of CSV without quotes, as most are."""
    data = half.data
    return half.encoding == "CSV" and not ('"' in data or "\n" in data or "\r" in data)


def _documents(data: str) -> list[Any]:
    try:
        return [msgspec.json.decode(data)]
    except msgspec.DecodeError:
        try:
            return [msgspec.json.decode(line) for line in data.splitlines() if line.strip()]
        except msgspec.DecodeError as error:
            raise UnreadableError(f"payload is not JSON: {error}") from error


def _find(document: Any, steps: tuple[jsonpath.Step, ...]) -> list[Any]:
    # an index goes by rows and their values, not into the document
    return [] if steps and isinstance(steps[0], int) else jsonpath.find(document, steps)


def _of_row(row: Row, name: str, steps: tuple[jsonpath.Step, ...]) -> str | None:
    values = list(row.values()) if isinstance(row, dict) else row
    names = list(row) if isinstance(row, dict) else table.numbered(len(row))
    if name in names:
        return values[names.index(name)]
    step = steps[0] if len(steps) == 1 else None
    if isinstance(step, int) and -len(values) <= step < len(values):
        return values[step]
    shown = names if isinstance(row, dict) else [str(index) for index in range(len(row))]
    raise missing(name, shown, "The answer")


def _of_script(
    script: Callable[[Any], Any], text: bytes, record: Merged, attributes: Attributes
) -> dict[str, list[Any]]:
    rows = rows_of_script(script, record_of(text))
    made: dict[str, list[Any]] = {role: [] for role in attributes.roles}
    for row in rows:
        for role, name in attributes.roles.items():
            made[role].append(
                _list_in(row, name) if role == LISTED else _of_row(row, name, parsed(name))
            )
    if rows and not attributes.truth:
        made["label"] = _label(record, attributes)
    return made if rows else {}
