"""Rows of a sample as numbers and codes, in numpy alone: what correlations and the classifier are computed on.

They are written beside the rows' texts, so that a run over kept profiles, whose libraries are most of its time, needs
no Arrow at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.untyped import pa, pc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from farero_monitor.profile.sketch import Floats

    Codes = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of nothing but numbers, NaN where one is missing; shape (rows,)."""

    values: Floats

    def at(self, places: Any) -> Numbers:
        """Return some of the rows, by a slice or their places."""
        return Numbers(self.values[places])

    @property
    def missing(self) -> int:
        """How many are missing."""
        return int(np.isnan(self.values).sum())


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts: each row's place among the different ones, -1 where it is missing; shape (rows,)."""

    codes: Codes
    texts: list[str]

    def at(self, places: Any) -> Texts:
        """Return some of the rows, by a slice or their places."""
        return Texts(self.codes[places], self.texts)

    @property
    def missing(self) -> int:
        """How many are missing."""
        return int((self.codes < 0).sum())


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of one length."""

    count: int
    columns: Mapping[str, Numbers | Texts]

    def at(self, places: Any, count: int) -> Rows:
        """Return `count` of the rows, by a slice or their places."""
        return Rows(count, {name: column.at(places) for name, column in self.columns.items()})

    def to_state(self) -> dict[str, Any]:
        """Return what `from_state` reads."""
        return {
            name: column.values.astype("<f8").tobytes()
            if isinstance(column, Numbers)
            else (column.codes.astype("<i4").tobytes(), column.texts)
            for name, column in self.columns.items()
        }

    @classmethod
    def from_state(cls, count: int, state: Mapping[str, Any]) -> Rows:
        """Read what `to_state` wrote of so many rows; raises ValueError if there are not as many."""
        made = {name: _column(held) for name, held in state.items()}
        lengths = {len(c.values if isinstance(c, Numbers) else c.codes) for c in made.values()}
        if lengths - {count}:
            raise ValueError(f"{count} rows have columns of {sorted(lengths)}")
        return cls(count, made)


def _column(held: Any) -> Numbers | Texts:
    if isinstance(held, bytes):
        return Numbers(np.frombuffer(held, "<f8"))
    codes, texts = held
    return Texts(np.frombuffer(codes, "<i4"), texts)


def of_table(table: Any) -> Rows:
    """Return the rows of a pyarrow table of texts: a column is one of numbers if nothing else stands in it."""
    found = dict[str, Numbers | Texts]()
    for name in table.column_names:
        column = table.column(name)
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        found[name] = _numbers(column) or texts_of(column)
    return Rows(int(table.num_rows), found)


def _numbers(column: Any) -> Numbers | None:
    """Return texts as numbers; None if there is anything else among them."""
    try:
        # a cast that fails costs a hundred times one that succeeds, so the first values are tried first
        pc.cast(column.slice(0, 16), pa.float64())
        read = pc.cast(column, pa.float64())
    except pa.ArrowInvalid:
        return None
    return Numbers(read.to_numpy(zero_copy_only=False))


def texts_of(column: Any) -> Texts:
    """Return a pyarrow array of texts by their codes."""
    coded = pc.dictionary_encode(column)
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    return Texts(codes, coded.dictionary.to_pylist())


def joined(parts: Sequence[Rows]) -> Rows | None:
    """Return the rows of all parts, missing where a part lacks a column; None if a column is of two kinds."""
    if len(parts) == 1:
        return parts[0]
    made = dict[str, Numbers | Texts]()
    for name in dict.fromkeys(name for part in parts for name in part.columns):
        kinds = {type(part.columns[name]) for part in parts if name in part.columns}
        if len(kinds) > 1:
            return None
        made[name] = _joined(name, parts, numbers=Numbers in kinds)
    return Rows(sum(part.count for part in parts), made)


def _joined(name: str, parts: Sequence[Rows], *, numbers: bool) -> Numbers | Texts:
    if numbers:
        return Numbers(np.concatenate([_values(part, name) for part in parts]))
    places: dict[str, int] = {}
    codes = [_codes(part, name, places) for part in parts]
    return Texts(np.concatenate(codes), [*places])


def _values(part: Rows, name: str) -> Floats:
    column = part.columns.get(name)
    return column.values if isinstance(column, Numbers) else np.full(part.count, np.nan)


def _codes(part: Rows, name: str, places: dict[str, int]) -> Codes:
    """Return a part's codes as places among the texts of all parts, which grow by what is new."""
    column = part.columns.get(name)
    if not isinstance(column, Texts):
        return np.full(part.count, -1, np.int32)
    known = [places.setdefault(text, len(places)) for text in column.texts]
    return np.array([*known, -1], np.int32)[column.codes]
