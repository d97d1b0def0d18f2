"""One column: how many are missing, of what type the others are, their numbers and their texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from farero_monitor.profile.categories import LIMIT, Categories
from farero_monitor.profile.moments import Moments
from farero_monitor.profile.sketch import Quantiles
from farero_monitor.untyped import pa, pc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from farero_monitor.profile.sketch import Floats

Type = Literal["Integral", "Fractional", "String", "Unknown"]

#: Different numbers of a column that are counted one by one; a column with more is continuous.
NUMBER_LIMIT = 1_000
#: Longer texts count as the same if they begin alike.
TEXT_LENGTH = 256
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(inf|infinity)$"
_INTEGER = r"^[+-]?\d+$"
_NAN = r"^[+-]?nan$"
#: By its first byte: may a text be one of these, with white space (and what is not ASCII) around it?
_BEGINS_A_NUMBER = np.array(
    [chr(code) in "+-.0123456789iInN" or chr(code).isspace() or code > 127 for code in range(256)]
)


class Column:
    """The profile of one column. A missing value is a null; a number that is not finite is counted by itself."""

    __slots__ = (
        "categories", "fractional", "integral", "missing", "moments", "name", "negative",
        "not_finite", "quantiles", "rows", "text", "whole",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows = self.missing = 0
        #: Values that are written as whole numbers, as other numbers, and as neither.
        self.integral = self.fractional = self.text = 0
        self.not_finite = self.negative = 0
        #: Numbers that are whole in value, however they are written: 3, 3.0 and 3e0.
        self.whole = 0
        self.moments = Moments()
        self.quantiles = Quantiles()
        #: Counts of the values as texts; of numbers only while there are few different ones, else None.
        self.categories: Categories | None = Categories(LIMIT)

    @property
    def present(self) -> int:
        """How many values are there."""
        return self.rows - self.missing

    @property
    def completeness(self) -> float:
        """The share of values that are there; 1.0 of nothing at all."""
        return self.present / self.rows if self.rows else 1.0

    @property
    def inferred_type(self) -> Type:
        """What all values are; one text makes a column String, as in SageMaker's analyzer."""
        if not self.present:
            return "Unknown"
        if self.text:
            return "String"
        return "Fractional" if self.fractional else "Integral"

    def share_of(self, wanted: str) -> float:
        """Return the share of present values that satisfy a type; whole numbers satisfy Fractional too."""
        matching = {
            "Integral": self.integral,
            "Fractional": self.integral + self.fractional,
        }.get(wanted, self.present)
        return matching / self.present if self.present else 1.0

    def update_texts(self, array: Any) -> None:
        """Add a pyarrow string array."""
        self.rows += len(array)
        self.missing += array.null_count
        if len(array) == array.null_count:
            return
        array = array.drop_null() if array.null_count else array
        numbers, whole = _numbers(array)
        if numbers is None:
            self._mixed(array)
            return
        missing = np.isnan(numbers)
        if missing.any():
            self.missing += int(missing.sum())
            array, numbers = array.filter(pa.array(~missing)), numbers[~missing]
        self.integral += whole
        self.fractional += len(array) - whole
        self._add(numbers)
        self._count_unless_many(array, numbers)

    def update_dictionary(self, array: Any) -> None:
        """Add a pyarrow dictionary array of strings; texts that cannot be numbers are counted by their places."""
        if _may_hold_numbers(array.dictionary):
            self.update_texts(array.dictionary_decode())
            return
        self.rows += len(array)
        self.missing += array.null_count
        places = array.indices.drop_null() if array.null_count else array.indices
        if not len(places):
            return
        found = np.bincount(places.to_numpy(zero_copy_only=False), minlength=len(array.dictionary))
        there = np.flatnonzero(found)
        self._add_texts(_shortened(array.dictionary.take(pa.array(there))), found[there])

    def _add_texts(self, values: Any, counts: NDArray[np.int64]) -> None:
        """Add present texts of which none is a number."""
        self.text += int(counts.sum())
        if self.categories is None:
            self.categories = Categories(LIMIT)
        self._take(values, counts)

    def update_numbers(self, array: Any) -> None:
        """Add a pyarrow array of integers or floating-point numbers; NaN is missing."""
        if pa.types.is_floating(array.type):
            array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
        self.rows += len(array)
        self.missing += array.null_count
        array = array.drop_null() if array.null_count else array
        if not len(array):
            return
        if pa.types.is_integer(array.type):
            self.integral += len(array)
        else:
            self.fractional += len(array)
        numbers = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
        self._add(numbers)
        self._count_unless_many(array, numbers)

    def merge(self, other: Column) -> None:
        """Add what another profile of the same column has seen."""
        for field in (
            "rows", "missing", "integral", "fractional", "text", "not_finite", "negative",
            "whole",
        ):  # fmt: skip
            setattr(self, field, getattr(self, field) + getattr(other, field))
        self.moments.merge(other.moments)
        self.quantiles.merge(other.quantiles)
        if self.categories is not None and other.categories is not None:
            self.categories.merge(other.categories)
            self._forget_numbers()
        else:
            self.categories = None if not self.text else self.categories or other.categories

    def _add(self, numbers: Floats) -> None:
        finite = np.isfinite(numbers)
        if not finite.all():
            self.not_finite += int(len(numbers) - finite.sum())
            numbers = numbers[finite]
        self.negative += int((numbers < 0).sum())
        self.whole += int((numbers == np.trunc(numbers)).sum())
        self.moments.update(numbers)
        self.quantiles.update(numbers)

    def _mixed(self, array: Any) -> None:
        """Add present texts of which some are no numbers; each different text is looked at once."""
        values, counts = _counted(array)
        if not _may_hold_numbers(values):
            self._add_texts(values, counts)
            return
        plain = pc.utf8_trim_whitespace(values)
        is_nan = pc.match_substring_regex(plain, _NAN, ignore_case=True).to_numpy(
            zero_copy_only=False
        )
        is_number = pc.match_substring_regex(plain, _NUMBER, ignore_case=True)
        is_whole = pc.match_substring_regex(plain, _INTEGER).to_numpy(zero_copy_only=False)
        numeric = is_number.to_numpy(zero_copy_only=False)
        whole, numbers = int(counts[is_whole].sum()), int(counts[numeric].sum())
        missing = int(counts[is_nan].sum())
        self.missing += missing
        self.integral += whole
        self.fractional += numbers - whole
        self.text += len(array) - numbers - missing
        if numbers:
            found = _cast(plain.filter(is_number)).to_numpy(zero_copy_only=False)
            self._add(np.repeat(found, counts[numeric]))
        if self.text and self.categories is None:
            self.categories = Categories(LIMIT)
        if self.categories is not None:
            self._take(values.filter(pa.array(~is_nan)), counts[~is_nan])

    def _count_unless_many(self, array: Any, numbers: Floats) -> None:
        """Count numbers one by one while there are few different ones; a look at the first ones saves most the work."""
        if self.categories is None:
            return
        if not self.text and len(np.unique(numbers[: 2 * NUMBER_LIMIT])) > NUMBER_LIMIT:
            self.categories = None
        else:
            self._take(*_counted(array))

    def _take(self, values: Any, counts: NDArray[np.int64]) -> None:
        """Count different values."""
        assert self.categories is not None
        if not self.text and len(values) > NUMBER_LIMIT:
            self.categories = None
            return
        if not pa.types.is_string(values.type):
            values = values.cast(pa.string())
        self.categories.update(zip(values.to_pylist(), counts.tolist(), strict=True))
        self._forget_numbers()

    def _forget_numbers(self) -> None:
        if not self.text and self.categories is not None and (
            len(self.categories.counts) > NUMBER_LIMIT or not self.categories.exact
        ):  # fmt: skip
            self.categories = None

    def to_state(self) -> dict[str, Any]:
        """Return what `from_state` reads."""
        return {
            "name": self.name, "rows": self.rows, "missing": self.missing,
            "integral": self.integral, "fractional": self.fractional, "text": self.text,
            "not_finite": self.not_finite, "negative": self.negative,
            "whole": self.whole,
            "moments": self.moments.to_state(),
            "quantiles": self.quantiles.to_bytes() if self.quantiles.count else b"",
            "categories": None if self.categories is None else self.categories.to_state(),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Column:
        """Read what `to_state` wrote."""
        made = cls(state["name"])
        for field in (
            "rows", "missing", "integral", "fractional", "text", "not_finite", "negative",
            "whole",
        ):  # fmt: skip
            setattr(made, field, state[field])
        made.moments = Moments.from_state(state["moments"])
        if state["quantiles"]:
            made.quantiles = Quantiles.from_bytes(state["quantiles"])
        kept = state["categories"]
        made.categories = None if kept is None else Categories.from_state(kept)
        return made


def _counted(array: Any) -> tuple[Any, NDArray[np.int64]]:
    """Return the different values of an array and how often each occurs."""
    counted = pc.value_counts(_shortened(array) if pa.types.is_string(array.type) else array)
    return counted.field(0), counted.field(1).to_numpy(zero_copy_only=False)


def _shortened(array: Any) -> Any:
    """Return texts no longer than they are kept."""
    starts, _ = _bytes(array)
    if np.diff(starts).max(initial=0) > TEXT_LENGTH:
        return pc.utf8_slice_codeunits(array, 0, TEXT_LENGTH)
    return array


def _bytes(array: Any) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return where each text of a pyarrow string array starts, and the bytes of all of them; no copy."""
    _, starts, content = array.buffers()
    if not len(array) or content is None:
        return np.zeros(len(array) + 1, np.int32), np.zeros(0, np.uint8)
    places = np.frombuffer(starts, np.int32)[array.offset : array.offset + len(array) + 1]
    return places - places[0], np.frombuffer(content, np.uint8)[places[0] : places[-1]]


def _may_hold_numbers(array: Any) -> bool:
    """Tell whether any text begins as a number may: a digit, a sign, a point, white space, inf, nan."""
    starts, content = _bytes(array)
    first = starts[:-1][np.diff(starts) > 0]
    return bool(_BEGINS_A_NUMBER[content[first]].any())


def _numbers(array: Any) -> tuple[Floats | None, int]:
    """Return the numbers of an array of texts and how many are whole; (None, 0) if it is not all numbers.

    A cast that fails costs a hundred times one that succeeds, so the first values are tried first.
    """
    try:
        _cast(array.slice(0, 16))
    except pa.ArrowInvalid:
        return None, 0
    _, content = _bytes(array)
    dotted = np.count_nonzero(content == ord("."))
    if not dotted:
        try:
            whole = pc.cast(array, pa.int64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            pass
        else:
            if (content | 0x20 == ord("x")).any():
                return None, 0  # Arrow reads 0x1F as a number; nobody's CSV means that
            return whole.astype(np.float64), len(array)
    try:
        numbers = _cast(array).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None, 0
    if dotted == len(array):  # a number has one at most
        return numbers, 0
    return numbers, pc.sum(pc.match_substring_regex(array, _INTEGER)).as_py()


def _cast(array: Any) -> Any:
    return pc.cast(array, pa.float64())
