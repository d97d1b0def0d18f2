"""The SQL seam: one engine a database, and `begin()` / `read()` as the only ways to a connection.

SQLite runs in WAL mode. Control state uses `synchronous=FULL`, so that what was acknowledged survives a power
loss; telemetry uses NORMAL and may lose its last moments then, never to a killed process (SQLite: "Write-Ahead
Logging", "PRAGMA synchronous"). Any other SQLAlchemy URL is passed through; PostgreSQL is the tested one.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import QueuePool, StaticPool

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from sqlalchemy import Connection, Engine

BUSY_TIMEOUT_MS = 15_000


class Store:
    """A database: hands out transactions, holds no state of its own."""

    def __init__(self, url: str, *, durable: bool = True) -> None:
        self._durable = durable
        self.engine = self._make_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"

    @contextmanager
    def begin(self) -> Generator[Connection]:
        """Open a writing transaction: committed at the end, rolled back on an exception.

        On SQLite it takes the write lock at once (BEGIN IMMEDIATE), so it waits instead of failing half-way.
        """
        with self.engine.connect() as db:
            if self.is_sqlite:
                db.exec_driver_sql("BEGIN IMMEDIATE")
            with db.begin() if not db.in_transaction() else _commit_or_roll_back(db):
                yield db

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Open a reading transaction: one consistent view, never blocked by writers on SQLite."""
        with self.engine.connect() as db:
            if self.is_sqlite:
                db.exec_driver_sql("BEGIN")
            else:  # PostgreSQL's default shows each statement another view
                db.execution_options(isolation_level="REPEATABLE READ")
            yield db
            db.rollback()

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()

    def _make_engine(self, url: str) -> Engine:
        if not url.startswith("sqlite"):
            return sa.create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=24)
        in_memory = url in ("sqlite://", "sqlite:///:memory:")
        engine = sa.create_engine(
            url,
            connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
            poolclass=StaticPool if in_memory else QueuePool,
            **({} if in_memory else {"pool_size": 8, "max_overflow": 56}),
        )
        event.listen(engine, "connect", self._prepare)
        return engine

    def _prepare(self, connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun by us, not by the driver
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={'FULL' if self._durable else 'NORMAL'}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.close()


@contextmanager
def _commit_or_roll_back(db: Connection) -> Generator[None]:
    try:
        yield
    except BaseException:
        db.rollback()
        raise
    try:
        db.commit()
    except BaseException:
        # SQLAlchemy takes a failed commit (a full disk) for an ended transaction; SQLite may still be in it.
        db.invalidate()
        raise
