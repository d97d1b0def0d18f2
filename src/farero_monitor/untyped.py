"""Libraries without types, as Any once and for all instead of in every file that uses them.

They are imported when they are first used: of a run over kept profiles they would be most of the time, and it needs
none.
"""

# pyright: reportMissingTypeStubs=false
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


#: What has to be done before the first of pyarrow's modules is imported, and has not been done yet.
_before_arrow: list[Callable[[], None]] = []


class _Later:
    """A module that is imported with the first thing that is wanted of it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        while _before_arrow and self._name.startswith("pyarrow"):
            _before_arrow.pop()()
        found = getattr(import_module(self._name), name)
        setattr(self, name, found)
        return found


def before_arrow(prepare: Callable[[], None]) -> None:
    """Have something done when the first of pyarrow's modules is wanted, before it is imported."""
    _before_arrow.append(prepare)


pa: Any = _Later("pyarrow")
pc: Any = _Later("pyarrow.compute")
arrow_csv: Any = _Later("pyarrow.csv")
pq: Any = _Later("pyarrow.parquet")
datasketches: Any = _Later("datasketches")
