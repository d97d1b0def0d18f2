"""How many deliveries run at once, and to whom: a receiver that hangs must not keep the others waiting."""

from __future__ import annotations

import threading
from collections import Counter

#: Deliveries at once; the worker has eight threads.
MOST = 4
#: To one receiver.
MOST_A_LANE = 2
#: To receivers whose last try failed, all together: the rest is kept for those that answer.
MOST_SUSPECTS = 2
FIRST_PAUSE_S, MORE_PAUSE_S, LONGEST_PAUSE_S = 0.2, 0.05, 10.0
#: Receivers remembered as failing.
MAX_REMEMBERED = 1000


class Lanes:
    """Counts what runs. A lane is a receiver: a host and port, the mail server, a kind of service."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._suspects: dict[str, None] = {}
        self._refused: Counter[str] = Counter()

    def enter(self, lane: str) -> bool:
        """Take a place; False if there is none now."""
        with self._lock:
            if self._running.total() >= MOST or self._running[lane] >= MOST_A_LANE:
                return False
            if lane in self._suspects:
                busy = sum(self._running[name] for name in self._suspects)
                if busy >= MOST_SUSPECTS:
                    return False
            self._running[lane] += 1
            return True

    def pause_s(self, lane: str) -> float:
        """Return when to ask for a place again: the later, the more wait for this receiver."""
        with self._lock:
            self._refused[lane] += 1
            return min(FIRST_PAUSE_S + MORE_PAUSE_S * self._refused[lane], LONGEST_PAUSE_S)

    def leave(self, lane: str, *, is_good: bool) -> None:
        """Give the place back; `is_good`: whether the receiver took the message."""
        with self._lock:
            self._running[lane] -= 1
            del self._refused[lane]
            if not self._running[lane]:
                del self._running[lane]
            if is_good:
                self._suspects.pop(lane, None)
            elif lane in self._suspects or len(self._suspects) < MAX_REMEMBERED:
                self._suspects[lane] = None
