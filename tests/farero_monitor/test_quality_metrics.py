"""Model quality's metrics against scikit-learn, AWS's own examples, and scipy's bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as judge

from farero_monitor.quality import metrics, tallies
from farero_monitor.quality.measure import (
    Band,
    Measured,
    compare,
    difference,
    measure,
    sure,
)


def regression(labels, predictions):
    """Return the tally of a regression."""
    made = tallies.Regression()
    made.update(np.asarray(labels, float), np.asarray(predictions, float))
    return made


def binary(labels, predictions, scores=None):
    """Return the tally of a binary problem."""
    made = tallies.Binary()
    made.update(
        np.asarray(labels),
        np.asarray(predictions),
        None if scores is None else np.asarray(scores, float),
    )
    return made


def multiclass(labels, predictions):
    """Return the tally of a multiclass problem."""
    made = tallies.Multiclass()
    made.update(np.asarray(labels).astype(str), np.asarray(predictions).astype(str))
    return made


def found(tally):
    """Return the metrics of a tally as numbers."""
    return {name: float(value) for name, value in tally.metrics().items()}


SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_regression_agrees_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    labels = rng.normal(1e6, 3, 500)
    predictions = labels + rng.standard_t(3, 500)

    assert found(regression(labels, predictions)) == pytest.approx(
        {
            "mae": judge.mean_absolute_error(labels, predictions),
            "mse": judge.mean_squared_error(labels, predictions),
            "rmse": judge.root_mean_squared_error(labels, predictions),
            "r2": judge.r2_score(labels, predictions),
        },
        rel=1e-9,
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_binary_agrees_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    # few different scores, so that there are ties
    scores = rng.integers(0, 40, 700) / 40
    labels = (rng.random(700) < 0.1 + 0.6 * scores).astype(int)
    said = (scores > 0.5).astype(int)
    tn, fp, fn, tp = judge.confusion_matrix(labels, said).ravel()

    expected = {
        "recall": judge.recall_score(labels, said),
        "precision": judge.precision_score(labels, said),
        "accuracy": judge.accuracy_score(labels, said),
        "true_positive_rate": tp / (tp + fn), "true_negative_rate": tn / (tn + fp),
        "false_positive_rate": fp / (tn + fp), "false_negative_rate": fn / (tp + fn),
        "auc": judge.roc_auc_score(labels, scores),
        "au_prc": judge.average_precision_score(labels, scores),
    }  # fmt: skip
    always = np.ones_like(labels)
    for name, beta in (("f0_5", 0.5), ("f1", 1), ("f2", 2)):
        expected[name] = judge.fbeta_score(labels, said, beta=beta)
        expected[f"{name}_best_constant_classifier"] = judge.fbeta_score(labels, always, beta=beta)
    for name, score in (
        ("recall", judge.recall_score), ("precision", judge.precision_score), ("accuracy", judge.accuracy_score),
    ):  # fmt: skip
        expected[f"{name}_best_constant_classifier"] = score(labels, always)
    assert found(binary(labels, said, scores)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_multiclass_agrees_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    names = np.array(["cat", "dog", "eel", "fox"])
    labels = rng.choice(names, 600, p=[0.5, 0.3, 0.19, 0.01])
    # the fox is never predicted, and an owl never is one
    said = np.where(rng.random(600) < 0.7, labels, rng.choice(["cat", "dog", "owl"], 600))
    said = np.where(said == "fox", "cat", said)

    options = {"average": "weighted", "zero_division": 0}
    expected = {
        "accuracy": judge.accuracy_score(labels, said),
        "weighted_recall": judge.recall_score(labels, said, **options),
        "weighted_precision": judge.precision_score(labels, said, **options),
    }
    constant = np.full(600, "cat")
    expected["accuracy_best_constant_classifier"] = judge.accuracy_score(labels, constant)
    for name, score in (("recall", judge.recall_score), ("precision", judge.precision_score)):
        expected[f"weighted_{name}_best_constant_classifier"] = score(labels, constant, **options)
    for name, beta in (("f0_5", 0.5), ("f1", 1), ("f2", 2)):
        expected[f"weighted_{name}"] = judge.fbeta_score(labels, said, beta=beta, **options)
        expected[f"weighted_{name}_best_constant_classifier"] = judge.fbeta_score(
            labels, constant, beta=beta, **options
        )
    assert found(multiclass(labels, said)) == pytest.approx(expected, rel=1e-12)


def test_the_binary_example_of_aws_comes_out():
    # "Model Quality Metrics", Developer Guide: confusion matrix 1, 2 / 0, 1
    made = found(binary([0, 0, 0, 1], [0, 1, 1, 1], [0.1, 0.6, 0.7, 0.9]))

    expected = {
        "recall": 1.0, "precision": 0.3333333333333333, "accuracy": 0.5,
        "recall_best_constant_classifier": 1.0, "precision_best_constant_classifier": 0.25,
        "accuracy_best_constant_classifier": 0.25, "true_positive_rate": 1.0,
        "true_negative_rate": 0.33333333333333337, "false_positive_rate": 0.6666666666666666,
        "false_negative_rate": 0.0, "auc": 1.0, "f0_5": 0.3846153846153846, "f1": 0.5,
        "f2": 0.7142857142857143, "f0_5_best_constant_classifier": 0.29411764705882354,
        "f1_best_constant_classifier": 0.4, "f2_best_constant_classifier": 0.625,
    }  # fmt: skip
    assert {name: made[name] for name in expected} == pytest.approx(expected)


def test_the_multiclass_example_of_aws_comes_out():
    # the same page: confusion matrix 1180, 510 / 268, 138; its constant classifier says the rarer label
    right, labelled, predicted = (
        np.array([1180.0, 138.0]),
        np.array([1690.0, 406.0]),
        np.array([1448.0, 648.0]),
    )

    made = metrics.multiclass(right, labelled, predicted, 1)

    expected = {
        "accuracy": 0.6288167938931297, "weighted_recall": 0.6288167938931297,
        "weighted_precision": 0.6983172269629505, "weighted_f0_5": 0.6803947317178771,
        "weighted_f1": 0.6571162346664904, "weighted_f2": 0.6384024354394601,
        "accuracy_best_constant_classifier": 0.19370229007633588,
        "weighted_recall_best_constant_classifier": 0.19370229007633588,
        "weighted_precision_best_constant_classifier": 0.03752057718081697,
        "weighted_f0_5_best_constant_classifier": 0.04473443104152011,
        "weighted_f1_best_constant_classifier": 0.06286421244683643,
        "weighted_f2_best_constant_classifier": 0.10570313141262414,
    }  # fmt: skip
    assert {name: float(value) for name, value in made.items()} == pytest.approx(expected)


def test_curves_agree_with_scikit_learn_and_stay_short():
    rng = np.random.default_rng(3)
    scores = np.round(rng.random(500), 2)
    labels = (rng.random(500) < scores).astype(int)
    many = rng.random(5000)

    made = binary(labels, labels, scores).curves()
    short = binary((rng.random(5000) < many).astype(int), (many > 0.5).astype(int), many).curves()

    alarms, hits, _ = judge.roc_curve(labels, scores, drop_intermediate=False)
    roc = made["receiver_operating_characteristic_curve"]
    assert roc["false_positive_rates"] == pytest.approx(alarms.tolist())
    assert roc["true_positive_rates"] == pytest.approx(hits.tolist())
    precisions, recalls, _ = judge.precision_recall_curve(labels, scores)
    curve = made["precision_recall_curve"]
    assert curve["recalls"][1:] == pytest.approx(recalls[-2::-1].tolist())
    assert curve["precisions"][1:] == pytest.approx(precisions[-2::-1].tolist())
    assert len(short["precision_recall_curve"]["recalls"]) == 1001
    assert short["receiver_operating_characteristic_curve"]["true_positive_rates"][-1] == 1.0


NAN = math.nan


@pytest.mark.parametrize(
    ("tally", "expected"),
    [
        (binary([0, 0, 0], [0, 1, 0], [0.1, 0.9, 0.2]),
         {"recall": NAN, "precision": 0.0, "accuracy": 2 / 3, "f1": 0.0, "auc": NAN, "au_prc": NAN,
          "false_positive_rate": 1 / 3, "recall_best_constant_classifier": NAN}),
        (binary([0, 0], [0, 0]), {"recall": NAN, "precision": NAN, "f1": NAN, "accuracy": 1.0}),
        (binary([1, 1], [0, 0], [0.2, 0.3]),
         {"recall": 0.0, "precision": 0.0, "f1": 0.0, "false_positive_rate": NAN, "auc": NAN}),
        (regression([2, 2, 2], [2, 3, 1]), {"r2": NAN, "mae": 2 / 3}),
        (regression([1e9] * 3, [1e9] * 3), {"r2": NAN, "mse": 0.0}),
        (regression([5], [4]), {"r2": NAN, "rmse": 1.0}),
        (multiclass(["a"], ["b"]), {"accuracy": 0.0, "weighted_precision": 0.0, "weighted_f1": 0.0}),
    ],
    ids=["no-positive", "nothing-positive", "no-negative", "constant", "large-constant", "one-row", "all-wrong"],
)  # fmt: skip
def test_what_cannot_be_computed_is_not_a_number(tally, expected):
    made = found(tally)

    assert {name: made[name] for name in expected} == pytest.approx(expected, nan_ok=True)


parts = st.lists(st.integers(1, 400), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None)
@given(parts, st.integers(0, 100))
def test_merged_tallies_are_that_of_the_whole(sizes, seed):
    rng = np.random.default_rng(seed)
    rows = sum(sizes)
    labels, scores = rng.integers(0, 2, rows), np.round(rng.random(rows), 2)
    numbers = rng.normal(50, 10, rows)
    whole = [
        binary(labels, (scores > 0.5).astype(int), scores), regression(numbers, numbers + scores),
        multiclass(labels, rng.integers(0, 3, rows)),
    ]  # fmt: skip
    said = np.array([pair[1] for pair, count in whole[2].counts.items() for _ in range(count)])
    true = np.array([pair[0] for pair, count in whole[2].counts.items() for _ in range(count)])

    made = [tallies.Binary(), tallies.Regression(), tallies.Multiclass()]
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        at = slice(end - size, end)
        made[0].merge(binary(labels[at], (scores[at] > 0.5).astype(int), scores[at]))
        made[1].merge(regression(numbers[at], numbers[at] + scores[at]))
        made[2].merge(multiclass(true[at], said[at]))

    for one, other in zip(made, whole, strict=True):
        assert one.rows == rows
        assert found(one) == pytest.approx(found(other), nan_ok=True)


def test_more_scores_than_are_kept_move_the_auc_by_a_hair(monkeypatch):
    monkeypatch.setattr(tallies, "SCORES", 2_000)
    monkeypatch.setattr(tallies, "SCORE_BITS", 8)
    rng = np.random.default_rng(1)
    # rare events: nearly all scores lie close to 0
    scores = 1 / (1 + np.exp(-rng.normal(-7, 2, 60_000)))
    labels = (rng.random(60_000) < scores).astype(int)
    made = tallies.Binary()

    for at in range(0, 60_000, 5_000):
        part = slice(at, at + 5_000)
        made.update(labels[part], (scores[part] > 0.5).astype(int), scores[part])

    assert len(made._scores) < 12_000
    assert found(made)["auc"] == pytest.approx(judge.roc_auc_score(labels, scores), abs=1e-4)


def test_the_band_is_the_percentile_bootstraps(monkeypatch):
    rng = np.random.default_rng(5)
    labels = rng.normal(0, 1, 400)
    predictions = labels + rng.exponential(1, 400)
    monkeypatch.setattr("farero_monitor.quality.measure.SAMPLES", 4000)

    made = measure(regression(labels, predictions))["mae"].shown

    expected = stats.bootstrap(
        (np.abs(predictions - labels),), np.mean, n_resamples=4000, method="percentile", rng=rng
    ).confidence_interval
    assert (made.low, made.high) == pytest.approx((expected.low, expected.high), abs=0.006)


def test_bands_of_many_rows_are_as_wide_as_the_theory_says(monkeypatch):
    monkeypatch.setattr(tallies, "GROUPS", 1 << 11)
    rng = np.random.default_rng(6)
    rows = 60_000
    labels = rng.normal(0, 1, rows)
    error = rng.normal(0, 1, rows)
    scores = rng.random(rows)
    classes = (rng.random(rows) < scores).astype(int)

    numbers = measure(regression(labels, labels + error))["mse"].shown
    ranked = measure(binary(classes, (scores > 0.5).astype(int), scores))

    # variance of a mean of squares of standard normals: 2 / n
    assert numbers.high - numbers.low == pytest.approx(2 * 1.96 * math.sqrt(2 / rows), rel=0.12)
    share = ranked["accuracy"]
    width = 2 * 1.96 * math.sqrt(share.value * (1 - share.value) / rows)
    assert share.shown.high - share.shown.low == pytest.approx(width, rel=0.12)
    assert ranked["auc"].shown.low < ranked["auc"].value < ranked["auc"].shown.high


def test_bands_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(7)
    inside = 0
    for _ in range(300):
        right = rng.random(400) < 0.8
        band = measure(multiclass(np.ones(400, int), right.astype(int)))["accuracy"].shown
        inside += band.low <= 0.8 <= band.high

    # 285 expected; three standard deviations of a binomial
    assert 285 - 3 * 3.8 <= inside <= 300


def test_the_standard_deviation_is_of_five_runs_over_four_fifths():
    rng = np.random.default_rng(8)
    labels = rng.normal(0, 1, 2_000)
    tally = regression(labels, labels + rng.normal(0, 1, 2_000))

    made = tally.resample(np.random.default_rng(1), 2_000, "part")["mae"]

    # sampling 80 % without replacement halves the sampling error: sqrt((1 - 0.8) / 0.8)
    theory = math.sqrt(1 - 2 / math.pi) / math.sqrt(2_000) * 0.5
    assert made.std() == pytest.approx(theory, rel=0.1)
    assert measure(tally)["mae"].deviation == pytest.approx(theory, rel=0.9)
    assert measure(tally) == measure(tally)


@pytest.mark.parametrize(("rows", "known"), [(199, False), (200, True)])
def test_there_is_a_standard_deviation_from_200_rows_on(rows, known):
    rng = np.random.default_rng(9)
    labels = rng.integers(0, 2, rows)

    made = measure(binary(labels, rng.integers(0, 2, rows), rng.random(rows)))

    assert all(math.isfinite(one.deviation) == known for one in made.values())


def test_a_label_too_rare_to_be_resampled_has_no_band():
    labels = np.array([1, *[0] * 99])

    made = measure(binary(labels, labels, np.linspace(1, 0, 100)))

    assert not made["recall"].shown.known
    assert made["accuracy"].shown.known
    assert compare(made["recall"], 100, 0.5, "LessThanThreshold")[0] == "not enough data"


@pytest.mark.parametrize(
    ("hits", "rows"), [(0, 12), (12, 12), (0, 60)], ids=["none-of-12", "all-of-12", "none-of-60"]
)
def test_a_share_of_nothing_or_all_is_as_unsure_as_the_exact_interval_says(hits, rows):
    labels = np.array([1] * rows + [0] * 100)
    said = np.array([1] * hits + [0] * (rows - hits) + [0, 1] * 50)

    found = measure(binary(labels, said))
    made = found["recall"].sure

    exact = stats.binomtest(hits, rows).proportion_ci(sure(found), method="exact")
    assert (made.low, made.high) == pytest.approx((exact.low, exact.high))


@pytest.mark.parametrize(
    ("problem", "level"),
    [("Regression", 0.995), ("MulticlassClassification", 0.997), ("BinaryClassification", 1 - 0.015 / 8)],
)  # fmt: skip
def test_the_more_different_metrics_there_are_the_surer_each_must_be(problem, level):
    assert sure(metrics.PROMISED[problem]) == pytest.approx(level)
    assert sure([]) == pytest.approx(0.995)


def test_precision_of_no_positive_prediction_is_0_but_says_nothing():
    made = measure(binary([1] * 5 + [0] * 95, [0] * 100))

    assert made["precision"].value == 0.0
    assert compare(made["precision"], 100, 0.8, "LessThanThreshold")[0] == "not enough data"
    assert compare(made["recall"], 100, 0.8, "LessThanThreshold")[0] == "worse"


def test_the_difference_of_two_measured_values_is_less_sure_than_that_of_one():
    band = Band(0.76, 0.84)

    exact = difference(0.8, band, 0.9, None)
    measured = difference(0.8, band, 0.9, Band(0.87, 0.93))

    assert (exact.low, exact.high) == pytest.approx((-0.14, -0.06))
    # the two widths add up as the legs of a right triangle
    assert (measured.low, measured.high) == pytest.approx((-0.15, -0.05))


@pytest.mark.parametrize(
    ("value", "half", "state"),
    [(0.70, 0.05, "worse"), (0.78, 0.05, "same"), (0.795, 0.0001, "same"), (0.9, 0.05, "better")],
    ids=["surely-worse", "by-chance", "does-not-matter", "better"],
)
def test_a_metric_is_worse_only_beyond_chance_and_by_enough(value, half, state):
    one = Measured("accuracy", value, sure=Band(value - half, value + half))

    assert compare(one, 1000, 0.8, "LessThanThreshold")[0] == state
