"""Attributions of a data set: how much each feature adds to each answer of a model, row by row and over all rows."""

from __future__ import annotations

import csv
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.clarify import kernel
from farero_monitor.clarify.config import ConfigError
from farero_monitor.clarify.rows import Rows
from farero_monitor.untyped import pa, pc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from farero_monitor.clarify.config import Shap, Value
    from farero_monitor.clarify.infinite import Array

log = logging.getLogger(__name__)

#: Rows that a model is asked for one explanation, at most; with more, a sample of the data set is explained.
MOST_ASKED = 2_000_000
#: Nearest to 0 and 1 that a probability counts, before its logit is taken.
_EDGE = 1e-7


@dataclass(frozen=True, slots=True)
class Explained:
    """Attributions and what they stand on."""

    features: list[str]
    #: Names of the model's outputs: `label0`, …, or the label headers.
    labels: list[str]
    #: Float64[rows, features, outputs]
    local: Array
    #: Answer without any feature: Float64[outputs]
    expected: Array
    #: How they were computed, in a few words.
    how: str
    #: The rows that stand for "nothing special"; None where the model's own trees say what is expected.
    baseline: Rows | None = None
    #: Rows of the data set, of which `local` may be a sample.
    rows: int = 0

    def section(self, shap: Shap) -> dict[str, Any]:
        """Return what stands under `explanations.kernel_shap`: a label's global values and expected value."""
        wanted = self._wanted(shap)
        together = aggregate(self.local, shap.agg_method)
        return {
            label: {
                "global_shap_values": {self.features[f]: float(together[f, at]) for f in wanted},
                "expected_value": float(self.expected[at]),
            }
            for at, label in enumerate(self.labels)
        }

    def write(self, folder: Path, shap: Shap) -> None:
        """Write `out.csv`, a column for each feature and label, and `baseline.csv` if it was not given."""
        folder.mkdir(parents=True, exist_ok=True)
        if shap.save_local_shap_values:
            wanted = self._wanted(shap)
            names = [f"{self.features[f]}_{label}" for label in self.labels for f in wanted]
            with (folder / "out.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(names)
                for row in self.local:
                    writer.writerow(row[wanted].T.ravel().tolist())
        if self.baseline is not None and shap.baseline is None:
            with (folder / "baseline.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(self.baseline.names)
                writer.writerows(zip(*self.baseline.table.to_pydict().values(), strict=True))

    def _wanted(self, shap: Shap) -> list[int]:
        if shap.features_to_explain is None:
            return list(range(len(self.features)))
        rows = Rows.of({name: [] for name in self.features})
        names = [rows.name(one, "features_to_explain") for one in shap.features_to_explain]
        return [self.features.index(name) for name in names]


def aggregate(local: Array, method: str) -> Array:
    """Return global values Float64[features, outputs]: mean |Φ|, median Φ or mean Φ² over the rows."""
    if method == "median":
        return np.median(local, axis=0)
    return (local**2).mean(axis=0) if method == "mean_sq" else np.abs(local).mean(axis=0)


def labels(outputs: int, headers: Sequence[Value] | None) -> list[str]:
    """Return the names of a model's outputs. Raises ConfigError if headers are too few or too many."""
    if not headers:
        return [f"label{at}" for at in range(outputs)]
    if len(headers) != outputs:
        raise ConfigError(
            f"label_headers names {len(headers)} labels ({', '.join(map(str, headers))}), the model answers {outputs}."
        )
    return [str(name) for name in headers]


def by_kernel(  # noqa: PLR0913
    rows: Rows, ask: Callable[[Rows], Array], baseline: Rows, shap: Shap,
    headers: Sequence[Value] | None, *, most_asked: int = MOST_ASKED,
) -> Explained:  # fmt: skip
    """Explain a model that is only asked. rows, baseline: the features; ask: rows -> Float64[rows, outputs]."""
    rng = np.random.default_rng(shap.seed or 0)
    features = rows.names
    called = labels(ask(baseline).shape[1], headers)  # a mistake shows before the work
    samples = shap.num_samples or kernel.default_samples(len(features))
    found = kernel.coalitions(len(features), samples, rng)
    each = (len(found.members) + 1) * len(baseline)
    whole = len(rows)
    if whole * each > most_asked:
        most = max(most_asked // each, 1)
        log.warning(
            "%d of %d rows are explained: each takes %d questions to the model (coalitions x baseline rows).",
            most, whole, each,
        )  # fmt: skip
        rows = rows.take(np.sort(rng.choice(whole, most, replace=False)))
    held = [pa.concat_arrays([rows.texts(name), baseline.texts(name)]) for name in features]

    def value(places: Array, members: Array) -> Array:
        own = np.repeat(places, len(baseline))
        other = np.tile(np.arange(len(baseline)) + len(rows), len(places))
        inside = np.repeat(members, len(baseline), axis=0)
        columns = [
            pc.take(column, pa.array(np.where(inside[:, at], own, other)))
            for at, column in enumerate(held)
        ]
        answers = ask(Rows(pa.table(columns, names=features)))
        mean = answers.reshape(len(places), len(baseline), -1).mean(axis=1)
        return logit(mean) if shap.use_logit else mean

    local, expected = kernel.explain(value, len(rows), found, each=len(baseline))
    how = f"Kernel SHAP, {len(found.members)} coalitions{' (all: exact)' if found.exact else ''}"
    return Explained(features, called, local, expected, how, baseline, whole)


def logit(share: Array) -> Array:
    """Return ln(p / (1 - p)), p kept off 0 and 1."""
    kept = np.clip(share, _EDGE, 1 - _EDGE)
    return np.log(kept / (1 - kept))
