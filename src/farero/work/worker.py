"""The loop that does what is due. Handlers are found in one dict, built by `app.py`."""

from __future__ import annotations

import logging
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from farero.work import items

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from farero.base.clock import Clock
    from farero.records.work import WorkItem
    from farero.store.engine import Store

    Handler = Callable[[WorkItem], None]

log = logging.getLogger(__name__)

THREADS = 8
#: A third of the lease.
RENEW_EVERY_S = 20.0


class Worker:
    """Leases due items and hands each to its handler."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        handlers: Mapping[str, Handler],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """wake: makes `wait_for_work` return; called when an item that was put while it ran is free again."""
        self._wake = wake
        self._store = store
        self._clock = clock
        self._handlers = handlers

    def run_due(self, *, most: int = 1000) -> int:
        """Do everything that is due now, and what becomes due by it; return how many items ran.

        most: stop after that many, so that an item which keeps putting itself cannot hold the caller.
        """
        count = 0
        while count < most:
            leased, _ = self._lease(16)
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
            running: dict[Future[None], WorkItem] = {}
            renewed = self._clock.monotonic()
            while True:
                running = {future: item for future, item in running.items() if not future.done()}
                if self._clock.monotonic() - renewed > RENEW_EVERY_S:
                    renewed = self._clock.monotonic()
                    self._renew(running.values())
                pause_s = 0.0
                if len(running) < THREADS:
                    leased, pause_s = self._lease(THREADS - len(running))
                    running |= {pool.submit(self.run, item): item for item in leased}
                if len(running) >= THREADS:
                    wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
                # However much there is to do, who wakes the worker or ends it is heard in each turn.
                if not wait_for_work(pause_s):
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
                again = items.done(db, item)
            if again is not None and items.is_soon(again, self._clock.now()):
                self._wake()

    def _renew(self, running: Collection[WorkItem]) -> None:
        """Keep what still runs, so that nobody starts it a second time beside it."""
        if running:
            with self._store.begin() as db:
                for item in running:
                    items.renew(db, item, self._clock.now())

    def _lease(self, limit: int) -> tuple[list[WorkItem], float]:
        """Take up to `limit` due items; return them, and the seconds until the queue is looked at again."""
        now = self._clock.now()
        with self._store.read() as db:
            due = items.next_due(db)
        if due is None or due > now:
            return [], min(items.NAP, (due or now + items.NAP) - now).total_seconds()
        with self._store.begin() as db:
            return items.lease(db, now, limit=limit), 0.0
