"""What an estimate says: each metric with its band, beside the reference and the limits of what is usual."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from farero_monitor.drift.verdict import Finding, Severity, finding

State = Literal["same", "worse", "better"]
#: Half a band of 95 % in standard deviations, and what an alarm takes.
BAND, ALARM = 1.96, 3.0
_RISING = {"roc_auc", "accuracy", "precision", "recall", "f1"}
TITLES = {
    "roc_auc": "ROC AUC", "accuracy": "accuracy", "precision": "precision", "recall": "recall",
    "f1": "F1", "mae": "MAE", "rmse": "RMSE", "mse": "MSE",
}  # fmt: skip


@dataclass(slots=True)
class Figure:
    """One metric of a window."""

    #: The estimate, and the band in which the truth lies 95 times of 100 where the assumptions hold.
    value: float
    low: float
    high: float
    #: The same metric of the labelled baseline, and what windows of this size usually have.
    reference: float
    least: float
    most: float
    state: State


@dataclass(slots=True)
class Estimated:
    """The estimated quality of a window, or why there is none."""

    method: Literal["CBPE", "DLE"]
    problem: Literal["binary", "multiclass", "regression"]
    #: Rows the estimate is computed on, and rows of the window.
    rows: int
    window_rows: int
    figures: dict[str, Figure] = field(default_factory=dict[str, Figure])
    #: Names of the classes, and shares of all rows by true class (outer) and told class.
    classes: list[str] = field(default_factory=list[str])
    confusion_matrix: list[list[float]] = field(default_factory=list[list[float]])
    #: How the model's answers were turned into probabilities, or errors.
    way: str = ""
    #: Why nothing could be estimated; empty if it could.
    reason: str = ""

    def content(self) -> dict[str, Any]:
        """Return it as it is written to `drift_report.json`."""
        return asdict(self)

    @property
    def worse(self) -> list[str]:
        """The metrics that are worse than usual."""
        return [name for name, figure in self.figures.items() if figure.state == "worse"]

    @property
    def better(self) -> list[str]:
        """The metrics that are better than usual."""
        return [name for name, figure in self.figures.items() if figure.state == "better"]

    def findings(self) -> list[Finding]:
        """Return what there is to tell: quality that fell is critical, quality that seems to have risen a notice."""
        made: list[Finding] = []
        found: list[tuple[Severity, list[str]]] = [
            ("critical", self.worse),
            ("notice", self.better),
        ]
        for severity, names in found:
            if names:
                what = ", ".join(self._words(name) for name in names)
                made.append(finding(severity, "estimated quality", "", "estimated", what=what))
        return made

    def _words(self, name: str) -> str:
        found = self.figures[name]
        band = f"{found.low:.4g} to {found.high:.4g}"
        return f"{TITLES[name]} {found.reference:.4g} → {found.value:.4g} ({band})"


def figure(
    name: str, value: float, reference: float, *, error: float, sampling: float
) -> Figure | None:
    """Return a metric of a window; None if it has no meaning there or had none in the baseline.

    error: standard deviation of truth less estimate. sampling: that of the metric of windows of this size, and of the
    baseline's own, together.
    """
    if not all(math.isfinite(part) for part in (value, reference, error, sampling)):
        return None
    top = 1.0 if name in _RISING else math.inf
    least, most = reference - ALARM * sampling, reference + ALARM * sampling
    state: State = "same"
    if value < least:
        state = "worse" if name in _RISING else "better"
    elif value > most:
        state = "better" if name in _RISING else "worse"
    return Figure(
        value, max(0.0, value - BAND * error), min(top, value + BAND * error),
        reference, max(0.0, least), min(top, most), state,
    )  # fmt: skip
