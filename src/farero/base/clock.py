"""The only place that reads the clock of the machine; everyone else asks a `Clock`."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Protocol

UTC = dt.UTC


class Clock(Protocol):
    """Tells the time: aware UTC for records, monotonic seconds for spans."""

    def now(self) -> dt.datetime:
        """Return the present moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards; only differences mean something."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for `seconds`."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> dt.datetime:
        """Return the present moment, aware, in UTC."""
        return dt.datetime.now(UTC)

    #: Return seconds since an arbitrary moment; asked several times for each request.
    monotonic = staticmethod(time.monotonic)

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for `seconds`."""
        time.sleep(seconds)


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start: dt.datetime = dt.datetime(2026, 1, 5, 10, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 0.0
        self._lock = threading.Lock()

    def now(self) -> dt.datetime:
        """Return the moment that the test set."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds the test has let pass."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        self.advance(seconds=seconds)

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Move time forward by the sum of the arguments."""
        span = dt.timedelta(seconds=seconds, minutes=minutes, hours=hours)
        with self._lock:
            self._now += span
            self._monotonic += span.total_seconds()
