"""How the programs whose process belongs to the analyzer alone begin, where they may use more than one core."""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

#: Arrow's second allocator, which nobody here uses, would start a thread, and what has threads is not forked.
NO_THREAD = ("JE_ARROW_MALLOC_CONF", "background_thread:false")


def load_arrow() -> threading.Thread:
    """Let the system load and link Arrow, which takes no Python, while Python imports something else."""
    os.environ.setdefault(*NO_THREAD)
    made = threading.Thread(target=_load)
    made.start()
    return made


def _load() -> None:
    spec = find_spec("pyarrow")
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in Path(folder).glob("lib.*.so"):
            with suppress(OSError):  # importing it tells
                ctypes.CDLL(str(path))
