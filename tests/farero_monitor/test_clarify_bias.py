"""Bias metrics: by hand, against definitions written row by row, and what has no value."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from farero_monitor.clarify import bias
from farero_monitor.clarify.flip import flip_test

#: Counts [facet][label][predicted]: the others 100 (TN 40, FP 10, FN 10, TP 40), the group 50 (TN 25, FP 5, FN 10, TP 10).
BY_HAND = np.array([[[[40, 10], [10, 40]], [[25, 5], [10, 10]]]], float)
#: Worked out on paper from those counts.
VALUES = {
    "CI": 50 / 150,
    "DPL": 0.5 - 0.4,
    "KL": 0.5 * math.log(0.5 / 0.6) + 0.5 * math.log(0.5 / 0.4),
    "JS": (0.5 * math.log(0.5 / 0.55) + 0.5 * math.log(0.5 / 0.45)
           + 0.6 * math.log(0.6 / 0.55) + 0.4 * math.log(0.4 / 0.45)) / 2,
    "LP": math.sqrt(0.02),
    "TVD": 0.1,
    "KS": 0.1,
    "CDDL": 30 / 80 - 20 / 70,
    "DPPL": 0.5 - 0.3,
    "DI": 0.3 / 0.5,
    "DCA": 50 / 50 - 20 / 15,
    "DCR": 30 / 35 - 50 / 50,
    "RD": 40 / 50 - 10 / 20,
    "SD": 25 / 30 - 40 / 50,
    "DAR": 40 / 50 - 10 / 15,
    "DRR": 25 / 35 - 40 / 50,
    "AD": 0.8 - 0.7,
    "CDDPL": 35 / 85 - 15 / 65,
    "TE": 10 / 5 - 10 / 10,
    "GE": ((115 + 4 * 15) / 150 / (145 / 150) ** 2 - 1) / 2,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(bias.METRICS))
def test_a_metric_is_what_paper_and_pencil_say(name):
    assert float(bias.METRICS[name].compute(BY_HAND)) == pytest.approx(VALUES[name], abs=1e-12)


def _quotient(over, under):
    if under:
        return over / under
    return math.inf if over else math.nan


def _by_rows(rows):
    """Every metric by its definition, row by row; NaN where a rate is one of nobody. rows: (d, y, p, group)."""

    def n(d=None, y=None, p=None, group=None):
        asked = (d, y, p, group)
        return sum(
            all(a is None or a == v for a, v in zip(asked, row, strict=True)) for row in rows
        )

    def minus(one, other):
        return 0.0 if math.isinf(one) and one == other else one - other

    def share(side):
        return [_quotient(n(side, y=y), n(side)) for y in (0, 1)]

    def divergence(p, q):
        total = 0.0
        for one, other in zip(p, q, strict=True):
            if one:
                total += one * math.log(one / other) if other else math.inf
        return total

    def demographic(axis):
        if not n(**{axis: 0}) or not n(**{axis: 1}):
            return math.nan
        total = 0.0
        for group in {row[3] for row in rows}:
            parts = [
                n(d=1, group=group, **{axis: v}) / n(group=group, **{axis: v})
                if n(group=group, **{axis: v})
                else 0.0
                for v in (0, 1)
            ]
            total += n(group=group) * (parts[0] - parts[1])
        return total / len(rows)

    a, d = share(0), share(1)
    middle = [(one + other) / 2 for one, other in zip(a, d, strict=True)]
    gaps = [abs(one - other) for one, other in zip(a, d, strict=True)]
    accepted = [_quotient(n(side, p=1), n(side)) for side in (0, 1)]
    acceptance = [_quotient(n(side, y=1), n(side, p=1)) for side in (0, 1)]
    rejection = [_quotient(n(side, y=0), n(side, p=0)) for side in (0, 1)]
    recall = [_quotient(n(side, 1, 1), n(side, y=1)) for side in (0, 1)]
    specificity = [_quotient(n(side, 0, 0), n(side, y=0)) for side in (0, 1)]
    precision = [_quotient(n(side, 1, 1), n(side, p=1)) for side in (0, 1)]
    rejected = [_quotient(n(side, 0, 0), n(side, p=0)) for side in (0, 1)]
    accuracy = [_quotient(n(side, 0, 0) + n(side, 1, 1), n(side)) for side in (0, 1)]
    treated = [_quotient(n(side, 1, 0), n(side, 0, 1)) for side in (0, 1)]
    benefits = [p - y + 1 for _, y, p, _ in rows]
    mean = sum(benefits) / len(benefits)
    return {
        "CI": (n(0) - n(1)) / len(rows),
        "DPL": a[1] - d[1],
        "KL": divergence(a, d),
        "JS": (divergence(a, middle) + divergence(d, middle)) / 2,
        "LP": math.sqrt(sum(gap**2 for gap in gaps)),
        "TVD": sum(gaps) / 2,
        "KS": max(gaps),
        "CDDL": demographic("y"),
        "DPPL": accepted[0] - accepted[1],
        "DI": _quotient(accepted[1], accepted[0]),
        "DCA": minus(*acceptance),
        "DCR": minus(rejection[1], rejection[0]),
        "RD": recall[0] - recall[1],
        "SD": specificity[1] - specificity[0],
        "DAR": precision[0] - precision[1],
        "DRR": rejected[1] - rejected[0],
        "AD": accuracy[0] - accuracy[1],
        "CDDPL": demographic("p"),
        "TE": minus(treated[1], treated[0]),
        "GE": sum((b / mean) ** 2 - 1 for b in benefits) / (2 * len(rows)) if mean else math.nan,
    }


_ROW = st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 1), st.integers(0, 2))


@given(st.lists(_ROW, min_size=2, max_size=60))
def test_every_metric_agrees_with_its_definition_row_by_row(rows):
    rows = [(0, *rows[0][1:]), (1, *rows[1][1:]), *rows[2:]]
    facet, label, predicted, group = (np.array(column) for column in zip(*rows, strict=True))
    counts = bias.count(facet == 1, label == 1, predicted == 1, group)

    expected = _by_rows(rows)

    found = {name: float(metric.compute(counts)) for name, metric in bias.METRICS.items()}
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_many_samples_at_once_give_what_each_gives_alone():
    drawn = bias.resample(BY_HAND, 50, np.random.default_rng(1))

    for metric in bias.METRICS.values():
        alone = [float(metric.compute(sample)) for sample in drawn]
        assert metric.compute(drawn) == pytest.approx(alone, nan_ok=True)


def test_a_rate_of_nobody_has_no_value_and_says_why():
    nobody_positive = np.array([[[[40, 10], [10, 40]], [[25, 5], [0, 0]]]], float)

    found = bias.entry("RD", float(bias.METRICS["RD"].compute(nobody_positive)))

    assert found == {
        "name": "RD",
        "description": "Recall Difference (RD)",
        "value": None,
        "error": "A group has no positive labels.",
    }


def test_what_is_divided_by_zero_is_infinite_as_clarify_writes_it():
    never_accepted = np.array([[[[50, 0], [50, 0]], [[25, 5], [10, 10]]]], float)

    found = bias.entry("DI", float(bias.METRICS["DI"].compute(never_accepted)))

    assert found["value"] == "Infinity"


@pytest.mark.parametrize("others", [6, 200])
def test_the_flip_test_agrees_with_the_neighbours_of_scikit_learn(others):
    rng = np.random.default_rng(others)
    features = rng.normal(size=(others + 90, 4))
    facet = np.arange(others + 90) >= others
    predicted = features[:, 0] + 0.7 * facet + rng.normal(0, 0.3, others + 90) > 0.2
    judge = KNeighborsClassifier(5 if others > 10 else 1).fit(features[~facet], predicted[~facet])
    expected = judge.predict(features[facet])
    flips = (predicted[facet] & ~expected).sum() - (~predicted[facet] & expected).sum()

    assert flip_test(features, facet, predicted) == pytest.approx(flips / 90)
    assert flips > 0


def test_the_flip_test_of_a_group_alone_has_no_value():
    assert math.isnan(flip_test(np.ones((3, 1)), np.ones(3, bool), np.ones(3, bool)))
