"""False alarms and power of the drift verdict, beside the rules of others on the same data.

    python benchmarks/monitoring/power.py [seeds]

Each seed draws a baseline of 20,000 rows with 20 columns and a window of 500, 5,000 and 50,000 rows from the same
distributions; then one column is changed. "false alarms": share of undrifted windows in which any column is flagged.
Everything else: share of windows in which the changed column is flagged. Farero's figures come from sketches, as in
a run, not from the values. Two generators: `mixed` (8 normal, 4 lognormal, 2 Poisson columns, 6 of texts with 5 to
1,000 values) and `awkward` (gamma, t with 3 degrees, uniform, rounded, half missing, two-peaked; the same texts).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
from farero_monitor.drift import categorical, distances, numeric, special
from farero_monitor.profile.sketch import Quantiles

REFERENCE = 20_000
CARDINALITIES = (5, 20, 50, 200, 500, 1000)
SHARES = [np.cumsum(w / w.sum()) for w in (1 / np.arange(1, c + 1) for c in CARDINALITIES)]
NUMBERS = 14


def mixed(rng, n):
    return (
        [rng.normal(size=n) for _ in range(8)]
        + [np.exp(rng.normal(size=n)) for _ in range(4)]
        + [rng.poisson(5, size=n).astype(float) for _ in range(2)]
    )


def awkward(rng, n):
    peaks = [
        np.where(rng.random(n) < 0.5, rng.normal(-2, 1, n), rng.normal(2, 1, n)) for _ in range(2)
    ]
    half = [np.where(rng.random(n) < 0.5, np.nan, rng.normal(size=n)) for _ in range(2)]
    return (
        [rng.normal(size=n) for _ in range(1)]
        + [rng.gamma(2, size=n) for _ in range(3)]
        + [rng.standard_t(3, size=n) for _ in range(3)]
        + [rng.random(n) for _ in range(1)]
        + [np.exp(rng.normal(size=n))]
        + [rng.normal(size=n).round(1)]
        + peaks + half
    )  # fmt: skip


GENERATORS = {"mixed": mixed, "awkward": awkward}
CHANGES = {
    "mean +0.1 sd": (0, lambda x, _: x + 0.1),
    "mean +0.3 sd": (0, lambda x, _: x + 0.3),
    "variance x1.2": (0, lambda x, _: x * np.sqrt(1.2)),
    "2 % tails x5": (0, lambda x, rng: np.where(rng.random(len(x)) < 0.02, x * 5, x)),
    "lognormal +0.1": (8, lambda x, _: x * np.exp(0.1)),
    "1 % new value": (16, lambda x, rng: np.where(rng.random(len(x)) < 0.01, 9999, x)),
    "trivial +0.02 sd": (0, lambda x, _: x + 0.02),
}


def texts(rng, n):
    return [np.searchsorted(shares, rng.random(n)) for shares in SHARES]


def steps(values):
    values = values[np.isfinite(values)]
    sketch = Quantiles()
    sketch.update(values)
    return sketch.steps()


def counts(values):
    found, number = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), number.tolist(), strict=True))


def column(index, values, reference):
    """Return what all rules say of one column: {rule: p or flag}."""
    if index < NUMBERS:
        now = steps(values)
        found = numeric.compare(now, reference)
        gap, n, m = distances.ecdf_gap(now, reference), now.count, reference.count
        edges = np.unique(reference.quantile(np.arange(1, 10) / 10))
        p, q = numeric.shares(now, edges), numeric.shares(reference, edges)
        ks = numeric.ks_p(gap, n, m)
        matters = found.matters(numeric.MIN_EFFECT)
    else:
        now, n, m = counts(values), len(values), REFERENCE
        found = categorical.compare(now, reference, rows=n, rows_reference=m)
        gap = distances.share_gap(now, reference)
        names = [*{**now, **reference}]
        p = np.array([now.get(name, 0) / n for name in names])
        q = np.array([reference.get(name, 0) / m for name in names])
        ks = categorical.homogeneity(now, reference, n, m)
        matters = found.matters(categorical.MIN_EFFECT)
    return {
        "p": found.p, "matters": bool(matters),
        "SageMaker robust > 0.1": distances.robust(gap, n, m) > 0.1,
        "KS / chi2 p < 0.05": ks < 0.05,
        "PSI > 0.2": distances.stability_index(p, q) > 0.2,
        "JS > 0.1": distances.jensen_shannon(p, q) > 0.1,
    }  # fmt: skip


RULES = ("Farero", "SageMaker robust > 0.1", "KS / chi2 p < 0.05", "PSI > 0.2", "JS > 0.1")


def flags(columns):
    """Return for each rule which columns it flags."""
    adjusted = special.benjamini_hochberg([found["p"] for found in columns])
    said = {rule: [found[rule] for found in columns] for rule in RULES[1:]}
    said["Farero"] = [
        p < 0.01 and found["matters"] for p, found in zip(adjusted, columns, strict=True)
    ]
    return said


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    began = time.monotonic()
    for name, generate in GENERATORS.items():
        changes = (
            CHANGES if name == "mixed" else {k: v for k, v in CHANGES.items() if v[0] in {0, 8, 16}}
        )
        for n in (500, 5000, 50_000):
            hits = {rule: dict.fromkeys(("false alarms", *changes), 0) for rule in RULES}
            for seed in range(seeds):
                rng = np.random.default_rng([seed, n, len(name)])
                reference = [steps(v) for v in generate(rng, REFERENCE)]
                reference += [counts(v) for v in texts(rng, REFERENCE)]
                current = [*generate(rng, n), *texts(rng, n)]
                columns = [
                    column(i, v, r) for i, (v, r) in enumerate(zip(current, reference, strict=True))
                ]
                for rule, said in flags(columns).items():
                    hits[rule]["false alarms"] += any(said)
                for change, (index, make) in changes.items():
                    other = [*columns]
                    other[index] = column(index, make(current[index], rng), reference[index])
                    for rule, said in flags(other).items():
                        hits[rule][change] += said[index]
            print(f"\n{name}, n = {n:,}, {seeds} seeds")
            print(f"{'rule':24}" + "".join(f"{key:>17}" for key in hits["Farero"]))
            for rule in RULES:
                print(
                    f"{rule:24}"
                    + "".join(f"{value / seeds:17.3f}" for value in hits[rule].values()),
                    flush=True,
                )
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
