"""Captured records joined with their labels, file by file, in bounded memory."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from farero_monitor.errors import AnalysisError
from farero_monitor.profile.dataset import Unread
from farero_monitor.quality import outputs
from farero_monitor.quality.labels import Labels, hour_of
from farero_monitor.readers.files import NoDataError, documents, find

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

#: Share of captured lines that may be unreadable before a merge counts as failed.
UNREAD_LIMIT = 0.1
#: Records looked up at a time.
BATCH = 5_000
#: Output files open at a time.
OPEN = 64


class MergeError(AnalysisError):
    """Nothing can be merged; the text says why and what was there."""


@dataclass(frozen=True, slots=True)
class Batch:
    """How the outputs of batch transform jobs are written: see `outputs.rows`."""

    kind: str
    details: Mapping[str, Any]


@dataclass(slots=True)
class Merged:
    """What a merge has done, in numbers."""

    records: int = 0
    merged: int = 0
    #: Labels from a later hour than the record's own.
    late: int = 0
    labels: int = 0
    #: Labels whose record was not among the captures.
    unused: int = 0
    #: Labels that a later one for the same id replaced.
    replaced: int = 0
    unread: Unread = field(default_factory=Unread)
    #: The merged files, in order of their paths.
    files: list[Path] = field(default_factory=list[Path])

    @property
    def message(self) -> str:
        """The exit message."""
        told = [
            f"Completed: {self.merged:,} of {self.records:,} records have a label",
            f"{self.records - self.merged:,} have none yet" if self.merged < self.records else "",
            f"{self.late:,} of the labels came in a later hour" if self.late else "",
            f"{self.unused:,} labels have no record in the window" if self.unused else "",
            f"{self.replaced:,} labels were replaced by later ones" if self.replaced else "",
            f"{self.unread.count:,} lines could not be read (first: {place_of(self.unread)})"
            if self.unread.count
            else "",
        ]
        return "; ".join(part for part in told if part) + "."


class _Metadata(msgspec.Struct):
    eventId: str = ""  # noqa: N815 - SageMaker's own key
    inferenceId: str | None = None  # noqa: N815
    inferenceTime: str = ""  # noqa: N815


class _Captured(msgspec.Struct):
    captureData: msgspec.Raw  # noqa: N815
    eventMetadata: _Metadata = msgspec.field(default_factory=_Metadata)  # noqa: N815


@dataclass(slots=True)
class _Found:
    """A captured line on its way."""

    id: str
    hour: str
    target: Path
    line: bytes


def merge(  # noqa: PLR0913 - all but the first three have defaults
    captures: Path, truth: Path, output: Path, *,
    window: tuple[str, str] = ("", ""), labelled: tuple[str, str] = ("", ""), batch: Batch | None = None,
) -> Merged:  # fmt: skip
    """Write each captured record that has a label, with it, below `output`; files appear whole, at the end.

    window: start and end of the records' times, labelled: of the hours the labels were collected in; both ISO 8601,
    empty for no limit. batch: `captures` are outputs of batch transform jobs, in this form. Raises MergeError if no
    record has a label or too many lines cannot be read, NoDataError.
    """
    made = Merged()
    with Labels() as labels:
        try:
            labels.read(truth, *labelled)
        except NoDataError as error:
            raise MergeError(f"There are no labels: {error}") from error
        first: _Found | None = None
        with _Output() as files:
            for part in _batches(_captured(captures, output, window, made, batch)):
                first = first or part[0]
                known = labels.find([found.id for found in part])
                made.records += len(part)
                for found in part:
                    label = known.get(found.id)
                    if label is not None:
                        made.merged += 1
                        made.late += bool(label.hour and found.hour and label.hour > found.hour)
                        files.write(found.target, _joined(found.line, label.data))
            made.labels, made.replaced, made.unused = labels.count, labels.replaced, labels.unused()
            made.unread.merge(labels.unread)
            _judge(made, labels, first, window, batch)
            made.files = files.keep()
    return made


def _judge(
    made: Merged, labels: Labels, first: _Found | None, window: tuple[str, str], batch: Batch | None
) -> None:
    bad = made.unread
    if bad.count > UNREAD_LIMIT * (made.records + made.labels + bad.count):
        raise MergeError(
            f"{bad.count:,} of {made.records + made.labels + bad.count:,} lines cannot be read; the first is "
            f"{place_of(bad)}."
        )
    if first is None:
        when = f" between {window[0] or 'the beginning'} and {window[1] or 'now'}"
        raise MergeError(f"No record was captured{when if any(window) else ''}.")
    if made.merged:
        return
    if not made.labels:
        raise MergeError("The files of labels hold none (in the hours asked for).")
    ids = f"the first captured is '{first.id}', the first label is for '{labels.first}'."
    goes = "its inferenceId, or else its eventId"
    send = "Send the id you will label by as InferenceId with InvokeEndpoint."
    if batch is not None:
        goes, send = "the inference id that its transform job appended", "Label by that one."
    raise MergeError(
        f"None of {made.records:,} captured records has a label: {made.labels:,} labels were read, all for other ids. "
        f"A record goes by {goes}: {ids} {send}"
    )


def place_of(unread: Unread) -> str:
    """Say where the first line is that could not be read, and why not."""
    file, place, reason = unread.places[0]
    return f"{file}, {place}: {reason}"


def _captured(
    source: Path, output: Path, window: tuple[str, str], made: Merged, batch: Batch | None
) -> Iterator[_Found]:
    for path in find(source):
        inside = path.relative_to(source) if path != source else Path(path.name)
        folder, name = output / inside.parent, path.name.removesuffix(".gz")
        if batch is not None:
            name += ".jsonl"
        placed = hour_of(inside)
        targets: dict[str, Path] = {}
        found = _records(path, made.unread) if batch is None else _rows(path, batch, made.unread)
        for line, text, known, moment in found:
            if not known:
                made.unread.add(path.name, f"line {line}", "neither inferenceId nor eventId")
            elif window[0] <= moment and (not window[1] or moment < window[1]):
                hour = moment[:13].replace("T", "/").replace("-", "/")
                target = targets.get(hour)
                if target is None:
                    target = targets[hour] = (folder if placed else folder / hour) / name
                yield _Found(known, placed or hour, target, text)


def _records(path: Path, unread: Unread) -> Iterator[tuple[int, bytes, str, str]]:
    """Yield line, text, id and time of each record of a capture file."""
    decode = msgspec.json.Decoder(_Captured).decode
    for line, text, record in documents(path, decode, unread, "not a capture record"):
        event = record.eventMetadata
        yield line, text, event.inferenceId or event.eventId, event.inferenceTime


def _rows(path: Path, batch: Batch, unread: Unread) -> Iterator[tuple[int, bytes, str, str]]:
    """Yield the same of each row of a batch transform job's output."""
    for line, row in outputs.rows(path, batch.kind, batch.details, unread):
        yield line, row.line, row.id, row.moment


def _batches(found: Iterator[_Found]) -> Iterator[list[_Found]]:
    batch: list[_Found] = []
    for one in found:
        batch.append(one)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _joined(line: bytes, label: bytes) -> bytes:
    """Return a record with its label after what was captured, everything else as it is."""
    held: dict[str, Any] = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    made = {"captureData": held.pop("captureData"), "groundTruthData": msgspec.Raw(label)}
    held.pop("groundTruthData", None)
    return msgspec.json.encode(made | held) + b"\n"


class _Output:
    """Merged files under names of their own until all are whole."""

    def __init__(self) -> None:
        self._parts: dict[Path, Path] = {}
        self._open: dict[Path, BinaryIO] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        for part in self._parts.values():
            part.unlink(missing_ok=True)

    def write(self, target: Path, line: bytes) -> None:
        """Add a line to a file."""
        file = self._open.get(target)
        if file is None:
            if len(self._open) == OPEN:
                self._stack.close()
                self._open.clear()
            part = target.with_name(f".{target.name}.part")
            part.parent.mkdir(parents=True, exist_ok=True)
            again = target in self._parts
            file = self._stack.enter_context(part.open("ab" if again else "wb"))
            self._parts[target], self._open[target] = part, file
        file.write(line)

    def keep(self) -> list[Path]:
        """Give all files their names; return these."""
        self._stack.close()
        for target, part in self._parts.items():
            part.replace(target)
        made, self._parts = sorted(self._parts), {}
        return made
