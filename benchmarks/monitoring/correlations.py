"""False alarms and power of two tests for a changed correlation: products of values, and ranks as Farero has them.

    python benchmarks/monitoring/correlations.py [seeds]

Baseline of 20,000 rows, window of 500 and 5,000; two columns whose correlation (of the normal variables behind them)
goes from `then` to `now`. Where both are the same, what is flagged (p < 0.01) is a false alarm.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from farero_monitor.drift import pairs, special

SHAPES = {
    "normal": lambda g: g,
    "lognormal": np.exp,
    "cubed": lambda g: np.sign(g) * np.abs(g) ** 3,
}
ROWS = 20_000


def draw(rng, rows, shape, correlation):
    g = rng.normal(size=(rows, 2))
    g[:, 1] = correlation * g[:, 0] + math.sqrt(1 - correlation**2) * g[:, 1]
    return SHAPES[shape](g)


def products(now, then):
    """Return the p of Fisher's test on the product-moment correlations."""
    one, other = (math.atanh(np.corrcoef(rows.T)[0, 1]) for rows in (now, then))
    return special.normal_tail((one - other) / math.sqrt(1 / (len(now) - 3) + 1 / (len(then) - 3)))


def ranked(now, then):
    """Return the p of Farero's test."""
    one, other = (float(pairs.correlations(rows)[0, 1]) for rows in (now, then))
    return pairs.correlation_p(one, len(now), other, len(then))


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    print(f"{'shape':12}{'then':>6}{'now':>6}{'rows':>7}{'products':>10}{'ranks':>8}")
    for shape in SHAPES:
        for then, now in ((0.0, 0.0), (0.5, 0.5), (0.0, 0.2)):
            for rows in (500, 5000):
                flagged = [0, 0]
                for seed in range(seeds):
                    rng = np.random.default_rng([seed, rows])
                    reference, current = draw(rng, ROWS, shape, then), draw(rng, rows, shape, now)
                    flagged[0] += products(current, reference) < 0.01
                    flagged[1] += ranked(current, reference) < 0.01
                shares = "".join(
                    f"{count / seeds:{width}.3f}"
                    for count, width in zip(flagged, (10, 8), strict=True)
                )
                print(f"{shape:12}{then:6.1f}{now:6.1f}{rows:7}{shares}", flush=True)


if __name__ == "__main__":
    main()
