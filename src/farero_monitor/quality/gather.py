"""From batches of texts to a tally: numbers and labels told apart, and everything that is not used counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.errors import AnalysisError
from farero_monitor.profile.dataset import Unread
from farero_monitor.quality import columns, tallies
from farero_monitor.quality.sources import LISTED, batches, chance_roles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from farero_monitor.quality.columns import Batch, Flags
    from farero_monitor.quality.sources import Attributes, Source

#: Share of rows that may be unreadable before a run counts as failed.
UNREAD_LIMIT = 0.1
#: Rows from which on predictions that share no class with the labels are a mistake, and not a bad model.
LEAST_TO_TELL = 50


class QualityError(AnalysisError):
    """The metrics cannot be computed from this data; the text says why and where."""


@dataclass(slots=True)
class Gathering:
    """Labelled predictions as a tally, and what was left out."""

    tally: tallies.Regression | tallies.Binary | tallies.Multiclass
    #: Rows read, with and without everything that is needed.
    rows: int = 0
    #: Rows left out because something is missing in them, by role.
    missing: dict[str, int] = field(default_factory=dict[str, int])
    unread: Unread = field(default_factory=Unread)
    #: The negative and the positive label of a binary problem.
    names: tuple[str, str] = ("0", "1")


def gather(source: Source, attributes: Attributes) -> Gathering:
    """Read a labelled data set.

    Raises NoDataError, AttributeMissingError, ScriptError, and QualityError if too much is unreadable, nothing is
    left, or labels do not fit the problem.
    """
    _check(attributes)
    reader: _Numbers | _Two | _Many
    if attributes.problem == "Regression":
        reader = _Numbers()
    elif attributes.problem == "BinaryClassification":
        reader = _Two(attributes)
    else:
        reader = _Many(attributes)
    made = Gathering(reader.tally)
    for batch in batches(source, attributes, made.unread):
        made.rows += len(batch)
        for role, where in reader.add(batch, made.unread).items():
            made.missing[role] = made.missing.get(role, 0) + int(where.sum())
    _judge(made, source)
    if isinstance(reader, _Two):
        made.names = reader.finish()
    elif isinstance(reader, _Many):
        reader.check()
    return made


def _check(attributes: Attributes) -> None:
    classes = attributes.problem != "Regression"
    if not attributes.inference and not (classes and attributes.probability):
        one = attributes.problem == "BinaryClassification"
        what = "the probability" if one else "the probabilities of all classes"
        also = f" (or {what}: probability_attribute)" if classes else ""
        raise QualityError(
            f"Nothing says which column is the prediction: inference_attribute{also}."
        )
    if not 0 <= attributes.threshold <= 1:
        raise QualityError(f"The probability threshold {attributes.threshold:g} is outside 0 to 1.")


def _judge(made: Gathering, source: Source) -> None:
    bad, whole = made.unread, made.tally.rows + made.unread.count
    if bad.count > UNREAD_LIMIT * whole:
        file, place, reason = bad.places[0]
        raise QualityError(
            f"{bad.count:,} of {whole:,} rows cannot be used; the first is {file}, {place}: {reason}."
        )
    if not made.tally.rows:
        told = ", ".join(
            f"{count:,} without {role}" for role, count in made.missing.items() if count
        )
        raise QualityError(
            f"{source.path} has no row with label and prediction{f' ({told})' if told else ''}."
        )


class _Numbers:
    """Rows of a regression."""

    def __init__(self) -> None:
        self.tally = tallies.Regression()

    def add(self, batch: Batch, unread: Unread) -> dict[str, Flags]:
        """Add rows; return where what is missing."""
        held = batch.columns
        label, no_label = columns.numbers(held["label"], batch, "the label", unread)
        said, not_said = columns.numbers(held["prediction"], batch, "the prediction", unread)
        usable = ~(np.isnan(label) | np.isnan(said))
        self.tally.update(label[usable], said[usable])
        return {"label": no_label, "prediction": not_said}


class _Many:
    """Rows of a multiclass problem."""

    def __init__(self, attributes: Attributes) -> None:
        self.tally = tallies.Multiclass()
        self._chances = attributes.chances
        if len(self._chances) == 1 and "" not in self._chances:
            raise QualityError(
                f"'{attributes.probability}' is the probability of one class; name those of all of them, as 0-2."
            )
        #: Classes in the order of their probabilities; of lists they are known with the first one.
        self._classes = [
            columns.label(name, logical=False) or name for name in self._chances if name
        ]

    def add(self, batch: Batch, unread: Unread) -> dict[str, Flags]:
        """Add rows; return where what is missing. Raises QualityError for too many labels."""
        label = columns.labels(batch.columns["label"], logical=False)
        absent = {"label": _none(label)}
        if self._chances:
            said, absent["probability"] = self._likeliest(batch, unread)
        else:
            said = columns.labels(batch.columns["prediction"], logical=False)
            absent["prediction"] = _none(said)
        usable = ~(absent["label"] | _none(said))
        if usable.any():
            self.tally.update(label[usable].astype(str), said[usable].astype(str))
        if len(names := self.tally.names) > tallies.LABELS:
            raise QualityError(
                f"There are more than {tallies.LABELS:,} different labels ({', '.join(names[:3])}, …). "
                "Is it a Regression?"
            )
        return absent

    def _likeliest(self, batch: Batch, unread: Unread) -> tuple[NDArray[Any], Flags]:
        """Return the class with the highest probability, None where it cannot be known, and where one is missing."""
        roles = list(chance_roles(self._chances))
        if roles == [LISTED]:
            scores, absent = columns.lists(batch.columns[LISTED], batch, unread)
            known = [str(index) for index in range(scores.shape[1])]
            self._classes = max(self._classes, known, key=len)
        else:
            held = [columns.probabilities(batch.columns[role], batch, unread) for role in roles]
            scores = np.column_stack([one for one, _ in held])
            absent = np.any([missing for _, missing in held], axis=0)
        there = np.isfinite(scores).all(axis=1)
        names = np.array(self._classes, object)
        made = np.full(len(scores), None, object)
        made[there] = names[scores[there].argmax(axis=1)]
        return made, absent

    def check(self) -> None:
        """Raise QualityError if predictions and labels are not of the same kind, which no share would show."""
        labels = {label for label, _ in self.tally.counts}
        said = {told for _, told in self.tally.counts}
        if self._chances:
            known = {*self._classes}
            strange = sum(n for (label, _), n in self.tally.counts.items() if label not in known)
            if strange > UNREAD_LIMIT * self.tally.rows:
                raise QualityError(
                    f"{strange:,} of {self.tally.rows:,} labels ({_list(labels - known)}) are of no class that has a "
                    f"probability ({_list(known)}). Say which one is whose, as {min(labels)}=0,…"
                )
        elif (
            not labels & said
            and all(_is_share(name) for name in said - {"0", "1"})
            and said - {"0", "1"}
        ):
            raise QualityError(
                f"The predictions ({_list(said)}) are none of the labels ({_list(labels)}). Are they probabilities? "
                "Then name those of all classes as probability_attribute (--probability), as 0-2."
            )
        elif (
            not labels & said
            and min(len(labels), len(said)) > 1
            and self.tally.rows >= LEAST_TO_TELL
        ):
            raise QualityError(
                f"None of the predictions ({_list(said)}) is one of the labels ({_list(labels)})."
            )


class _Two:
    """Rows of a binary problem; which label is the positive one may show late."""

    def __init__(self, attributes: Attributes) -> None:
        self.tally = tallies.Binary()
        self._attributes = attributes
        self._positive = columns.label(attributes.positive, logical=True) or ""
        #: Label → code, in order of appearance.
        self._codes: dict[str, int] = {}
        self._labels: set[str] = set()
        self._said: set[str] = set()

    def add(self, batch: Batch, unread: Unread) -> dict[str, Flags]:
        """Add rows; return where what is missing. Raises QualityError for a third label."""
        held = batch.columns
        label = columns.labels(held["label"], logical=True)
        absent = {"label": _none(label)}
        scores = said = None
        usable = ~absent["label"]
        if "probability" in held:
            scores, absent["probability"] = columns.probabilities(
                held["probability"], batch, unread
            )
            usable &= ~np.isnan(scores)
        if "prediction" in held:
            said = columns.labels(held["prediction"], logical=True)
            absent["prediction"] = _none(said)
            usable &= ~absent["prediction"]
        kept = None if scores is None else scores[usable]
        codes = self._code(label[usable], self._labels, batch)
        if said is not None:
            answers = self._code(said[usable], self._said, batch)
        else:
            assert kept is not None
            answers = (kept > self._attributes.threshold).astype(np.int64)
        if len(codes):
            self.tally.update(codes, answers, kept)
        return absent

    def _code(self, names: NDArray[Any], seen: set[str], batch: Batch) -> NDArray[np.int64]:
        unique, place = np.unique(names.astype(str), return_inverse=True)
        seen.update(unique.tolist())
        for name in unique.tolist():
            self._codes.setdefault(name, len(self._codes))
        if len(self._codes) > 2 or (self._positive and len({*self._codes, self._positive}) > 2):
            raise QualityError(self._third(batch))
        return np.array([self._codes[name] for name in unique.tolist()], np.int64)[place.ravel()]

    def _third(self, batch: Batch) -> str:
        known = f" with '{self._positive}' as the positive label" if self._positive else ""
        told = (
            f"{batch.file}: BinaryClassification takes two labels{known}, but the labels are "
            f"{_list(self._labels)}"
            + (f" and the predictions {_list(self._said)}" if self._said else "")
        )
        if len(self._said) > 2 and all(_is_share(name) for name in self._said):
            return f"{told}. Are the predictions probabilities? Then name that column as probability_attribute."
        return f"{told}. Is it a MulticlassClassification?"

    def finish(self) -> tuple[str, str]:
        """Turn codes into 0 and 1; return both labels' names."""
        found = set(self._codes)
        positive = self._positive or columns.positive_of(found)
        if positive is None:
            raise QualityError(
                f"Every label and prediction is '{next(iter(found))}': say which label is the positive one "
                "(positive_label)."
            )
        negative = next(iter(found - {positive}), _opposite(positive))
        if self._codes.get(positive, 1 - self._codes.get(negative, 0)) == 0:
            self.tally.turn(answers=bool(self._said))
        return negative, positive


def _opposite(positive: str) -> str:
    return next(
        (pair[0] for pair in columns.PAIRS if pair[1] == positive.lower()), f"not {positive}"
    )


def _none(values: NDArray[Any]) -> NDArray[np.bool_]:
    return np.array([value is None for value in values.tolist()], np.bool_)


def _list(names: set[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in sorted(names)[:4])
    return shown + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False
