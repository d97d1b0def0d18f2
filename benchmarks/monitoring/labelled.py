"""How often a model that did not change is called worse, and how often one that did: measured with labels.

`python benchmarks/monitoring/labelled.py [seeds] [first seed] [problem]`. A baseline of 5,000 labelled rows, windows of
1,000, for each problem type; each seed has its own baseline and its own windows, one of the same model and one of a
worse one.
SageMaker's rule is a threshold at the baseline's own value; Farero's is a difference beyond chance, of all metrics
together, that is large enough to matter.
"""

from __future__ import annotations

import sys

import numpy as np

from farero_monitor.quality import contents, tallies
from farero_monitor.quality.contents import Constraints
from farero_monitor.quality.gather import Gathering
from farero_monitor.quality.measure import measure

BASELINE, WINDOW = 5_000, 1_000


def regression(rng, rows, worse):
    """Return numbers with errors of deviation 1, or 1.15."""
    labels = rng.normal(10, 3, rows)
    made = tallies.Regression()
    made.update(labels, labels + rng.standard_t(5, rows) * (1.15 if worse else 1.0))
    return made


def binary(rng, rows, worse):
    """Return scores that are right, or of which one in four says nothing."""
    scores = 1 / (1 + np.exp(-rng.normal(-1.5, 2, rows)))
    truth = np.where(rng.random(rows) < (0.25 if worse else 0.0), rng.random(rows), scores)
    made = tallies.Binary()
    made.update((rng.random(rows) < truth).astype(int), (scores > 0.5).astype(int), scores)
    return made


def multiclass(rng, rows, worse):
    """Return four labels, of which 80 %, or 73 %, are told right."""
    labels = rng.choice(4, rows, p=[0.5, 0.3, 0.15, 0.05])
    said = np.where(rng.random(rows) < (0.73 if worse else 0.8), labels, (labels + 1) % 4)
    made = tallies.Multiclass()
    made.update(labels.astype(str), said.astype(str))
    return made


PROBLEMS = {
    "Regression": regression,
    "BinaryClassification": binary,
    "MulticlassClassification": multiclass,
}


def main() -> None:
    """Print a table."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    asked = sys.argv[3:] or [*PROBLEMS]
    print(
        f"| problem ({seeds} seeds) | called worse without a change: SageMaker / Farero | with one |"
    )
    print("|---|---|---|")
    for problem in asked:
        generate = PROBLEMS[problem]
        counts = np.zeros((2, 2), int)
        for seed in range(first, first + seeds):
            rng = np.random.default_rng([seed, 7])
            base = generate(rng, BASELINE, False)
            constraints = Constraints(contents.suggest(problem, Gathering(base), measure(base)))
            for changed in (0, 1):
                found = measure(generate(rng, WINDOW, bool(changed)))
                judged = contents.judge(constraints, found, WINDOW)
                counts[changed, 0] += bool(contents.violations(constraints, judged))
                counts[changed, 1] += any(one.state == "worse" for one in judged.values())
        (a, b), (c, d) = counts / seeds
        print(f"| {problem} | {a:.3f} / {b:.3f} | {c:.3f} / {d:.3f} |", flush=True)


if __name__ == "__main__":
    main()
