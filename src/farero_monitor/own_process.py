"""Imported first by programs whose process belongs to the analyzer alone: libraries start quickly, in one thread.

BLAS threads cost more than they bring on small blocks. And pyarrow imports pandas, where it is installed, with the
first array it makes, to know a Series when it sees one: half a second for what nobody here passes to it. So it does
with dateutil, for its relativedelta, and with cloudpickle.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from farero_monitor.untyped import before_arrow, pa

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def _prepare() -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Arrow's second allocator, which nobody here uses, would start a thread, and what has threads is not forked
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
    before_arrow(_import_arrow)


def _import_arrow() -> None:
    if "pandas" in sys.modules or "pyarrow" in sys.modules:
        return
    blocked = _Without("pandas", "dateutil", "cloudpickle")
    sys.meta_path.insert(0, blocked)
    try:
        pa.array([1])  # looks for pandas this once; `to_pandas` of a script looks again
    finally:
        sys.meta_path.remove(blocked)


class _Without:
    """Finds none of the modules that nobody here needs."""

    def __init__(self, *names: str) -> None:
        self._names = {*names}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        _ = path, target
        if name in self._names:
            raise ModuleNotFoundError("not wanted here", name=name)
        return None


_prepare()
