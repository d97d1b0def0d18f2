"""The reference that estimates are made from: learned once from a labelled baseline, one small file beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from farero_monitor.estimate import binning, classes, numbers
from farero_monitor.estimate.binning import Cut, flat, table_bins
from farero_monitor.estimate.classes import Classes
from farero_monitor.estimate.figures import Estimated
from farero_monitor.estimate.labelled import Labelled, is_number, texts
from farero_monitor.estimate.numbers import Numbers

if TYPE_CHECKING:
    from collections.abc import Collection

    from farero_monitor.profile.sketch import Floats

#: Changes when a written reference can no longer be read by the code before it.
FORMAT = 1


@dataclass(slots=True)
class Estimator:
    """What is kept of a labelled baseline."""

    target: str
    cuts: list[Cut]
    model: Classes | Numbers

    def estimate(self, table: Any, window_rows: int, answers: Collection[str] = ()) -> Estimated:
        """Return the estimated quality of a window. table: a uniform sample of its rows, as texts.

        answers: the columns that captured answers filled, where that is known; where they are not those of the
        reference, every column may stand under the name of another one, and nothing is estimated.
        """
        made = self.model.estimate(table, table_bins(table, self.cuts), window_rows)
        if answers and (why := self._other_answers(answers)):
            return Estimated(made.method, made.problem, 0, window_rows, way=made.way, reason=why)
        return made

    def _other_answers(self, answers: Collection[str]) -> str:
        """Say how captured answers differ from the reference's; nothing if they do not."""
        wanted, own = self.model.needed, self._answers()
        lacking = [name for name in wanted if name not in answers]
        # by position an answer with a value more goes on into the features
        order = [*own, *(cut.name for cut in self.cuts if cut.name not in own)]
        over = len(answers) > len(own) and {*order[: len(answers)]} == {*answers}
        if not lacking and not over:
            return ""
        told = ", ".join(sorted(answers)) if lacking else f"{len(answers)} values"
        return (
            f"The captured answers are {told}, but the baseline's are {', '.join(own)}: name every value "
            "that the endpoint answers, in its order (--prediction, --probability), and no other."
        )

    def _answers(self) -> list[str]:
        return [*dict.fromkeys([*filter(None, [self.model.prediction]), *self.model.needed])]

    def to_bytes(self) -> bytes:
        """Return the reference as MessagePack."""
        kind = "classes" if isinstance(self.model, Classes) else "numbers"
        return msgspec.msgpack.encode({
            "format": FORMAT, "target": self.target, "kind": kind, "model": self.model.to_state(),
            "cuts": [[cut.name, cut.ends, cut.texts, cut.others] for cut in self.cuts],
        })  # fmt: skip

    @classmethod
    def from_bytes(cls, data: bytes) -> Estimator:
        """Read what `to_bytes` wrote; raises ValueError if it is no such file of this format."""
        try:
            state: dict[str, Any] = msgspec.msgpack.decode(data)
            if state["format"] != FORMAT:
                raise ValueError(
                    f"labelled reference of format {state['format']}; this is {FORMAT}"
                )
            kind = Classes if state["kind"] == "classes" else Numbers
            cuts = [Cut(*cut) for cut in state["cuts"]]
            return cls(state["target"], cuts, kind.from_state(state["model"]))
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise ValueError(f"not a labelled reference: {error}") from error


def learn(table: Any, labelled: Labelled) -> Estimator:
    """Learn from labelled rows, a table of texts; raises LabelsError."""
    labelled.check(table.column_names)
    if not labelled.probability and not is_number(table.column(labelled.target)):
        # a score of two classes, as XGBoost's binary:logistic answers
        labelled = Labelled(labelled.target, "", {"": labelled.prediction})
    # the answer is a feature, too: what is learned of the others must leave rows of one score as often positive
    told = {labelled.prediction} if labelled.probability else set[str]()
    features = [name for name in table.column_names if name not in {labelled.target, *told}]
    towards = _towards(table, labelled)
    cuts = [binning.cut(name, table.column(name), towards) for name in features]
    bins = table_bins(table, cuts)
    work = classes.learn if labelled.probability else numbers.learn
    return Estimator(labelled.target, cuts, work(table, bins, labelled))


def _towards(table: Any, labelled: Labelled) -> Floats:
    """Return what values of text columns are ordered by: the size of the error, or the first class."""
    if not labelled.probability:
        truth, told = (
            binning.values(flat(table.column(name)), strict=False)
            for name in (labelled.target, labelled.prediction)
        )
        return np.nan_to_num(np.abs(truth - told))
    labels = texts(table.column(labelled.target)).astype(str)
    return (labels == max(labels.tolist())).astype(np.float64)
