"""How often a window without any change is told to be more biased than its baseline, and whether a change is found.

`python benchmarks/monitoring/bias.py [RUNS]`: 20 metrics of one group, a baseline of 5,000 rows, windows of 300 and
2,000.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np

from farero_monitor.clarify import bias, config, measures, violations
from farero_monitor.clarify.rows import Rows

CONFIG = config.parse(
    b'{"label": "paid", "label_values_or_threshold": [1], "group_variable": "age",'
    b' "facet": [{"name_or_index": "sex", "value_or_threshold": [0]}]}'
)
#: How much the model favours one group: of the baseline, and of a window that has changed.
SAME, CHANGED = 2.0, 8.0


def analysis(rows: int, gap: float, rng: np.random.Generator) -> tuple[dict[str, Any], Any]:
    """Return the analysis of so many people, and how sure its metrics are."""
    sex, age = rng.integers(0, 2, rows), rng.integers(0, 5, rows)
    income = rng.normal(50, 10, rows) + 3 * sex
    paid = (income + rng.normal(0, 8, rows) > 52).astype(int)
    said = income + gap * sex + rng.normal(0, 5, rows) > 52 + gap / 2
    table = {
        name: [str(value) for value in column]
        for name, column in (("sex", sex), ("age", age), ("paid", paid))
    }
    about = dataclasses.replace(measures.subject(Rows.of(table), CONFIG), predicted=said)
    before = measures.measure(about, bias.PRE, bias.names(bias.PRE))
    asked = [name for name in bias.names(bias.POST) if name != bias.FLIP]
    after = measures.measure(about, bias.POST, asked)
    sure = before.deviations | after.deviations
    content = {
        "pre_training_bias_metrics": before.section,
        "post_training_bias_metrics": after.section,
    }
    return content | violations.certainty(sure), sure


def main(runs: int) -> None:
    """Print a line for each size of window."""
    rng = np.random.default_rng(0)
    for rows in (300, 2_000):
        theirs = ours = found = 0
        for _ in range(runs):
            baseline, _ = analysis(5_000, SAME, rng)
            window, sure = analysis(rows, SAME, rng)
            theirs += bool(violations.bias(window, baseline))
            ours += any(one["beyond_chance"] for one in violations.judged(window, baseline, sure))
            window, sure = analysis(rows, CHANGED, rng)
            told = violations.judged(window, baseline, sure)
            found += any(one["beyond_chance"] for one in told if one["metric"] in {"DPPL", "DI"})
        print(
            f"{rows:,} rows: false alarms {theirs / runs:.3f} farther from fair (SageMaker's rule), "
            f"{ours / runs:.3f} beyond chance; a change found {found / runs:.2f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 150)
