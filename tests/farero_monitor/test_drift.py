"""Every probability and distance against scipy, and the tests of a column against what they are for."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from farero_monitor.drift import categorical, distances, numeric, pairs, special
from farero_monitor.profile.sketch import Quantiles, Steps


@pytest.mark.parametrize("degrees", [1, 2, 5, 19, 100, 1000, 5000])
def test_chi_square_tail(degrees):
    for x in (0.0, 0.01, degrees / 2, degrees, degrees * 1.2 + 3, degrees * 2 + 40):
        assert special.chi_square_tail(x, degrees) == pytest.approx(
            stats.chi2.sf(x, degrees), rel=1e-8, abs=1e-290
        )


def test_kolmogorov_and_normal_tails():
    for x in (0.01, 0.2, 0.4, 0.49, 0.51, 0.8, 1.2, 2.0, 4.0):
        assert special.kolmogorov_tail(x) == pytest.approx(
            stats.kstwobign.sf(x), rel=1e-9, abs=1e-15
        )
        assert special.normal_tail(x) == pytest.approx(2 * stats.norm.sf(x), rel=1e-12)
        assert special.normal_tail(-x) == special.normal_tail(x)


@pytest.mark.parametrize(("n", "share"), [(10, 0.3), (5000, 0.001), (50_000, 0.01), (7, 0.99)])
def test_binomial_tail(n, share):
    for k in (0, 1, int(n * share), int(n * share) + 1, min(n, int(n * share) + 20), n):
        assert special.binomial_tail(k, n, share) == pytest.approx(
            stats.binom.sf(k - 1, n, share), rel=1e-8, abs=1e-300
        )
    assert special.binomial_tail(3, n, 0.0) == 0.0
    assert special.binomial_tail(3, n, 1.0) == 1.0


def test_cauchy_combination_is_scipys_but_for_the_cap():
    rng = np.random.default_rng(1)
    for _ in range(50):
        values = rng.random(5) * 0.98
        expected = stats.cauchy.sf(np.mean(np.tan((0.5 - values) * np.pi)))
        assert special.cauchy_combination(values.tolist()) == pytest.approx(expected, rel=1e-8)
    assert special.cauchy_combination([1e-300, 0.5]) == pytest.approx(2e-300)
    # without the cap a p of 1 would cancel everything
    assert special.cauchy_combination([1.0, 1e-8]) < 1e-6
    assert special.cauchy_combination([]) == 1.0


def test_benjamini_hochberg():
    values = np.random.default_rng(2).random(40) ** 3
    assert special.benjamini_hochberg(values.tolist()) == pytest.approx(
        stats.false_discovery_control(values)
    )


def test_distances_of_numbers():
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=700), np.round(rng.normal(0.2, 1.3, size=900), 1)
    a, b = Steps.of_values(one), Steps.of_values(other)
    assert distances.ecdf_gap(a, b) == pytest.approx(stats.ks_2samp(one, other).statistic)
    assert distances.wasserstein(a, b) == pytest.approx(stats.wasserstein_distance(one, other))
    assert distances.robust(0.3, 100, 10_000) == pytest.approx(
        0.3 - 1.8 * math.sqrt(10_100 / 1_000_000)
    )
    assert distances.robust(0.1, 60, 10_000) == 0.0
    p, q = np.array([0.2, 0.3, 0.5, 0.0]), np.array([0.1, 0.3, 0.3, 0.3])
    assert distances.jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q, base=2))
    assert distances.stability_index(p, p) == 0.0
    assert distances.stability_index(p, q) == pytest.approx(distances.stability_index(q, p))


def test_the_gap_of_sketches_is_that_of_values():
    rng = np.random.default_rng(4)
    one, other = rng.normal(size=200_000), rng.normal(0.05, 1, size=300_000)
    sketches = []
    for values in (one, other):
        sketch = Quantiles()
        sketch.update(values)
        sketches.append(sketch.steps())
    assert distances.ecdf_gap(*sketches) == pytest.approx(
        stats.ks_2samp(one, other).statistic, abs=0.002
    )


def test_ks_p_is_scipys():
    rng = np.random.default_rng(9)
    for shift, n, m in ((0.1, 500, 2000), (0.02, 5000, 9000), (0.2, 200, 300)):
        one, other = rng.normal(shift, 1, size=n), rng.normal(size=m)
        expected = stats.ks_2samp(one, other, method="exact")
        assert numeric.ks_p(expected.statistic, n, m) == pytest.approx(expected.pvalue, rel=0.05)


def test_homogeneity_is_the_chi_square_of_the_table():
    ours, theirs = {"a": 60, "b": 40, "c": 20}, {"a": 500, "b": 450, "c": 300}
    table = np.array([[60, 40, 20], [500, 450, 300]])
    expected = stats.chi2_contingency(table, correction=False).pvalue
    assert categorical.homogeneity(ours, theirs, 120, 1250) == pytest.approx(expected)


def test_deequs_chi_square():
    ours, theirs = {"a": 60, "b": 40, "new": 7}, {"a": 500, "b": 500}
    statistic, p = distances.deequ_chi_square(ours, theirs)
    expected = stats.chisquare([60, 40], [50, 50])
    assert (statistic, p) == pytest.approx((expected.statistic, expected.pvalue))
    assert distances.deequ_chi_square({"a": 3}, {"a": 500, "b": 1}) is None
    assert distances.share_gap({"a": 1}, {"b": 1}) == 1.0


def test_ranks_and_correlations():
    rng = np.random.default_rng(5)
    rows = np.column_stack([rng.normal(size=500), rng.integers(0, 5, 500), np.zeros(500)])
    rows[:, 1] += rows[:, 0] > 0
    assert pairs.ranks(rows[:, 1]) == pytest.approx(stats.rankdata(rows[:, 1]))
    found = pairs.correlations(rows)
    assert found[0, 1] == pytest.approx(stats.spearmanr(rows[:, 0], rows[:, 1]).statistic)
    assert found[0, 2] == 0.0


def test_the_p_of_undrifted_columns_is_uniform_enough():
    small = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        one, other = Steps.of_values(rng.normal(size=1000)), Steps.of_values(rng.normal(size=5000))
        small += numeric.compare(one, other, exact=True).p < 0.05
    assert 3 <= small <= 32  # 15 expected


@pytest.mark.parametrize(
    ("change", "effect"),
    [
        (lambda x, _: x + 0.15, "shift"),
        (lambda x, _: x * 1.2, "spread"),
        (lambda x, rng: np.where(rng.random(len(x)) < 0.03, x * 6, x), "outside"),
        (lambda x, rng: np.where(rng.random(len(x)) < 0.5, x + 1, x - 1), "gap"),
    ],
)
def test_each_kind_of_change_is_found_and_named(change, effect):
    rng = np.random.default_rng(6)
    reference, current = Steps.of_values(rng.normal(size=20_000)), rng.normal(size=5000)
    found = numeric.compare(Steps.of_values(change(current, rng)), reference, exact=True)
    assert found.p < 1e-4
    assert effect in found.matters(numeric.MIN_EFFECT)


def test_little_data_says_nothing():
    few = Steps.of_values(np.arange(150.0))
    found = numeric.compare(few, Steps.of_values(np.arange(5000.0)))
    assert (found.enough, found.p) == (False, 1.0)
    assert not categorical.compare({"a": 10}, {"a": 5000}, rows=10, rows_reference=5000).enough


def test_a_constant_column_that_gets_other_values():
    reference = Steps.of_values(np.zeros(10_000))
    same = numeric.compare(Steps.of_values(np.zeros(1000)), reference, exact=True)
    assert (same.p, same.matters(numeric.MIN_EFFECT)) == (1.0, [])
    other = np.zeros(1000)
    other[:50] = 1
    found = numeric.compare(Steps.of_values(other), reference, exact=True)
    assert found.p < 1e-6
    assert found.matters(numeric.MIN_EFFECT) == ["gap"]


def test_a_value_never_seen_is_found_though_it_is_rare():
    reference = {f"v{number}": 1000 for number in range(20)}
    current = {f"v{number}": 245 for number in range(20)} | {"new": 60}
    found = categorical.compare(current, reference, rows=4960, rows_reference=20_000)
    assert found.p < 1e-6
    assert found.matters(categorical.MIN_EFFECT) == ["new"]


def test_rare_values_are_no_new_ones():
    rng, flagged = np.random.default_rng(7), 0
    weights = 1 / np.arange(1, 5001)
    weights /= weights.sum()
    for _ in range(40):
        reference, current = (
            dict(
                zip(
                    *map(
                        np.ndarray.tolist,
                        np.unique(rng.choice(5000, size=n, p=weights), return_counts=True),
                    ),
                    strict=True,
                )
            )
            for n in (20_000, 5000)
        )
        found = categorical.compare(current, reference, rows=5000, rows_reference=20_000)
        flagged += found.p < 0.01
    assert flagged <= 3


def test_what_could_have_been_found_is_found_19_times_of_20():
    rng, found = np.random.default_rng(8), 0
    shift = numeric.detectable(1000, 5000, 1)
    for _ in range(100):
        one, other = rng.normal(shift, 1, size=1000), rng.normal(size=5000)
        found += stats.ttest_ind(one, other).pvalue < 0.01
    assert found >= 88


def test_small_windows_of_skewed_and_rare_values_raise_no_alarm():
    rng = np.random.default_rng(11)
    flags = Steps.of_values((rng.random(20_000) < 0.02).astype(float))
    prices = Steps.of_values(np.exp(rng.normal(size=20_000)))

    p = [
        numeric.compare(Steps.of_values(values), reference, exact=True).p
        for _ in range(600)
        for values, reference in (
            ((rng.random(500) < 0.02).astype(float), flags),
            (np.exp(rng.normal(size=500)), prices),
        )
    ]

    assert min(p) > 1e-4  # a window without the few large values seemed to have no deviation
