"""Quotients and differences that may have no value, or an infinite one."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def ratio(over: Array, under: Array) -> Array:
    """Return the quotient: NaN for 0/0, infinite for x/0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.true_divide(over, under)


def difference(one: Array, other: Array) -> Array:
    """Return one - other, 0 where both are infinite alike, as in Clarify."""
    with np.errstate(invalid="ignore"):
        found = one - other
    return np.where(np.isinf(one) & (one == other), 0.0, found)
