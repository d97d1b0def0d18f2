"""Which columns of a labelled baseline say what: the truth, the model's answer, its probabilities."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.errors import AnalysisError
from farero_monitor.estimate.binning import flat, values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Texts = NDArray[np.object_]

#: Labelled rows that a reference has at least, and of each class.
LEAST, LEAST_OF_CLASS = 500, 30
#: Classes a problem may have.
MOST_CLASSES = 50


class LabelsError(AnalysisError):
    """The labelled baseline cannot serve as a reference; the text says which column and why."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """The columns of a labelled baseline."""

    target: str
    #: The told class or number; may be empty where there are probabilities.
    prediction: str = ""
    #: Class -> column; with the class "" for the one column of a problem with two classes.
    probability: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def answers(self) -> list[str]:
        """The columns that the model's answer has."""
        return [*dict.fromkeys([*filter(None, [self.prediction]), *self.probability.values()])]

    def check(self, names: list[str]) -> None:
        """Raise LabelsError if a column is not there or nothing was answered."""
        for name in (self.target, *self.answers):
            if name not in names:
                raise LabelsError(
                    f"The baseline has no column {name!r}; it has {', '.join(names[:20])}."
                )
        if not self.answers:
            raise LabelsError("Name the column with the model's prediction, or its probability.")
        if self.target in self.answers:
            raise LabelsError(f"The column {self.target!r} cannot be truth and answer in one.")


def texts(column: Any) -> Texts:
    """Return values as texts, numbers as they are written shortest: 1, 1.0 and 1e0 are the same class; None missing."""
    coded = flat(column).dictionary_encode()
    plain = [_plain(text) for text in coded.dictionary.to_pylist()]
    codes = coded.indices.fill_null(len(plain)).to_numpy(zero_copy_only=False)
    return np.array([*plain, None], dtype=object)[codes]


def is_number(column: Any) -> bool:
    """Tell whether a column of texts has numbers only, and more than two different ones."""
    found = values(column, strict=True)
    return found is not None and len(np.unique(found[np.isfinite(found)])) > 2


def _plain(text: str) -> str:
    try:
        return f"{float(text):.15g}"
    except ValueError:
        return text.strip()
