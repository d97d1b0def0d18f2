"""What Farero and others say of columns and of whole windows, for benchmarks of the drift verdict."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
from farero_monitor.aws import constraints, statistics
from farero_monitor.drift import categorical, distances, numeric, special, together, verdict
from farero_monitor.profile.dataset import Profile
from farero_monitor.profile.sample import alike
from farero_monitor.profile.sketch import Quantiles

RULES = (
    "Farero", "SageMaker", "KS / chi2 p < 0.05", "Evidently's default", "PSI > 0.2",
)  # fmt: skip


@dataclass(slots=True)
class Known:
    """A column of the baseline."""

    steps: Any
    counts: Any
    missing: int
    rows: int
    deviation: float

    @classmethod
    def of(cls, values):
        """Sketch a column of numbers, count one of codes."""
        if values.dtype.kind == "f":
            there = values[np.isfinite(values)]
            return cls(steps(there), None, len(values) - len(there), len(values), there.std())
        return cls(None, counts(values), 0, len(values), 0.0)


def steps(values):
    """Return the steps of a sketch of values."""
    sketch = Quantiles()
    sketch.update(np.array(values))
    return sketch.steps()


def counts(values):
    """Return how often each value is there."""
    found, number = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), number.tolist(), strict=True))


def column(values, reference):
    """Return what all rules say of one column: {rule: p or flag}."""
    if reference.steps is not None:
        made, lost = _numbers(values, reference)
    else:
        made, lost = _texts(values, reference), 0
    then, now = reference.missing / reference.rows, lost / len(values)
    p = verdict.proportions_p(lost, len(values), reference.missing, reference.rows)
    made["SageMaker"] |= now > then
    made["gone"] = now - then >= verdict.COMPLETENESS_EFFECT and p < verdict.COMPLETENESS_LEVEL
    return made


def _numbers(values, reference):
    there = values[np.isfinite(values)]
    now, then = steps(there), reference.steps
    found = numeric.compare(now, then)
    gap, n, m = distances.ecdf_gap(now, then), now.count, then.count
    edges = np.unique(then.quantile(np.arange(1, 10) / 10))
    p, q = numeric.shares(now, edges), numeric.shares(then, edges)
    normed = distances.wasserstein(now, then) / max(reference.deviation, 0.001)
    return {
        "p": found.p, "matters": bool(found.matters(numeric.MIN_EFFECT)), "enough": found.enough,
        "SageMaker": distances.robust(gap, n, m) > 0.1,
        "KS / chi2 p < 0.05": numeric.ks_p(gap, n, m) < 0.05,
        "Evidently's default": normed > 0.1,
        "PSI > 0.2": distances.stability_index(p, q) > 0.2,
    }, len(values) - len(there)  # fmt: skip


def _texts(values, reference):
    now, then, n, m = counts(values), reference.counts, len(values), reference.rows
    found = categorical.compare(now, then, rows=n, rows_reference=m)
    names = [*{**now, **then}]
    p = np.array([now.get(name, 0) / n for name in names])
    q = np.array([then.get(name, 0) / m for name in names])
    return {
        "p": found.p, "matters": bool(found.matters(categorical.MIN_EFFECT)), "enough": found.enough,
        "SageMaker": distances.robust(distances.share_gap(now, then), n, m) > 0.1,
        "KS / chi2 p < 0.05": categorical.homogeneity(now, then, n, m) < 0.05,
        "Evidently's default": distances.jensen_shannon(p, q) > 0.1,
        "PSI > 0.2": distances.stability_index(p, q) > 0.2,
    }  # fmt: skip


def flags(columns):
    """Return for each rule which columns it flags."""
    tested = [i for i, found in enumerate(columns) if found["enough"]]
    adjusted = dict(
        zip(tested, special.benjamini_hochberg([columns[i]["p"] for i in tested]), strict=True)
    )
    said = {
        "Farero": [
            (adjusted.get(i, 1.0) < verdict.LEVEL and found["matters"]) or found["gone"]
            for i, found in enumerate(columns)
        ]
    }
    return said | {rule: [bool(found[rule]) for found in columns] for rule in RULES[1:]}


def profile(table):
    """Return the profile of a table."""
    made = Profile()
    made.update(table.combine_chunks())
    return made


def baseline(table):
    """Return what a run reads of a baseline: constraints, references, rows."""
    made = profile(table)
    told = msgspec.json.decode(msgspec.json.encode(statistics.statistics(made)))
    suggested = constraints.Constraints(
        msgspec.json.decode(msgspec.json.encode(constraints.suggest(made)))
    )
    return suggested, statistics.references(told), made.sample


def kinds(table, base):
    """Return the kinds of findings in a window, as a run tells them."""
    found = profile(table)
    suggested, references, sample = base
    samples = alike(found.sample, sample)
    judged = verdict.judge(found, suggested, references, samples)
    made = {finding.kind for finding in judged.findings}
    names = [column.name for column in judged.columns if column.state != "not enough data"]
    told = together.compare(*samples, names)
    if told is not None and told.changed and not judged.drifted and not judged.pairs:
        made.add("together")
    return made
