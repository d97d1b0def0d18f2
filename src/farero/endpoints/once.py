"""Who is at work for what: one at a time, and whoever comes meanwhile has it done once more."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Once:
    """What the threads of one worker are at, by claims such as `endpoint.reconcile iris`."""

    def __init__(self) -> None:
        self._busy: set[str] = set()
        #: Claims of those that are busy which came in meanwhile.
        self._again: set[str] = set()
        self._lock = threading.Lock()

    def do(self, claim: str, work: Callable[[], None]) -> None:
        """Do `work` unless somebody is at it for the same claim; who is then does it once more."""
        while self._take(claim):
            try:
                work()
            finally:
                is_due_again = self._let_go(claim)
            if not is_due_again:
                return

    def _take(self, claim: str) -> bool:
        with self._lock:
            is_busy = claim in self._busy
            (self._again if is_busy else self._busy).add(claim)
        return not is_busy

    def _let_go(self, claim: str) -> bool:
        """Say whether somebody else wanted it meanwhile."""
        with self._lock:
            self._busy.discard(claim)
            is_due_again = claim in self._again
            self._again.discard(claim)
        return is_due_again
