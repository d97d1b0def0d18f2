"""Hands scheduled queries to processes of their own, a few at a time, and ends what takes too long or was stopped.

The queue is the table of queries: what was running when the worker died is taken up again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import select
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.store import log_queries as rows

if TYPE_CHECKING:
    from farero.base.clock import Clock
    from farero.records.logs import LogQuery
    from farero.store.engine import Store

log = logging.getLogger(__name__)

CHILDREN = 2
#: A query runs this long; AWS's limit is 60 minutes, for a whole datacentre.
QUERY_S = 60
#: An idle process is kept this long for the next query: starting one takes a good part of a second.
IDLE_S = 120.0
#: "Query results are available for seven days" (Logs Insights quotas).
KEPT_MS = 7 * 86_400_000


@dataclass(slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    query_id: str
    since: float

    def has_answered(self) -> bool:
        """Say whether the process has written its line; one that has ended counts as well."""
        out = self.process.stdout
        return out is not None and bool(select.select([out], [], [], 0)[0])

    def is_alive(self) -> bool:
        """Take the line that was written; False if the process has ended instead."""
        out = self.process.stdout
        return out is not None and os.read(out.fileno(), 100) != b""


class QueryRunner:
    """Runs queries; called again and again by one thread at a time."""

    def __init__(
        self, store: Store, clock: Clock, *, url: str, account: str, query_s: int = QUERY_S
    ) -> None:
        self._store = store
        self._clock = clock
        self._url = url
        self._account = account
        self._query_s = query_s
        self._children: list[_Child] = []
        self._swept = clock.monotonic()
        self._lock = threading.Lock()

    def resume(self) -> None:
        """Take up what a worker before this one left."""
        with self._store.begin() as db:
            rows.release(db)

    def run_due(self) -> int:
        """Look at what runs, and start what waits; return how many queries run now."""
        with self._lock:
            for child in [child for child in self._children if child.query_id]:
                self._look_at(child)
            free = CHILDREN - sum(bool(child.query_id) for child in self._children)
            if free:
                with self._store.read() as db:
                    waiting = rows.list_queries(db, statuses=("Scheduled",), limit=1000)
                for query in waiting[::-1][:free]:
                    self._start(query)
            self._sweep()
            return sum(bool(child.query_id) for child in self._children)

    def close(self) -> None:
        """End every process; its query is taken up by the next worker."""
        with self._lock:
            for child in [*self._children]:
                self._end(child)

    def _look_at(self, child: _Child) -> None:
        with self._store.read() as db:
            query = rows.get(db, child.query_id)
        if child.has_answered():
            if child.is_alive():
                child.query_id, child.since = "", self._clock.monotonic()
            else:
                self._fail(child, query, "Failed")
        elif query.status not in (
            "Running",
            "Complete",
            "Failed",
        ):  # one that has ended is about to say so
            self._end(child)
        elif self._clock.monotonic() - child.since > self._query_s:
            self._fail(child, query, "Timeout")

    def _fail(self, child: _Child, query: LogQuery, status: str) -> None:
        self._end(child)
        log.warning("query ended early", extra={"query": query.id, "status": status})
        with self._store.begin() as db:
            now_ms = self._now_ms()
            rows.end(db, dataclasses.replace(query, status=status, ended_ms=now_ms))

    def _start(self, query: LogQuery) -> None:
        with self._store.begin() as db:
            if not rows.begin(db, query.id, self._now_ms()):
                return
        idle = [child for child in self._children if not child.query_id]
        child = idle[0] if idle and idle[0].process.poll() is None else self._new_child()
        child.query_id, child.since = query.id, self._clock.monotonic()
        order = {
            "url": self._url,
            "account": self._account,
            "id": query.id,
            "seconds": self._query_s + 10,
        }
        if child.process.stdin is not None:
            # One that ends at this moment is seen at the next look.
            with contextlib.suppress(BrokenPipeError):
                child.process.stdin.write(json.dumps(order).encode() + b"\n")
                child.process.stdin.flush()

    def _new_child(self) -> _Child:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "farero.telemetry.insights.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            close_fds=True,
        )
        child = _Child(process=process, query_id="", since=self._clock.monotonic())
        self._children.append(child)
        return child

    def _end(self, child: _Child) -> None:
        self._children.remove(child)
        with child.process as process:  # closes the pipes and waits
            process.kill()

    def _sweep(self) -> None:
        now = self._clock.monotonic()
        for child in [child for child in self._children if not child.query_id]:
            if now - child.since > IDLE_S or child.process.poll() is not None:
                self._end(child)
        if now - self._swept > 60:
            self._swept = now
            with self._store.begin() as db:
                rows.delete_before(db, self._now_ms() - KEPT_MS)

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)
