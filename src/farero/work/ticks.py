"""Drains that run beside the queue: their state is the files they empty, so they need no row.

Captured records and process output wait in files until they have reached their store; a tick moves what has grown.
One whose work is rare rests longer while it finds none, and is woken by who brings some.
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
    #: Says by a true value that there is more to do soon.
    run: Callable[[], object]
    #: The pause after a round that left nothing to do; 0 for the same as ever.
    at_rest_s: float = 0.0


class Ticker:
    """Runs each tick in a thread of its own until stopped; a failing tick is logged and goes on."""

    def __init__(self, ticks: Sequence[Tick]) -> None:
        self._is_stopped = False
        self._woken = {tick.name: threading.Event() for tick in ticks}
        self._threads = [
            threading.Thread(target=self._loop, args=(tick,), name=f"tick-{tick.name}", daemon=True)
            for tick in ticks
        ]

    def start(self) -> None:
        """Begin ticking."""
        for thread in self._threads:
            thread.start()

    def wake(self, name: str) -> None:
        """Have the tick of that name run at once; any thread may call."""
        if woken := self._woken.get(name):
            woken.set()

    def stop(self) -> None:
        """Let every tick finish its round, and end."""
        self._is_stopped = True
        for woken in self._woken.values():
            woken.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _loop(self, tick: Tick) -> None:
        woken, pause_s = self._woken[tick.name], tick.every_s
        last = False
        while not last:
            if woken.wait(pause_s):
                woken.clear()
            last = self._is_stopped
            pause_s = tick.every_s
            try:
                if not tick.run() and tick.at_rest_s:
                    pause_s = tick.at_rest_s
            except Exception:
                log.exception("tick failed", extra={"tick": tick.name})
