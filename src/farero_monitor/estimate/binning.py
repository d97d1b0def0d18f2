"""Columns of texts as small whole numbers, each a bin: what a tree over histograms works on.

A column of numbers is cut at its quantiles; of a column of texts the most frequent values get a bin each, by how often
they occur, or by the mean of something. Bin 0 is a missing value. What is new in a window falls into an outermost bin.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.profile.sketch import distinct
from farero_monitor.untyped import pa, pc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from farero_monitor.profile.sketch import Floats

    Bins = NDArray[np.uint8]

#: Bins of a column, the one of missing values among them.
MOST = 32


@dataclass(slots=True)
class Cut:
    """How one column becomes bins."""

    name: str
    #: Upper ends of all bins of numbers but the last; None of a column of texts.
    ends: list[float] | None = None
    #: Bin of each known text, and the one that all others share.
    texts: dict[str, int] = field(default_factory=dict[str, int])
    others: int = MOST - 1

    def bins(self, column: Any) -> Bins:
        """Return the bin of each value of a column of texts, shape (rows,)."""
        if self.ends is not None:
            numbers: Floats = values(column, strict=False)
            found = np.searchsorted(np.asarray(self.ends), numbers) + 1
            return np.where(np.isnan(numbers), 0, found).astype(np.uint8)
        coded = pc.dictionary_encode(column)
        of_code = [self.texts.get(text, self.others) for text in coded.dictionary.to_pylist()]
        codes = pc.fill_null(coded.indices, len(of_code)).to_numpy(zero_copy_only=False)
        return np.array([*of_code, 0], dtype=np.uint8)[codes]


def cut(name: str, column: Any, towards: Floats | None = None) -> Cut:
    """Learn how to cut a column. towards: what the bins of texts are ordered by, shape (rows,); else how often."""
    column = flat(column)
    numbers = values(column, strict=True)
    if numbers is not None:
        present = numbers[np.isfinite(numbers)]
        if not len(present):
            return Cut(name, [])
        # the quantiles that `np.quantile` calls lower; whole columns are sorted faster than parted at thirty places
        places = np.floor((len(present) - 1) * (np.arange(1, MOST - 1) / (MOST - 1)))
        ends = distinct(np.sort(present)[places.astype(np.int64)])
        return Cut(name, ends[ends < present.max()].tolist())
    counted = pc.value_counts(column.drop_null())
    texts: list[str] = counted.field(0).to_pylist()
    counts: list[int] = counted.field(1).to_pylist()
    often = sorted(range(len(texts)), key=lambda place: (-counts[place], texts[place]))
    kept = [texts[place] for place in often[: MOST - 2]]
    if towards is None:
        return Cut(name, None, {text: place + 1 for place, text in enumerate(kept)})
    wanted = pc.index_in(column, pa.array(kept, pa.string()))
    codes = pc.fill_null(wanted, len(kept)).to_numpy(zero_copy_only=False)
    # the others count as one text; where there is none they are as all together
    total = np.bincount(codes, weights=towards, minlength=len(kept) + 1)
    number = np.bincount(codes, minlength=len(kept) + 1)
    means: Floats = np.where(number > 0, total / np.maximum(number, 1), towards.mean())
    bins = np.empty(len(kept) + 1, dtype=np.int64)
    bins[np.argsort(means, kind="stable")] = np.arange(1, len(kept) + 2)
    return Cut(name, None, dict(zip(kept, bins.tolist(), strict=False)), int(bins[-1]))


def table_bins(table: Any, cuts: Sequence[Cut]) -> Bins:
    """Return the bins of a table's rows, shape (rows, columns); a column that it lacks is missing throughout."""
    made = np.zeros((table.num_rows, len(cuts)), dtype=np.uint8)
    for place, one in enumerate(cuts):
        if one.name in table.column_names:
            made[:, place] = one.bins(flat(table.column(one.name)))
    return made


def flat(column: Any) -> Any:
    """Return a column as one array."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def values(column: Any, *, strict: bool) -> Any:
    """Return texts as numbers, NaN where there is none; if strict, None for a column with a text among them."""
    column = flat(column)
    try:
        return _cast(column).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        if strict:
            return None
    return np.array([_number(text) for text in column.to_pylist()])


def _cast(column: Any) -> Any:
    """Return texts as numbers, null where there is none; raises ArrowInvalid for anything else.

    A cast that fails costs a hundred times one that succeeds, so the first values are tried first.
    """
    pc.cast(column.slice(0, 16), pa.float64())
    return pc.cast(column, pa.float64())


def _number(text: str | None) -> float:
    try:
        return np.nan if text is None else float(text)
    except ValueError:
        return np.nan
