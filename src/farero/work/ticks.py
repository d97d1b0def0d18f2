"""Drains that run beside the queue: their state is the files they empty, so they need no row.

Captured records and process output wait in files until they have reached their store; a tick moves what has grown.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One drain."""

    name: str
    every_s: float
    run: Callable[[], object]


class Ticker:
    """Runs each tick in a thread of its own until stopped; a failing tick is logged and goes on."""

    def __init__(self, ticks: Sequence[Tick]) -> None:
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, args=(tick,), name=f"tick-{tick.name}", daemon=True)
            for tick in ticks
        ]

    def start(self) -> None:
        """Begin ticking."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let every tick finish its round, and end."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _loop(self, tick: Tick) -> None:
        last = False
        while not last:
            last = self._stopped.wait(tick.every_s)
            try:
                tick.run()
            except Exception:
                log.exception("tick failed", extra={"tick": tick.name})
