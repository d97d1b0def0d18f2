"""Arrays and tensors as rows of several requests: are they alike, put together, cut apart again."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence


class NotRows(Exception):  # noqa: N818 - a finding
    """What was predicted does not have a row for each row that went in."""


def likeness(data: Any) -> Hashable:
    """Return what arrays or tensors must share to be put together, None for what must stay alone.

    The first of at least two dimensions is rows; there is no telling what a single dimension is.
    """
    if not _is_array(data) or data.ndim < 2 or not data.shape[0] or data.dtype == object:
        return None
    return isinstance(data, np.ndarray), str(data.dtype), tuple(data.shape[1:])


def count(data: Any) -> int:
    """Return the number of rows; 1 for what is no array."""
    return int(data.shape[0]) if _is_array(data) and data.ndim else 1


def join(parts: Sequence[Any]) -> Any:
    """Put arrays or tensors of one likeness together."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(cast("Sequence[np.ndarray[Any, Any]]", parts))
    return sys.modules["torch"].cat(list(parts))


def split(together: Any, counts: Sequence[int]) -> list[Any]:
    """Cut a prediction into one for each count of rows: of an array, a list, or a dict or tuple of arrays.

    Raises NotRows.
    """
    total = sum(counts)
    ends = list(itertools.accumulate(counts))
    starts = [0, *ends[:-1]]
    if isinstance(together, list):
        rows = cast("list[Any]", together)
        if len(rows) != total:
            raise NotRows(f"{len(rows)} predictions came for {total} rows")
        return [rows[start:end] for start, end in zip(starts, ends, strict=True)]
    if isinstance(together, dict):
        members = cast("dict[Any, Any]", together)
        split_members = {key: _cut(value, starts, ends) for key, value in members.items()}
        return [{key: cut[i] for key, cut in split_members.items()} for i in range(len(counts))]
    if isinstance(together, tuple):
        items = [_cut(item, starts, ends) for item in cast("tuple[Any, ...]", together)]
        return [tuple(cut[i] for cut in items) for i in range(len(counts))]
    return _cut(together, starts, ends)


def _cut(array: Any, starts: Sequence[int], ends: Sequence[int]) -> list[Any]:
    if not _is_array(array) or not array.ndim or array.shape[0] != ends[-1]:
        shape = tuple(array.shape) if _is_array(array) else type(array).__name__
        raise NotRows(f"a prediction of shape {shape} for {ends[-1]} rows")
    return [array[start:end] for start, end in zip(starts, ends, strict=True)]


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or (hasattr(value, "detach") and hasattr(value, "shape"))
