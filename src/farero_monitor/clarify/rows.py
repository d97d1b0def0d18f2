"""A data set in memory as a table of texts, asked for its columns by name or by place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.clarify.config import ConfigError
from farero_monitor.untyped import pa, pc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from farero_monitor.clarify.infinite import Array


@dataclass(frozen=True, slots=True)
class Codes:
    """A column as numbers of its values."""

    #: Int64[rows]; -1 where a value is missing.
    codes: Array
    #: The values in order: numbers by size, texts by the alphabet.
    values: list[str]


@dataclass(frozen=True, slots=True)
class Rows:
    """A table whose columns are texts, null where a value is missing."""

    table: Any

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[str | None]]) -> Rows:
        """Return the table of given columns."""
        return cls(pa.table({name: pa.array(held, pa.string()) for name, held in columns.items()}))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def names(self) -> list[str]:
        """Return the names of the columns."""
        return list(self.table.column_names)

    def name(self, which: str | int, what: str) -> str:
        """Return the name of a column given by name or place; raises ConfigError, which names those there are."""
        names = self.names
        if isinstance(which, int) and 0 <= which < len(names):
            return names[which]
        if str(which) in names:
            return str(which)
        if isinstance(which, str) and which.isdigit() and int(which) < len(names):
            return names[int(which)]
        raise ConfigError(
            f"{what} '{which}' is no column of the data. There are: {', '.join(names)}."
        )

    def without(self, names: Sequence[str]) -> Rows:
        """Return the table without some columns."""
        return Rows(self.table.select([name for name in self.names if name not in set(names)]))

    def take(self, wanted: Array) -> Rows:
        """Return some rows: Bool[rows], or their numbers."""
        if wanted.dtype == np.bool_:
            return Rows(self.table.filter(pa.array(wanted)))
        return Rows(self.table.take(pa.array(wanted)))

    def with_column(self, name: str, column: Any) -> Rows:
        """Return the table with one more column of texts at its end; one of the same name gives way."""
        kept = self.without([name]).table
        return Rows(kept.append_column(name, column))

    def texts(self, name: str) -> Any:
        """Return a column as one pyarrow array of texts."""
        return self.table.column(name).combine_chunks()

    def numbers(self, name: str) -> Array | None:
        """Return a column as Float64[rows], NaN where a value is missing; None if there is text in it."""
        held = pc.utf8_trim_whitespace(self.table.column(name))
        try:
            found = pc.cast(held, pa.float64())
        except pa.ArrowInvalid:
            return None
        return np.array(found.to_numpy(), np.float64)

    def present(self, name: str) -> Array:
        """Return which rows have a value: Bool[rows]."""
        return np.array(pc.is_valid(self.table.column(name)).to_numpy(), np.bool_)

    def codes(self, name: str) -> Codes:
        """Return a column's values, each once, and which of them each row has."""
        encoded = pc.dictionary_encode(self.texts(name))
        values: list[str] = encoded.dictionary.to_pylist()
        codes = np.array(pc.fill_null(encoded.indices, -1).to_numpy(), np.int64)
        numbers = [number(value) for value in values]
        order = sorted(
            range(len(values)),
            key=lambda at: (held if (held := numbers[at]) is not None else np.inf, values[at]),
        )
        place = np.empty(len(values) + 1, np.int64)
        place[order] = np.arange(len(values))
        place[-1] = -1
        return Codes(place[codes], [values[at] for at in order])


def number(text: str) -> float | None:
    """Return the number that a text stands for, None if it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def same(value: object, text: str) -> bool:
    """Tell whether a value of the configuration is what a text says: 1, 1.0, "1" are one."""
    if isinstance(value, bool):
        return text.strip().lower() in ({"true", "1"} if value else {"false", "0"})
    if str(value).strip() == text.strip():
        return True
    one, other = number(str(value)), number(text)
    return one is not None and one == other
