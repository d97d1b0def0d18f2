"""XGBoost itself, imported without what neither serving nor training needs of it.

scikit-learn, pandas and SciPy are most of the time that `import xgboost` takes, and of the memory that it keeps.
XGBoost does without the first two if they are not there; SciPy's sparse matrices it knows only to tell them from other
data. So none of them is imported with it, and whoever does so later gets the real ones.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from farero_container.contract import StartUpError

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy as np
    from numpy.typing import NDArray

#: `xgboost` catches that these cannot be imported.
_NOT_NEEDED = ("sklearn", "pandas", "scipy.special")


def import_xgboost() -> Any:
    """Import xgboost without its scikit-learn estimators. Raises StartUpError."""
    nothing: dict[str, ModuleType | None] = dict.fromkeys(_NOT_NEEDED)
    with (
        contextlib.suppress(ImportError, AttributeError),  # of a version that needs more
        _standing_in({**nothing, "scipy.sparse": _sparse()}),
    ):
        return importlib.import_module("xgboost")
    for name in [name for name in sys.modules if name.partition(".")[0] == "xgboost"]:
        del sys.modules[name]  # half of it
    return import_whole()


def import_whole() -> Any:
    """Import xgboost with everything that is installed, as a user's script may use any of it. Raises StartUpError."""
    try:
        return importlib.import_module("xgboost")  # heavy and optional
    except ImportError as error:
        raise StartUpError(
            "E-NO-FRAMEWORK",
            f"xgboost cannot be imported: {error}",
            fix="pip install 'farero[xgboost]'",
        ) from error


def matrix(xgb: Any, rows: NDArray[np.float32]) -> Any:
    """Return rows as a DMatrix, NaN for missing, without importing SciPy to learn that they are no sparse matrix."""
    with _standing_in({"scipy.sparse": None}):
        return xgb.DMatrix(rows, missing=math.nan, nthread=1)


def _sparse() -> ModuleType:
    """Return a module with the one name of scipy.sparse that `xgboost` needs while it is imported, for annotations."""
    module = ModuleType("scipy.sparse")
    module.csr_matrix = type("csr_matrix", (), {})  # pyright: ignore[reportAttributeAccessIssue] - a module of our own
    return module


@contextlib.contextmanager
def _standing_in(modules: dict[str, ModuleType | None]) -> Generator[None]:
    """Let imports find these instead of what has not been imported yet; None for nothing, as sys.modules has it."""
    missing = {name: module for name, module in modules.items() if name not in sys.modules}
    sys.modules.update(missing)  # pyright: ignore[reportArgumentType, reportCallIssue] - None: as its docs say
    try:
        yield
    finally:
        for name in missing:
            sys.modules.pop(name, None)
