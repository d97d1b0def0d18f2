"""Which tests run just now: a run that is told to end says what it was waiting for."""

import signal
import time


class Running:
    """Plugin of the process that gathers the results; told by SIGTERM to end, it names the tests that have not ended."""

    def __init__(self):
        self._began = {}
        signal.signal(signal.SIGTERM, self._told_to_end)

    def pytest_runtest_logstart(self, nodeid):
        """Remember when a test began, in whichever process."""
        self._began[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid):
        """Forget a test that has ended."""
        self._began.pop(nodeid, None)

    def _told_to_end(self, *_):
        now = time.monotonic()
        for nodeid, began in self._began.items():
            print(f"\nstill running after {now - began:.0f} s: {nodeid}", flush=True)  # noqa: T201
        raise KeyboardInterrupt
