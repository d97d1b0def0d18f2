"""Leave out of a process what it would import and never use: each takes time and memory."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence


def forget(names: Sequence[str]) -> None:
    """Have whoever imports these packages from now on find that they are not installed."""
    for name in names:
        cast("Any", sys.modules).setdefault(name, None)


@contextmanager
def without(names: Sequence[str]) -> Generator[None]:
    """Have packages that are imported meanwhile find that `names` are not installed, as they provide for."""
    hidden = [name for name in names if name not in sys.modules]
    forget(hidden)
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@contextmanager
def standing_in(name: str, *members: str) -> Generator[None]:
    """Have packages that are imported meanwhile find an empty module of that name, with `members` that are None."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = module = ModuleType(name)
    for member in members:
        setattr(module, member, None)
    try:
        yield
    finally:
        sys.modules.pop(name, None)
