"""What predicts in the XGBoost server: the Booster itself, bit for bit, by the shortest way into the library.

An engine has one method, `predict(rows) -> scores`; anything with it can take the Booster's place.

A DMatrix a call costs more than small trees themselves, so rows go straight into `XGBoosterPredictFromDense`, the C
function under `Booster.inplace_predict`, without the 50 µs that Python spends around it. That way is taken only for
one model of plain trees, and only after both ways gave the same bits on a sample with missing values. Everything else
(several models, linear and DART boosters, categories, infinite values, which a DMatrix refuses) takes the DMatrix.
"""

from __future__ import annotations

import ctypes
import json
import math
import random
import weakref
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from farero_container.serve.frameworks.xgboost_library import matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

#: Rows on which both ways must agree before the short one is taken: more than XGBoost walks a tree for at a time (64).
SAMPLE = 70


class Engine(Protocol):
    """Turns rows into scores."""

    def predict(self, rows: NDArray[np.float32]) -> NDArray[Any]:
        """Score rows, shape (rows, features), NaN for missing; shape (rows,) or (rows, outputs).

        What comes out belongs to the caller. Raises whatever the library raises.
        """
        ...


class Boosters:
    """XGBoost's own prediction; the mean of several models."""

    def __init__(self, xgb: Any, boosters: Sequence[Any]) -> None:
        """boosters: all of the same number of features."""
        self._xgb = xgb
        self._boosters = list(boosters)
        self._direct = self._proved()

    @property
    def is_direct(self) -> bool:
        """Say whether rows go straight into the library."""
        return self._direct is not None

    def predict(self, rows: NDArray[np.float32]) -> NDArray[Any]:
        """Score rows, as Engine says."""
        if self._direct is not None and len(rows) and not np.isinf(rows).any():
            return self._direct(np.ascontiguousarray(rows))
        return self._by_matrix(rows)

    def _by_matrix(self, rows: NDArray[np.float32]) -> NDArray[Any]:
        data = matrix(self._xgb, rows)
        outputs = [
            booster.predict(data, validate_features=False, iteration_range=(0, _rounds(booster)))
            for booster in self._boosters
        ]
        return outputs[0] if len(outputs) == 1 else np.mean(outputs, axis=0)

    def _proved(self) -> Callable[[NDArray[np.float32]], NDArray[Any]] | None:
        """Return the short way in if it is there and gives the same bits."""
        try:
            if len(self._boosters) != 1 or not _is_plain(self._boosters[0]):
                return None
            direct = Direct(self._xgb, self._boosters[0])
            sample = _sample(self._boosters[0])
            wanted = self._by_matrix(sample)
            for part in (slice(None), slice(1), slice(None, 0, -1)):
                if wanted[part].tobytes() != direct(sample[part].copy()).tobytes():
                    return None
        except Exception:  # noqa: BLE001 - another build of the library: the long way always works
            return None
        return direct


class Direct:
    """`XGBoosterPredictFromDense` of XGBoost's C API ("XGBoost C Package": prediction)."""

    def __init__(self, xgb: Any, booster: Any) -> None:
        """Raises AttributeError where the library has no such function."""
        library: Any = xgb.core._LIB  # noqa: SLF001 - the C API has no other door
        self._booster = booster  # keeps its handle alive
        self._call: Any = library.XGBoosterPredictFromDense
        self._check: Callable[[int], None] = xgb.core._check_call  # noqa: SLF001 - same
        # Without one of ours the library makes a proxy a call, and each reads the limits of CPU from their files.
        self._proxy = ctypes.c_void_p()
        self._check(library.XGProxyDMatrixCreate(ctypes.byref(self._proxy)))
        weakref.finalize(self, library.XGDMatrixFree, self._proxy)
        self._options = json.dumps(
            {
                "type": 0, "training": False, "iteration_begin": 0, "iteration_end": _rounds(booster),
                "strict_shape": False, "missing": math.nan, "cache_id": 0,
            }
        ).encode()  # fmt: skip
        self._shape = ctypes.POINTER(ctypes.c_uint64)()
        self._dimensions = ctypes.c_uint64()
        self._scores = ctypes.POINTER(ctypes.c_float)()
        self._out = tuple(map(ctypes.byref, (self._shape, self._dimensions, self._scores)))

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score C-contiguous rows."""
        # NumPy's array interface, which XGBoost reads as JSON
        interface = b'{"data":[%d,true],"shape":[%d,%d],"typestr":"<f4","version":3}' % (
            rows.ctypes.data,
            *rows.shape,
        )
        self._check(
            self._call(self._booster.handle, interface, self._options, self._proxy, *self._out)
        )
        shape = self._shape[: self._dimensions.value]
        # the library keeps what it returned and writes over it at the next call
        data = ctypes.string_at(self._scores, math.prod(shape) * 4)
        return np.frombuffer(data, dtype=np.float32).reshape(shape)


def _rounds(booster: Any) -> int:
    """Return how many rounds predict: all (0), or up to the best one where training stopped early."""
    best = booster.attr("best_iteration")
    return int(best) + 1 if best is not None else 0


def _is_plain(booster: Any) -> bool:
    name = json.loads(booster.save_config())["learner"]["gradient_booster"]["name"]
    kinds: list[str] = booster.feature_types or []
    return name == "gbtree" and "c" not in kinds


def _sample(booster: Any) -> NDArray[np.float32]:
    """Return numbers of every size, a tenth of them missing; without numpy.random, which nothing else needs here."""
    features = booster.num_features()
    count = max(3, min(SAMPLE, 200_000 // max(features, 1)))
    drawn = random.Random(1).randbytes(4 * count * features)  # noqa: S311 - numbers to try, no secrets
    bits = np.frombuffer(drawn, dtype=np.uint32)
    rows = np.tan(bits * (math.pi / 2**32)).astype(np.float32)
    rows[bits % 10 == 0] = np.nan
    return rows.reshape(count, features)
