"""What a batch transform job left, as records that labels are merged with: a row each, with the id the job gave it.

With `GenerateInferenceId` a transform job appends an inference id and its own start to every row: as the last two
values in CSV, as `SageMakerInferenceId` and `SageMakerInferenceTime` in JSON ("Capture data from batch transform job",
SageMaker's Developer Guide). Without them nothing tells which label is whose.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec

from farero_monitor.readers.files import documents, open_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from farero_monitor.profile.dataset import Unread

#: The half of a record that holds such a row.
HALF = "batchTransformOutput"
ID, TIME = "SageMakerInferenceId", "SageMakerInferenceTime"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)
_WHY = "run the transform job with GenerateInferenceId in its DataCaptureConfig"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an output."""

    id: str
    #: When its job began, ISO 8601.
    moment: str
    #: As a capture file has a record.
    line: bytes


def rows(
    path: Path, kind: str, details: Mapping[str, Any], unread: Unread
) -> Iterator[tuple[int, Row]]:
    """Yield each row of a file with its line; one without id and time goes into `unread`.

    kind, details: `csv` with `header`, or `json` with `lines`, as `dataset_format` has them.
    """
    found = _csv(path, bool(details.get("header"))) if kind == "csv" else _json(path, unread)
    for number, known, moment, half in found:
        if not known or not _MOMENT.fullmatch(moment):
            csv_says = "its last two values are no inference id and time"
            what = csv_says if kind == "csv" else f"no {ID} and {TIME}"
            unread.add(path.name, f"line {number}", f"{what}; {_WHY}")
            continue
        record = {
            "captureData": {HALF: half | {"mode": "OUTPUT"}},
            "eventMetadata": {"eventId": known, "inferenceId": known, "inferenceTime": moment},
            "eventVersion": "0",
        }
        yield number, Row(known, moment, msgspec.json.encode(record))


def _csv(path: Path, header: bool) -> Iterator[tuple[int, str, str, dict[str, Any]]]:  # noqa: FBT001
    names: list[str] | None = None
    with open_plain(path) as file:
        for number, raw in enumerate(file, 1):
            text = raw.decode("utf-8", "replace").strip("\r\n")
            if header and names is None:
                names = _cells(text)
                continue
            if not text.strip():
                continue
            rest, _, moment = text.rpartition(",")
            data, _, known = rest.rpartition(",")
            if names is None:
                half = {"observedContentType": "text/csv", "data": data, "encoding": "CSV"}
            else:
                half = _half(dict(zip(names, _cells(data), strict=False)))
            yield number, known.strip(), moment.strip(), half


def _cells(text: str) -> list[str]:
    return next(csv.reader([text]), cast("list[str]", []))


def _json(path: Path, unread: Unread) -> Iterator[tuple[int, str, str, dict[str, Any]]]:
    decode = msgspec.json.Decoder().decode
    for number, _, found in documents(path, decode, unread, "not JSON"):
        # a line may hold all rows, as one list
        for one in cast("list[Any]", found if isinstance(found, list) else [found]):
            row = cast("dict[str, Any]", one) if isinstance(one, dict) else {}
            known, moment = str(row.get(ID) or ""), str(row.get(TIME) or "")
            rest = {name: value for name, value in row.items() if name not in {ID, TIME}}
            yield number, known, moment, _half(rest)


def _half(row: Mapping[str, Any]) -> dict[str, Any]:
    data = msgspec.json.encode(row).decode()
    return {"observedContentType": "application/json", "data": data, "encoding": "JSON"}
