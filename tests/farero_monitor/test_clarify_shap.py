"""Attributions: kernel SHAP against Shapley values by definition, baselines, aggregation, XGBoost's own."""

from itertools import permutations

import numpy as np
import pytest
import xgboost as xgb
from hypothesis import given, settings
from hypothesis import strategies as st

from farero_monitor.clarify import kernel, reference, trees
from farero_monitor.clarify.attributions import aggregate, by_kernel
from farero_monitor.clarify.config import ConfigError, Shap
from farero_monitor.clarify.rows import Rows


def _numbers(rows):
    return np.column_stack([rows.numbers(name) for name in rows.names])


def _rows(array):
    return Rows.of(
        {f"f{at}": [repr(float(v)) for v in column] for at, column in enumerate(array.T)}
    )


def _bent(x):
    """A model with interactions, two outputs."""
    first = x[:, 0] * x[:, 1] + np.sin(x[:, 2]) - 2 * x[:, 3] * (x[:, 0] > 0)
    return np.column_stack([first, x[:, 1] ** 2 + x[:, 3]])


def _shapley(model, row, baseline):
    """Shapley values by their definition: the mean gain of a feature over all orders of joining."""
    count = len(row)
    total = 0.0
    orders = list(permutations(range(count)))
    for order in orders:
        held = baseline.copy()
        before = model(held).mean(axis=0)
        gains = np.zeros((count, len(before)))
        for feature in order:
            held[:, feature] = row[feature]
            after = model(held).mean(axis=0)
            gains[feature] = after - before
            before = after
        total = total + gains
    return total / len(orders)


@pytest.mark.parametrize("baseline_rows", [1, 3])
def test_with_all_coalitions_kernel_shap_gives_shapley_values(baseline_rows):
    rng = np.random.default_rng(0)
    x, base = rng.normal(size=(5, 4)), rng.normal(size=(baseline_rows, 4))

    found = by_kernel(_rows(x), lambda r: _bent(_numbers(r)), _rows(base), Shap(), None)

    expected = np.array([_shapley(_bent, row, base) for row in x])
    assert found.how == "Kernel SHAP, 14 coalitions (all: exact)"
    np.testing.assert_allclose(found.local, expected, atol=1e-9)
    np.testing.assert_allclose(found.expected, _bent(base).mean(axis=0))


def test_a_linear_model_gets_its_own_coefficients_from_few_coalitions():
    rng = np.random.default_rng(1)
    x, base, slope = rng.normal(size=(20, 16)), rng.normal(size=(1, 16)), rng.normal(size=16)
    ask = lambda rows: (_numbers(rows) @ slope)[:, None]  # noqa: E731

    found = by_kernel(_rows(x), ask, _rows(base), Shap(num_samples=100), None)

    np.testing.assert_allclose(found.local[:, :, 0], (x - base) * slope, atol=1e-8)


def test_sampled_coalitions_come_near_to_all_of_them():
    rng = np.random.default_rng(2)
    x, base = rng.normal(size=(10, 12)), np.zeros((1, 12))
    pairs = rng.normal(size=(12, 12)) * 0.3

    def ask(rows):
        held = _numbers(rows)
        return np.einsum("ni,ij,nj->n", held, pairs, held)[:, None] + held.sum(axis=1)[:, None]

    exact = by_kernel(_rows(x), ask, _rows(base), Shap(num_samples=5000), None)
    near = by_kernel(_rows(x), ask, _rows(base), Shap(num_samples=600), None)

    assert exact.how.endswith("(all: exact)")
    assert "exact" not in near.how
    assert np.abs(near.local - exact.local).max() < 0.1 * np.abs(exact.local).max()


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(2, 300), st.integers(0, 2**32 - 1))
def test_attributions_add_up_to_what_the_model_answers(features, samples, seed):
    rng = np.random.default_rng(seed)
    x, base, inner = (
        rng.normal(size=(3, features)),
        rng.normal(size=(2, features)),
        rng.normal(size=features),
    )
    ask = lambda rows: np.tanh(_numbers(rows) @ inner)[:, None]  # noqa: E731

    found = by_kernel(_rows(x), ask, _rows(base), Shap(num_samples=samples), None)

    np.testing.assert_allclose(found.local.sum(axis=1) + found.expected, ask(_rows(x)), atol=1e-7)


def test_the_same_seed_gives_the_same_attributions():
    rng = np.random.default_rng(4)
    x, base = rng.normal(size=(4, 14)), np.zeros((1, 14))
    ask = lambda rows: np.prod(_numbers(rows)[:, :4], axis=1)[:, None]  # noqa: E731
    run = lambda seed: by_kernel(_rows(x), ask, _rows(base), Shap(num_samples=200, seed=seed), None)  # noqa: E731

    assert (run(7).local == run(7).local).all()
    assert (run(7).local != run(8).local).any()


def test_attributions_in_log_odds_add_up_to_the_logit():
    x, base = np.array([[2.0, -1.0], [0.5, 0.3]]), np.zeros((1, 2))
    ask = lambda rows: 1 / (1 + np.exp(-_numbers(rows) @ [[1.0], [2.0]]))  # noqa: E731

    found = by_kernel(_rows(x), ask, _rows(base), Shap(use_logit=True), None)

    np.testing.assert_allclose(found.local[:, :, 0], x * [1.0, 2.0], atol=1e-6)


def test_texts_are_left_out_like_numbers():
    rows = Rows.of({"town": ["Lugo", "Vigo"], "size": ["2", "3"]})
    base = Rows.of({"town": ["Lugo"], "size": ["0"]})

    def ask(asked):
        town = np.array(asked.texts("town").to_pylist()) == "Vigo"
        return (10 * town + asked.numbers("size"))[:, None]

    found = by_kernel(rows, ask, base, Shap(), ["price"])

    assert found.local[:, :, 0].tolist() == pytest.approx(np.array([[0, 2], [10, 3]]))
    assert found.section(Shap())["price"] == {
        "global_shap_values": {"town": pytest.approx(5), "size": pytest.approx(2.5)},
        "expected_value": 0.0,
    }


@pytest.mark.parametrize(
    ("method", "expected"), [("mean_abs", 2.0), ("median", -1.0), ("mean_sq", 14 / 3)]
)
def test_global_values_are_aggregated_as_asked(method, expected):
    local = np.array([-1.0, 2.0, -3.0]).reshape(3, 1, 1)

    assert aggregate(local, method)[0, 0] == pytest.approx(expected)


def test_a_large_data_set_is_explained_by_a_sample(caplog):
    x = np.random.default_rng(5).normal(size=(100, 3))

    ask = lambda r: _numbers(r)[:, :1]  # noqa: E731

    found = by_kernel(_rows(x), ask, _rows(x[:2]), Shap(), None, most_asked=300)

    assert len(found.local) == 300 // (7 * 2)
    assert found.rows == 100
    assert "21 of 100 rows are explained" in caplog.text


def test_the_baseline_of_the_data_is_its_medians_and_most_frequent_texts():
    rows = Rows.of({"age": ["1", "2", "50", None], "town": ["Vigo", "Lugo", "Vigo", None]})

    found = reference.of_data(rows, None, np.random.default_rng(0))

    assert found.table.to_pylist() == [{"age": "2.0", "town": "Vigo"}]


def test_clusters_of_the_data_are_found():
    rng = np.random.default_rng(6)
    x = np.vstack([rng.normal([0, 0], 0.1, (40, 2)), rng.normal([5, 9], 0.1, (60, 2))])
    town = ["Vigo"] * 40 + ["Lugo"] * 60
    rows = _rows(x).with_column("town", Rows.of({"town": town}).texts("town"))

    found = reference.of_data(rows, 2, rng).table.to_pylist()

    assert sorted((round(float(r["f0"])), round(float(r["f1"])), r["town"]) for r in found) == [
        (0, 0, "Vigo"),
        (5, 9, "Lugo"),
    ]


def test_a_row_of_the_baseline_that_is_too_short_is_named():
    with pytest.raises(ConfigError, match=r"row 1 has 1 values for 2 features \(a, b\)"):
        reference.of_rows([[1, 2], [3]], ["a", "b"])


@pytest.mark.parametrize("objective", ["reg:squarederror", "binary:logistic"])
def test_trees_explain_what_the_booster_answers(objective):
    rng = np.random.default_rng(7)
    x = rng.normal(size=(200, 3))
    y = (x[:, 0] + x[:, 1] > 0).astype(float)
    booster = xgb.train({"objective": objective, "max_depth": 2}, xgb.DMatrix(x, y), 10)
    logistic = objective == "binary:logistic"

    found = trees.by_trees(booster, _rows(x), Shap(use_logit=logistic), None)

    margin = booster.predict(xgb.DMatrix(x), output_margin=True)
    np.testing.assert_allclose(found.local.sum(axis=(1, 2)) + found.expected, margin, atol=1e-4)
    ranked = aggregate(found.local, "mean_abs")[:, 0]
    assert ranked[2] < min(ranked[:2])
    # in the other unit the trees' sums are not what the model answers
    other = Shap(use_logit=not logistic)
    assert trees.by_trees(booster, _rows(x), other, None) is None


def test_coalitions_weigh_as_the_shapley_kernel_says():
    found = kernel.coalitions(5, 1000, np.random.default_rng(0))

    sizes = found.members.sum(axis=1)
    assert len(found.members) == 2**5 - 2
    expected = [
        4 / (np.prod([5, 4, 3, 2][:s]) / np.prod(range(1, s + 1)) * s * (5 - s)) for s in sizes
    ]
    np.testing.assert_allclose(found.weights, expected)
