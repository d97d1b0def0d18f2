"""Libraries without types, as Any once and for all instead of in every file that uses them.

Those that not every run needs are imported when they are first used: a run over kept profiles takes no longer than
they do.
"""

# pyright: reportMissingTypeStubs=false
from __future__ import annotations

from importlib import import_module
from typing import Any

import pyarrow as _pyarrow  # noqa: ICN001 - not the name it is used by


class _Later:
    """A module that is imported with the first thing that is wanted of it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(import_module(self._name), name)
        setattr(self, name, found)
        return found


pa: Any = _pyarrow
pc: Any = _Later("pyarrow.compute")
arrow_csv: Any = _Later("pyarrow.csv")
pq: Any = _Later("pyarrow.parquet")
datasketches: Any = _Later("datasketches")
