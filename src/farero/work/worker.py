"""The loop that does what is due. Handlers are found in one dict, built by `app.py`."""

from __future__ import annotations

import logging
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from farero.work import items

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from farero.base.clock import Clock
    from farero.records.work import WorkItem
    from farero.store.engine import Store

    Handler = Callable[[WorkItem], None]

log = logging.getLogger(__name__)

THREADS = 8


class Worker:
    """Leases due items and hands each to its handler."""

    def __init__(self, store: Store, clock: Clock, handlers: Mapping[str, Handler]) -> None:
        self._store = store
        self._clock = clock
        self._handlers = handlers

    def run_due(self, *, most: int = 1000) -> int:
        """Do everything that is due now, and what becomes due by it; return how many items ran.

        most: stop after that many, so that an item which keeps putting itself cannot hold the caller.
        """
        count = 0
        while count < most:
            leased = self._lease(16)
            if not leased:
                break
            for item in leased:
                self.run(item)
            count += len(leased)
        return count

    def run_forever(self, wait_for_work: Callable[[float], bool]) -> None:
        """Work until `wait_for_work(seconds)`, which blocks until woken or timed out, returns False.

        Items run side by side in a few threads, so that a slow one (unpacking a large model) delays nobody.
        """
        with ThreadPoolExecutor(THREADS, thread_name_prefix="work") as pool:
            running: set[Future[None]] = set()
            while True:
                running = {future for future in running if not future.done()}
                leased = self._lease(THREADS - len(running)) if len(running) < THREADS else []
                running |= {pool.submit(self.run, item) for item in leased}
                if len(running) >= THREADS:
                    wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
                elif not leased and not wait_for_work(self._pause()):
                    return

    def run(self, item: WorkItem) -> None:
        """Do one leased item; a failure is logged and tried again later."""
        try:
            self._handlers[item.kind](item)
        except Exception as error:
            log.exception("work item failed", extra={"kind": item.kind, "key": item.key})
            with self._store.begin() as db:
                items.fail(db, item, self._clock.now(), f"{type(error).__name__}: {error}")
        else:
            with self._store.begin() as db:
                items.done(db, item)

    def _lease(self, limit: int) -> list[WorkItem]:
        now = self._clock.now()
        with self._store.read() as db:
            due = items.next_due(db)
        if due is None or due > now:
            return []
        with self._store.begin() as db:
            return items.lease(db, now, limit=limit)

    def _pause(self) -> float:
        with self._store.read() as db:
            due = items.next_due(db)
        if due is None:
            return 0.5
        return max(0.0, min(0.5, (due - self._clock.now()).total_seconds()))
