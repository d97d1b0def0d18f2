"""The process in which queries run: whatever a user's regular expression does, it does it here, and can be killed.

Reads orders from its input, a JSON object a line, runs one after the other and writes a line for each that has ended.
Ends with its input, so with its parent; and by the kernel's alarm if it is deaf because an expression runs away.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import resource
import signal
import sys
import time
from typing import TYPE_CHECKING

from farero.base.errors import DomainError
from farero.store import log_queries as rows
from farero.store.engine import Store
from farero.telemetry.insights.scan import Scan

if TYPE_CHECKING:
    from farero.records.logs import LogQuery

#: A query that needs more ends as Failed.
MEMORY_BYTES = 2 * 1024**3


def main() -> None:
    """Run orders `{"url", "account", "id", "seconds"}` until the input ends."""
    os.nice(10)
    # The alarm kills: a handler of Python's would wait for the expression.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    stores: dict[str, Store] = {}
    for line in sys.stdin:
        order = json.loads(line)
        signal.alarm(order["seconds"])
        store = stores.get(order["url"])
        if store is None:
            store = stores[order["url"]] = Store(order["url"], durable=False)
        _run(store, order["id"], order["account"])
        signal.alarm(0)
        sys.stdout.write("done\n")
        sys.stdout.flush()


def _run(store: Store, query_id: str, account: str) -> None:
    with store.read() as db:
        query = rows.get(db, query_id)
    try:
        ended = Scan(store, account=account).run(query)
    except (DomainError, MemoryError, RecursionError):
        ended = dataclasses.replace(query, status="Failed")
    _end(store, ended)


def _end(store: Store, query: LogQuery) -> None:
    now_ms = time.time_ns() // 1_000_000
    with store.begin() as db:
        rows.end(db, dataclasses.replace(query, ended_ms=now_ms))


if __name__ == "__main__":
    main()
