"""Reads captured records back: the newest first from the spool, where a record is before its reply is sent.

For `farero capture tail`, which shows a record within a second. A position names each file and how far it was read; a
file that has left the spool since is read to its end from its object.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from farero.base.arns import parse_s3_uri
from farero.base.errors import NotFound
from farero.endpoints.capture import TARGET_FILE, capture_target
from farero.endpoints.publish import object_key
from farero.store import endpoints as rows

if TYPE_CHECKING:
    from pathlib import Path

    from farero.objects.base import ObjectStore
    from farero.store.engine import Store


class Record(NamedTuple):
    """One captured record: the variant that was asked, and the line."""

    variant: str
    line: str

    @property
    def at(self) -> str:
        """When, in seconds; the last thing of a line that a caller cannot choose."""
        return self.line.rpartition('"inferenceTime":"')[2][:20]


def read_after(  # noqa: PLR0913, PLR0917 - where from, where to, how many
    store: Store, objects: ObjectStore, spool_dir: Path, endpoint: str, position: str, last: int, variant: str = "",
) -> tuple[list[Record], str]:  # fmt: skip
    """Return the records after `position`, oldest first, and the position after them.

    position: "" for the first look, which gives the last `last` records; variant: "" for those of all.
    """
    known: dict[str, int] = json.loads(position) if position else {}
    live = _spool_files(spool_dir, endpoint, variant)
    records: list[Record] = []
    after: dict[str, int] = {}
    for name, path in sorted(live.items()):
        body = _read(path, known.get(name, 0))
        whole = body.rfind(b"\n") + 1
        records += _records(name.partition("/")[0], body[:whole])
        after[name] = known.get(name, 0) + whole
    for name in sorted(set(known) - set(live)):
        if not variant or name.startswith(f"{variant}/"):
            records += _rest_of_object(store, objects, endpoint, name, known[name])
    if not position and len(records) < last:
        records = (
            _older(store, objects, endpoint, set(live), last - len(records), variant) + records
        )
    records.sort(key=lambda one: one.at)
    return (records if position else records[-last:]), json.dumps(after)


def _records(variant: str, body: bytes) -> list[Record]:
    return [Record(variant, line) for line in body.decode().splitlines()]


def _spool_files(spool_dir: Path, endpoint: str, variant: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for target in (spool_dir / "capture").glob(f"*/{TARGET_FILE}"):
        facts = msgspec.json.decode(target.read_bytes(), type=dict[str, str | None])
        if facts.get("endpoint") == endpoint and variant in ("", facts.get("variant")):
            found |= {f"{facts['variant']}/{p.stem}": p for p in target.parent.glob("*.jsonl")}
    return found


def _read(path: Path, start: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read()
    except FileNotFoundError:
        return b""


def _destination(store: Store, endpoint: str) -> tuple[str, str] | None:
    with store.read() as db:
        found = rows.find(db, endpoint)
    if found is None or found.current is None:
        return None
    target = capture_target(endpoint, found.current, "")
    return parse_s3_uri(target.destination) if target else None


def _rest_of_object(
    store: Store, objects: ObjectStore, endpoint: str, name: str, start: int
) -> list[Record]:
    place = _destination(store, endpoint)
    if place is None:
        return []
    variant, _, stem = name.partition("/")
    try:
        with objects.open(place[0], object_key(place[1], endpoint, variant, stem)) as body:
            body.seek(start)
            return _records(variant, body.read())
    except NotFound:
        return []


def _older(  # noqa: PLR0913, PLR0917 - as read_after
    store: Store, objects: ObjectStore, endpoint: str, spooled: set[str], wanted: int, variant: str
) -> list[Record]:
    """Return at least the last records that were wanted, as far as there are any: whole files, the newest first."""
    place = _destination(store, endpoint)
    if place is None:
        return []
    prefix = f"{place[1].strip('/')}/{endpoint}/".lstrip("/")
    try:
        keys = [
            info.key for info in objects.list(place[0], prefix + (f"{variant}/" if variant else ""))
        ]
    except NotFound:
        return []
    records: list[Record] = []
    # after the variant, keys go by time
    for key in sorted(
        keys, key=lambda one: one.removeprefix(prefix).partition("/")[2], reverse=True
    ):
        if len(records) >= wanted:
            break
        if any(key.endswith(name.rpartition("-")[2] + ".jsonl") for name in spooled):
            continue
        with objects.open(place[0], key) as body:
            records = _records(key.removeprefix(prefix).partition("/")[0], body.read()) + records
    return records
