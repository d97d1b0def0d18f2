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
    """Looks once a second at who is at work; `begin` and `end` cost next to nothing, and at rest it sleeps."""

    def __init__(self, limit_s: float = TIMEOUT_S) -> None:
        self._limit_s = limit_s + GRACE_S
        self._asked_s = limit_s
        self._since: float | None = None
        self._thread = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_looking = False
        self._turning = threading.Lock()

    def watch(self) -> None:
        """Look from the next request on, for as long as the running loop lives."""
        self._loop = asyncio.get_running_loop()

    def begin(self) -> None:
        """Note that the calling thread goes on to its next request."""
        self._since = time.monotonic()
        self._thread = threading.get_ident()
        if not self._is_looking and self._loop is not None:
            self._wake(self._loop)

    def end(self) -> None:
        """Note that nothing is left to do."""
        self._since = None

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._turning:
            if not self._is_looking:
                self._is_looking = True
                faulthandler.dump_traceback_later(self._limit_s + LAST_RESORT_S, exit=True)
                loop.call_soon_threadsafe(loop.call_later, LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        with self._turning:
            self._is_looking = False  # in this order: whoever begins now finds that, or is found
            since = self._since
            if since is None:
                faulthandler.cancel_dump_traceback_later()
                return
            self._is_looking = True
        left = since + self._limit_s - time.monotonic()
        if left <= 0:
            self._give_up()
        faulthandler.dump_traceback_later(left + LAST_RESORT_S, exit=True)
        asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

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
