"""Ends a model server whose model hangs, so that it can be replaced; tells where the model stood.

SageMaker's own containers do so too: a worker that is busy with one request for longer than
SAGEMAKER_MODEL_SERVER_TIMEOUT (60 s) is killed. Nobody waits for that answer any more, and all that came after it does.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
import threading
import time
import traceback

from farero_container.contract import FAILED, user_place, write_failure

TIMEOUT_VARIABLE = "SAGEMAKER_MODEL_SERVER_TIMEOUT"
TIMEOUT_S = 60
#: Callers hear of their time-out before the server ends.
GRACE_S = 2.0
#: Native code that holds the interpreter's lock is ended this much later, without Python's help.
LAST_RESORT_S = 2.0
LOOK_EVERY_S = 1.0


class Watchdog:
    """Looks at one thread once a second; `begin` and `end` cost it nothing to speak of."""

    def __init__(self, limit_s: float = TIMEOUT_S) -> None:
        self._limit_s = limit_s + GRACE_S
        self._asked_s = limit_s
        self._since: float | None = None
        self._thread = 0

    def begin(self) -> None:
        """Note that the calling thread goes on to its next request."""
        self._since = time.monotonic()
        self._thread = threading.get_ident()

    def end(self) -> None:
        """Note that nothing is left to do."""
        self._since = None

    def watch(self) -> None:
        """Begin to look, for as long as the running loop lives."""
        since, now = self._since, time.monotonic()
        left = self._limit_s if since is None else since + self._limit_s - now
        if left <= 0:
            self._give_up()
        faulthandler.dump_traceback_later(left + LAST_RESORT_S, exit=True)
        asyncio.get_running_loop().call_later(LOOK_EVERY_S, self.watch)

    def _give_up(self) -> None:
        faulthandler.dump_traceback_later(LAST_RESORT_S, exit=True)  # should what follows hang, too
        frames = sys._current_frames()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - no other way
        frame = frames.get(self._thread)
        file, line = user_place(traceback.extract_stack(frame))
        message = f"one request kept the model busy for more than {self._asked_s:.0f} s"
        print(f"farero: {message}; the server ends. Where it stood:", file=sys.stderr, flush=True)
        faulthandler.dump_traceback()
        write_failure("E-HANG", message, file=file, line=line)
        os._exit(FAILED)
