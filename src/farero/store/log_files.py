"""Rows of files whose growth becomes log events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from farero.records.telemetry import FollowedFile
from farero.store.tables.logs import log_files

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row


def put_file(db: Connection, file: FollowedFile) -> None:
    """Follow a file from `file.offset` on, unless it is followed already."""
    known = db.execute(sa.select(log_files.c.path).where(log_files.c.path == file.path)).first()
    if known is None:
        db.execute(
            sa.insert(log_files).values(
                path=file.path,
                group_name=file.group,
                stream_name=file.stream,
                offset=file.offset,
                escapes_tabs=file.escapes_tabs,
            )
        )


def find_file(db: Connection, path: str) -> FollowedFile | None:
    """Return the followed file, or None; nobody else moves it until the transaction ends."""
    row = db.execute(sa.select(log_files).where(log_files.c.path == path).with_for_update()).first()
    return None if row is None else _file(row)


def list_files(db: Connection) -> list[FollowedFile]:
    """Return every followed file."""
    return [_file(row) for row in db.execute(sa.select(log_files).order_by(log_files.c.path))]


def move_file(db: Connection, path: str, offset: int) -> None:
    """Remember how far the file has been read."""
    db.execute(sa.update(log_files).where(log_files.c.path == path).values(offset=offset))


def delete_file(db: Connection, path: str) -> None:
    """Follow the file no longer."""
    db.execute(sa.delete(log_files).where(log_files.c.path == path))


def _file(row: Row[Any]) -> FollowedFile:
    return FollowedFile(
        path=row.path,
        group=row.group_name,
        stream=row.stream_name,
        offset=row.offset,
        escapes_tabs=row.escapes_tabs,
    )
