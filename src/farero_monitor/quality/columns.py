"""Texts as numbers, probabilities and labels; what is none of these is counted and located."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from farero_monitor.untyped import pa, pc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from farero_monitor.profile.dataset import Unread
    from farero_monitor.quality.metrics import Floats

    Flags = NDArray[np.bool_]

#: Texts that a pair of labels is often written in, the negative one first.
PAIRS = (
    ("0", "1"), ("-1", "1"), ("no", "yes"), ("n", "y"), ("f", "t"), ("false", "true"), ("negative", "positive"),
    ("bad", "good"), ("off", "on"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Batch:
    """Labelled predictions as texts, None where one is missing."""

    #: Columns by role: label, prediction, probability, of several classes one each. All of one length.
    columns: dict[str, Any]
    file: str
    #: Where each row is: the number of the first one, or one each.
    places: int | Sequence[int]
    #: Whether places are lines of the file; else rows of a table.
    lines: bool = False

    def place(self, index: int) -> str:
        """Say where a row is."""
        number = self.places + index if isinstance(self.places, int) else self.places[index]
        return f"{'line' if self.lines else 'row'} {number}"

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def texts(column: Any) -> Any:
    """Return a column as a pyarrow array of trimmed texts."""
    made = (
        column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column, pa.string())
    )
    made = made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made
    if pa.types.is_dictionary(made.type):
        made = made.dictionary_decode()
    if pa.types.is_list(made.type) or pa.types.is_large_list(made.type):
        made = pa.array(
            [None if one is None else msgspec.json.encode(one).decode() for one in made.to_pylist()]
        )
    if not pa.types.is_string(made.type):
        made = pc.cast(made, pa.string())
    return pc.utf8_trim_whitespace(made)


def numbers(column: Any, batch: Batch, role: str, unread: Unread) -> tuple[Floats, Flags]:
    """Return a column as numbers, and where one is missing; NaN there, and where there is no number, which is told."""
    held = texts(column)
    try:
        made = np.asarray(pc.cast(held, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except pa.ArrowInvalid:
        made = np.array([_number(text) for text in held.to_pylist()], np.float64)
    made = made.copy()
    missing = np.asarray(pc.or_(pc.is_null(held), pc.is_in(held, _MISSING)))
    for index in np.flatnonzero(~np.isfinite(made) & ~missing).tolist():
        unread.add(
            batch.file,
            batch.place(index),
            f"{role} '{held[index].as_py()[:40]}' is not a finite number",
        )
    made[~np.isfinite(made)] = np.nan
    return made, missing


def probabilities(column: Any, batch: Batch, unread: Unread) -> tuple[Floats, Flags]:
    """Return a column as numbers from 0 to 1, and where one is missing; others are NaN, and told."""
    made, missing = numbers(column, batch, "the probability", unread)
    with np.errstate(invalid="ignore"):
        outside = (made < 0) | (made > 1)
    for index in np.flatnonzero(outside).tolist():
        unread.add(
            batch.file, batch.place(index), f"the probability {made[index]:g} is outside 0 to 1"
        )
    made[outside] = np.nan
    return made, missing


def lists(column: Any, batch: Batch, unread: Unread) -> tuple[Floats, Flags]:
    """Return lists of probabilities, (rows, classes), and where one is missing; others are NaN, and told."""
    held = texts(column).to_pylist()
    found = [_list_of(text) for text in held]
    width = next((len(one) for one in found if one), 1)
    made = np.full((len(held), width), np.nan)
    for index, one in enumerate(found):
        if not one:
            if held[index]:
                told = f"'{held[index][:40]}' is no list of probabilities"
                unread.add(batch.file, batch.place(index), told)
        elif len(one) != width:
            told = f"{len(one)} probabilities where others have {width}"
            unread.add(batch.file, batch.place(index), told)
        elif not all(0 <= value <= 1 for value in one):
            told = f"the probability {next(v for v in one if not 0 <= v <= 1):g} is outside 0 to 1"
            unread.add(batch.file, batch.place(index), told)
        else:
            made[index] = one
    return made, np.array([not text for text in held], np.bool_)


def _list_of(text: str | None) -> list[float]:
    """Return a list of two numbers or more; an empty one where there is none."""
    try:
        # not strict: flat names make texts of the numbers in a list
        found = msgspec.json.decode(text or "[]", type=list[float], strict=False)
    except msgspec.MsgspecError:
        return []
    return found if len(found) > 1 else []


def labels(column: Any, *, logical: bool) -> NDArray[Any]:
    """Return a column of labels, each written one way (`1`, `1.0` and ` 1` are one); None where one is missing.

    logical: true and false are 1 and 0.
    """
    held = pc.dictionary_encode(texts(column))
    names = np.array(
        [*(label(text, logical=logical) for text in held.dictionary.to_pylist()), None], object
    )
    codes = np.asarray(pc.fill_null(held.indices, fill_value=len(names) - 1))
    return names[codes]


def label(text: str, *, logical: bool) -> str | None:
    """Return a label written one way; None for a missing one."""
    if text in _MISSING_TEXTS:
        return None
    if logical and text.lower() in {"true", "false"}:
        return "1" if text.lower() == "true" else "0"
    number = _number(text)
    if np.isfinite(number) and number == int(number) and abs(number) < 1e15 and "_" not in text:
        return str(int(number))
    return text


def positive_of(found: set[str]) -> str | None:
    """Return which of two labels is the positive one; None if nothing tells.

    Known pairs tell; else it is the later one in the alphabet, as scikit-learn's `classes_[1]`.
    """
    lower = {name.lower(): name for name in found}
    for negative, positive in PAIRS:
        if lower.keys() <= {negative, positive}:
            return lower.get(positive, positive)
    return max(found) if len(found) == 2 else None


def _number(text: str | None) -> float:
    try:
        return float(text) if text else np.nan
    except ValueError:
        return np.nan


_MISSING_TEXTS = {"", "null", "NULL", "None", "nan", "NaN", "NAN"}
_MISSING = pa.array(sorted(_MISSING_TEXTS), pa.string())
