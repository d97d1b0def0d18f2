"""Imported first by programs whose process belongs to the analyzer alone: libraries start quickly, in one thread.

BLAS threads cost more than they bring on small blocks. And pyarrow imports pandas, where it is installed, with the
first array it makes, to know a Series when it sees one: half a second for what nobody here passes to it. So it does
with dateutil, for its relativedelta, and with cloudpickle. A fifth of what is left of the imports is spent on help
texts and on types for checkers, of which nothing is kept here.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

from farero_monitor.beginning import NO_THREAD
from farero_monitor.untyped import before_arrow, pa, pc

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from types import ModuleType

#: Modules that write docstrings and name types; what is imported of them is a `_Nothing`.
_TEXTS = (
    "numpy._typing", "numpy._core._add_newdocs", "numpy._core._add_newdocs_scalars",
    "pyarrow.vendored.docscrape",
)  # fmt: skip


def _prepare() -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault(*NO_THREAD)
    gc.set_threshold(10_000)  # importing makes many objects, and hardly one of them is garbage
    before_arrow(_import_arrow)
    if "numpy" not in sys.modules:
        with _without():
            import numpy  # noqa: F401, ICN001  # pyright: ignore[reportUnusedImport]


def _import_arrow() -> None:
    if "pandas" in sys.modules or "pyarrow" in sys.modules:
        return
    with _without("pandas", "dateutil", "cloudpickle"):
        pa.array([1])  # looks for pandas this once; `to_pandas` of a script looks again
        pc.cast  # noqa: B018  # pyright: ignore[reportUnusedExpression] - imported by this


@contextmanager
def _without(*names: str) -> Generator[None]:
    """Let modules be imported without these, and without help texts; whoever wants one later gets it."""
    finder = _Without(*names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in _TEXTS:
            if isinstance(getattr(sys.modules.get(name), "__loader__", None), _Without):
                del sys.modules[name]
                package, _, last = name.rpartition(".")
                vars(sys.modules[package]).pop(last, None)


class _Without:
    """Finds none of the modules that nobody here needs, and nothing in those of help texts."""

    def __init__(self, *names: str) -> None:
        self._names = {*names}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        _ = path, target
        if name in self._names:
            raise ModuleNotFoundError("not wanted here", name=name)
        return ModuleSpec(name, self) if name in _TEXTS else None  # pyright: ignore[reportArgumentType] - is a loader

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the caller."""
        _ = spec

    def exec_module(self, module: ModuleType) -> None:
        """Let everything be in it."""
        module.__getattr__ = lambda name: _Nothing  # noqa: ARG005


class _Nothing:
    """Stands for a type, and for the parsed text of a docstring that says nothing."""

    def __init__(self, *_: object) -> None: ...

    def __class_getitem__(cls, _: object) -> type[_Nothing]:
        return cls

    def __getitem__(self, _: object) -> tuple[Any, ...]:
        return ()


_prepare()
