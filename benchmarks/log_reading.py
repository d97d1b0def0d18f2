"""How long it takes to read a group of a million events: pages, filters, queries.

python benchmarks/log_reading.py [EVENTS]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from farero.base.clock import SystemClock
from farero.records.logs import LogQuery
from farero.records.telemetry import NewLogEvent
from farero.store import logs as rows
from farero.store import migrations
from farero.store.engine import Store
from farero.telemetry.insights.scan import Scan
from farero.telemetry.logs import Logs, Search, SearchPage, Window

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 10_000
STREAMS = 4
QUERIES = (
    "fields @message | limit 20",
    "filter @message like /ERROR/ | stats count(*) by bin(1m)",
    "stats avg(ms), pct(ms, 99) by route",
    "fields @timestamp, ms | sort ms desc | limit 50",
)


def main() -> int:
    """Fill a database and print what each way of reading takes."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/logs.db", durable=False)
        migrations.upgrade(store)
        logs = Logs(store, SystemClock())
        now_ms = int(time.time() * 1000)
        show(f"store {count} events", lambda: fill(store, logs, count, now_ms))
        window = Window(start_ms=now_ms - 1_800_000, end_ms=now_ms - 1_740_000)
        errors = Search(pattern="ERROR")
        show(
            "GetLogEvents, the last 100",
            lambda: logs.read_page("/g", "s1", Window(newest_first=True, limit=100)),
        )
        show("GetLogEvents, 10,000", lambda: logs.read_page("/g", "s1", Window()))
        show("FilterLogEvents ERROR, a page", lambda: logs.search("/g", errors))
        show(
            "FilterLogEvents ERROR in one minute",
            lambda: logs.search("/g", Search(pattern="ERROR", window=window)),
        )
        show("FilterLogEvents ERROR, all pages", lambda: search_all(logs))
        for text in QUERIES:
            query = LogQuery(
                id="q", groups=("/g",), text=text, start_ms=0, end_ms=now_ms, limit=10_000,
                status="Running", created_ms=now_ms,
            )  # fmt: skip
            scan = Scan(store, account="123456789012")
            show(f"query {text}", lambda scan=scan, query=query: scan.run(query))
        store.close()
    return 0


def fill(store: Store, logs: Logs, count: int, now_ms: int) -> None:
    """Spread events over the last hour, in batches, over four streams."""
    logs.create_group("/g", {})
    for number in range(STREAMS):
        logs.create_stream("/g", f"s{number}")
    for start in range(0, count, BATCH):
        events = [
            NewLogEvent(
                timestamp_ms=now_ms - 3_600_000 + number * 3_600_000 // count,
                message=json.dumps(
                    {
                        "level": "INFO" if number % 1000 else "ERROR",
                        "ms": number % 997,
                        "route": f"/r{number % 7}",
                        "id": number,
                    }
                ),
            )
            for number in range(start, min(count, start + BATCH))
        ]
        with store.begin() as db:
            group = rows.get_group(db, "/g")
            stream = rows.get_stream(db, group, f"s{start // BATCH % STREAMS}")
            rows.insert_events(db, stream, events, now_ms)


def search_all(logs: Logs) -> None:
    """Walk every page."""
    page = SearchPage(events=[], next=None)
    while True:
        page = logs.search("/g", Search(pattern="ERROR", window=Window(after=page.next)))
        if page.next is None:
            return


def show(name: str, work: Callable[[], object]) -> None:
    """Do it once and print what it took."""
    began = time.monotonic()
    work()
    print(f"{(time.monotonic() - began) * 1000:9.1f} ms  {name}")


if __name__ == "__main__":
    sys.exit(main())
