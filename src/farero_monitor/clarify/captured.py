"""What a monitored endpoint was asked and answered, and what turned out to be true, as rows with names."""

from __future__ import annotations

import base64
import binascii
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import msgspec

from farero_monitor.clarify import answers
from farero_monitor.clarify.config import ConfigError
from farero_monitor.clarify.data import UNREAD_LIMIT, at
from farero_monitor.clarify.rows import Rows
from farero_monitor.profile.dataset import Unread
from farero_monitor.readers import files
from farero_monitor.readers.flat import flatten, of_records, text
from farero_monitor.readers.records import Half, Record, UnreadableError, rows_of
from farero_monitor.readers.table import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farero_monitor.readers.records import Row

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for in captures."""

    #: Names of the request's values, in order.
    features: tuple[str, ...] = ()
    #: Where in a request of JSON the features are.
    features_path: str = ""
    #: Name of the column of the ground truth; empty where none is needed.
    label: str = ""
    #: Only records of start <= inferenceTime < end; ISO 8601 in UTC, empty for no limit.
    start: str = ""
    end: str = ""


@dataclass(slots=True)
class Captured:
    """The rows of a window."""

    rows: Rows
    #: The model's answer to each row; empty if no record has one.
    answers: list[Any] = field(default_factory=list[Any])


def read(path: Path, wanted: Wanted) -> Captured:
    """Return the rows of all capture files below a folder. Raises NoDataError, ConfigError."""
    unread = Unread()
    kept: list[dict[str, str | None]] = []
    given: list[Any] = []
    answered = True
    for file in files.find(path):
        for place, record in _records(file, wanted, unread):
            try:
                rows, got = _of_record(record, wanted)
            except (UnreadableError, answers.AnswerError, ConfigError) as error:
                unread.add(file.name, place, str(error))
                continue
            kept += rows
            answered = answered and got is not None
            given += got or []
    if unread.count:
        (name, place, reason), *_ = unread.places
        told = f"{unread.count} records cannot be used; the first: {name}, {place}: {reason}"
        if unread.count > UNREAD_LIMIT * (len(kept) + unread.count):
            raise ConfigError(told)
        log.warning(told)
    if not kept:
        window = f" from {wanted.start} to {wanted.end}" if wanted.start or wanted.end else ""
        raise files.NoDataError(f"There are no captured records in {path}{window}.")
    return Captured(Rows(of_records(kept)), given if answered else [])


def _records(file: Path, wanted: Wanted, unread: Unread) -> Iterator[tuple[str, Record]]:
    decode = msgspec.json.Decoder(Record).decode
    for line, _, record in files.documents(file, decode, unread, "not a capture record"):
        moment = record.eventMetadata.inferenceTime
        if wanted.start <= moment and (not wanted.end or moment < wanted.end):
            yield f"line {line}", record


def _of_record(
    record: Record, wanted: Wanted
) -> tuple[list[dict[str, str | None]], list[Any] | None]:
    data = record.captureData
    sent = data.endpointInput or data.batchTransformInput
    if sent is None:
        raise UnreadableError("the record has no request; capture Input, too")
    rows = [_named(row, wanted) for row in _requests(sent, wanted)]
    if wanted.label:
        truths = rows_of(record.groundTruthData)
        if truths is None:
            raise UnreadableError(
                "the record has no groundTruthData; merge it with its labels first"
            )
        if len(truths) != len(rows):
            raise UnreadableError(
                f"{len(rows)} rows in the request, {len(truths)} in its ground truth"
            )
        for row, truth in zip(rows, truths, strict=True):
            row[wanted.label] = _truth(truth, wanted.label)
    got = data.endpointOutput or data.batchTransformOutput
    if got is None:
        return rows, None
    body, kind = _body(got)
    return rows, answers.split(body, kind, len(rows))


def _requests(half: Half, wanted: Wanted) -> list[Row]:
    if not wanted.features_path:
        return rows_of(half) or []
    body, _ = _body(half)
    found: list[Row] = []
    for content in body.splitlines() if _is_lines(half) else [body]:
        if not content.strip():
            continue
        try:
            held = at(msgspec.json.decode(content), wanted.features_path, "features_attribute")
        except msgspec.DecodeError as error:
            raise UnreadableError(f"payload is not JSON: {error}") from error
        many = cast("list[Any]", held) if isinstance(held, list) else [held]
        nested = bool(many) and all(isinstance(one, list | dict) for one in many)
        parts: list[Any] = many if nested else [held]
        for one in parts:
            flat = flatten(one)
            found.append(flat if isinstance(one, dict) else list(flat.values()))
    return found


def _is_lines(half: Half) -> bool:
    return "jsonlines" in half.observedContentType.lower()


def _body(half: Half) -> tuple[str, str]:
    """Return a payload's text and its content type."""
    kind = half.observedContentType.split(";", 1)[0].strip().lower()
    body = half.data
    if half.encoding == "BASE64":
        try:
            body = base64.b64decode(half.data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise UnreadableError(f"content of type {kind or 'unknown'} is no text") from error
    if half.encoding == "JSON" and "json" not in kind:
        kind = "application/json"
    return body, kind or "text/csv"


def _named(row: Row, wanted: Wanted) -> dict[str, str | None]:
    if isinstance(row, dict):
        return {name: _value(value) for name, value in row.items()}
    names = wanted.features or tuple(f"column_{place}" for place in range(len(row)))
    if len(names) != len(row):
        raise UnreadableError(
            f"the request has {len(row)} values, `headers` names {len(names)} features ({', '.join(names)})"
        )
    return {name: _value(value) for name, value in zip(names, row, strict=True)}


def _truth(truth: Row, label: str) -> str | None:
    if isinstance(truth, dict):
        return _value(truth[label] if label in truth else next(iter(truth.values()), None))
    return _value(truth[0] if truth else None)


def _value(value: str | None) -> str | None:
    return None if value in MISSING else text(value)
