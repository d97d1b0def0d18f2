"""Estimates against the truth: the metrics against scikit-learn, the estimates against labels that were held back."""

import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv
from scipy import stats
from sklearn import metrics
from sklearn.isotonic import IsotonicRegression

from farero_monitor import container
from farero_monitor.__main__ import main
from farero_monitor.estimate import calibration, estimator, wobble
from farero_monitor.estimate.estimator import Estimator
from farero_monitor.estimate.labelled import Labelled, LabelsError
from farero_monitor.estimate.scores import Answers


def texts(**columns):
    return pa.table({name: pa.array(np.asarray(v).astype(str)) for name, v in columns.items()})


def binary(rng, rows, shift=0.0, *, drift=0.0):
    """A model that is not calibrated and does not know of `c`; `drift` turns the meaning of `a`."""
    a, b = rng.normal(shift, 1, rows), rng.normal(size=rows)
    c = np.array(["x", "y"])[rng.integers(0, 2, rows)]
    truth = 1 / (1 + np.exp(-((1.5 - drift) * a - b + 0.5 * (c == "x"))))
    y = (rng.random(rows) < truth).astype(int)
    p = 1 / (1 + np.exp(-(0.8 * (1.5 * a - b) - 0.3)))
    return texts(y=y, p=p, a=a, b=b, c=c), y, p


def regression(rng, rows, shift=0.0):
    """A model whose error grows with `a`."""
    a, b = rng.normal(shift, 1, rows), rng.normal(size=rows)
    told = 2 * a + b
    y = told + rng.normal(size=rows) * (0.5 + np.maximum(a, 0))
    return texts(y=y, told=told, a=a, b=b), np.abs(y - told)


def covered(figure, truth):
    return figure.low <= truth <= figure.high


def test_metrics_of_labels_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, 2, 500), rng.random(500).round(2)
    told = (scores > 0.4).astype(float)

    found = Answers(scores[:, None], told[:, None]).measure(y[None, :, None].astype(float))

    assert {name: float(value[0]) for name, value in found.items()} == pytest.approx({
        "roc_auc": metrics.roc_auc_score(y, scores), "accuracy": metrics.accuracy_score(y, told),
        "precision": metrics.precision_score(y, told), "recall": metrics.recall_score(y, told),
        "f1": metrics.f1_score(y, told),
    })  # fmt: skip


def test_metrics_of_three_classes_are_macro_means():
    rng = np.random.default_rng(1)
    scores = rng.dirichlet([1, 1, 1], 600)
    y, told = rng.integers(0, 3, 600), scores.argmax(axis=1)
    eye = np.eye(3)

    found = Answers(scores, eye[told]).measure(eye[y][None])

    assert {name: float(value[0]) for name, value in found.items()} == pytest.approx({
        "roc_auc": metrics.roc_auc_score(y, scores, multi_class="ovr"),
        "accuracy": metrics.accuracy_score(y, told),
        "precision": metrics.precision_score(y, told, average="macro"),
        "recall": metrics.recall_score(y, told, average="macro"),
        "f1": metrics.f1_score(y, told, average="macro"),
    })  # fmt: skip
    shares = Answers(scores, eye[told]).confusion(eye[y])
    assert np.array(shares) * 600 == pytest.approx(metrics.confusion_matrix(y, told))


def test_the_expected_auc_is_the_mean_over_labels():
    rng = np.random.default_rng(2)
    p = rng.random(400).round(1)
    answers = Answers(p[:, None], (p > 0.5).astype(float)[:, None])
    drawn = (rng.random((4000, 400, 1)) < p[:, None]).astype(float)

    expected = answers.measure(p[None, :, None])

    for name, values in answers.measure(drawn).items():
        assert float(expected[name][0]) == pytest.approx(values.mean(), abs=0.002)


def test_pooling_is_isotonic_regression():
    rng = np.random.default_rng(3)
    means, weights = rng.random(300) + np.arange(300) / 300, rng.integers(1, 5, 300).astype(float)

    values, sizes = calibration.pool(means, weights)

    expected = IsotonicRegression().fit_transform(np.arange(300), means, sample_weight=weights)
    assert np.unique(values) == pytest.approx(np.unique(expected))
    assert sizes.sum() == weights.sum()


@pytest.mark.parametrize(
    ("bend", "way"),
    [(lambda p: p, "as is"), (lambda p: p**2 / (p**2 + (1 - p) ** 2), "platt"),
     (lambda p: np.where(p < 0.5, p / 5, 0.6 + p / 5), "isotonic")],
    ids=["calibrated", "too sure", "a step"],
)  # fmt: skip
def test_the_calibrator_is_the_simplest_that_is_surely_best(bend, way):
    rng = np.random.default_rng(4)
    scores = rng.random(10_000)
    truth = scores if way != "isotonic" else bend(scores)
    labels = (rng.random(10_000) < truth).astype(float)
    scores = bend(scores) if way == "platt" else scores

    found = calibration.choose(scores, labels, rng.permutation(10_000) % 8)

    assert found == way
    made = calibration.fit(found, scores, labels)(scores)
    assert np.abs(made - truth).mean() < 0.015


def test_estimates_follow_a_covariate_shift_within_their_bands():
    off, inside = [], []
    for seed in range(2):
        rng = np.random.default_rng([5, seed])
        kept = estimator.learn(binary(rng, 10_000)[0], Labelled("y", "", {"": "p"}))
        for shift in (0.0, 0.7, -0.7):
            window, y, p = binary(rng, 10_000, shift)
            figures = kept.estimate(window, 10_000).figures
            truth = {
                "roc_auc": metrics.roc_auc_score(y, p), "accuracy": ((p > 0.5) == y).mean(),
                "precision": y[p > 0.5].mean(), "recall": (p > 0.5)[y == 1].mean(),
            }  # fmt: skip
            off.append(figures["roc_auc"].value - truth["roc_auc"])
            inside += [covered(figures[name], value) for name, value in truth.items()]

    assert np.abs(off).mean() < 0.005
    assert np.mean(inside) >= 0.85  # 24 of which 95 % are expected
    # and the bands are not simply wide
    assert figures["roc_auc"].high - figures["roc_auc"].low < 0.03


def test_undrifted_windows_raise_no_alarm_and_worse_ones_do():
    rng = np.random.default_rng(6)
    kept = estimator.learn(binary(rng, 10_000)[0], Labelled("y", "", {"": "p"}))

    quiet = [kept.estimate(binary(rng, 2000)[0], 2000) for _ in range(25)]
    # rows of which the model knows nothing: both features near zero
    window, *_ = binary(rng, 10_000)
    a, b = (np.asarray(window.column(c).cast(pa.float64())) for c in ("a", "b"))
    hard = kept.estimate(window.filter(np.abs(1.5 * a - b) < 1), 4000)

    assert sum(bool(found.findings()) for found in quiet) == 0
    assert "roc_auc" in hard.worse
    assert hard.findings()[0].severity == "critical"


def test_what_chance_explains_is_no_wobble_and_what_it_does_not_is_measured():
    rng = np.random.default_rng(5)
    chance = np.full(10, 0.01**2)
    quiet = [wobble.variance(rng.normal(0, 0.01, 10), chance) for _ in range(400)]
    moved = [wobble.variance(rng.normal(0, 0.05, 10), chance) for _ in range(400)]

    assert 0.01 < np.mean(np.array(quiet) > 0) < 0.1  # one in twenty
    assert np.mean(moved) == pytest.approx(0.05**2 - 0.01**2, rel=0.1)
    assert wobble.variance(np.full(10, np.nan), chance) == 0.0
    assert [wobble.quantile(k) for k in (5, 10)] == pytest.approx(stats.chi2.ppf(0.95, [5, 10]), rel=0.01)  # fmt: skip


def restless(rng, rows, stretches):
    """A binary problem whose relation to the label moves from stretch to stretch, as seasons do."""
    a = rng.normal(size=rows)
    moved = np.repeat(rng.normal(0, 0.5, stretches), rows // stretches)
    y = (rng.random(rows) < 1 / (1 + np.exp(-(a * (1.5 + moved))))).astype(int)
    return y, 1 / (1 + np.exp(-1.5 * a)), a


def test_a_band_makes_room_for_what_the_reference_was_off_by_in_its_own_time():
    rng = np.random.default_rng(8)
    y, p, a = restless(rng, 10_000, 10)
    mixed = rng.permutation(len(y))
    in_order = estimator.learn(texts(y=y, p=p, a=a), Labelled("y", "", {"": "p"}))
    shuffled = estimator.learn(texts(y=y[mixed], p=p[mixed], a=a[mixed]), Labelled("y", "", {"": "p"}))  # fmt: skip

    hits, misses = [], []
    for seed in range(12):
        y, p, a = restless(np.random.default_rng([9, seed]), 3000, 1)
        truth = metrics.roc_auc_score(y, p)
        window = texts(p=p, a=a)
        figures = [
            kept.estimate(window, len(y)).figures["roc_auc"] for kept in (in_order, shuffled)
        ]
        hits.append(covered(figures[0], truth))
        misses.append(covered(figures[1], truth))

    assert shuffled.model.wobble["roc_auc"] == 0.0
    assert in_order.model.wobble["roc_auc"] > 0.01**2
    assert np.mean(hits) >= 0.9
    assert np.mean(misses) <= 0.5


def test_the_errors_of_numbers_wobble_too():
    rng = np.random.default_rng(3)
    spread = np.repeat(rng.uniform(0.5, 1.5, 10), 500)
    told = rng.normal(size=5000)
    table = texts(y=told + spread * rng.normal(size=5000), told=told)
    mixed = table.take(pa.array(rng.permutation(5000)))

    in_order, shuffled = (estimator.learn(one, Labelled("y", "told")) for one in (table, mixed))

    wide, narrow = (
        one.estimate(table, 5000).figures["mae"] for one in (in_order, shuffled)
    )  # fmt: skip
    assert shuffled.model.wobble == [0.0, 0.0]
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_a_reference_survives_its_file():
    rng = np.random.default_rng(7)
    kept = estimator.learn(binary(rng, 3000)[0], Labelled("y", "", {"": "p"}))
    window, *_ = binary(rng, 1000, 0.5)

    again = Estimator.from_bytes(kept.to_bytes())

    assert again.estimate(window, 1000).content() == kept.estimate(window, 1000).content()
    for broken in (b"", b"\x01\x02", kept.to_bytes()[:200]):
        with pytest.raises(ValueError, match="labelled reference"):
            Estimator.from_bytes(broken)


def test_three_classes():
    rng = np.random.default_rng(8)

    def draw(rows, shift):
        x = rng.normal(shift, 1, (rows, 2))
        z = np.column_stack([x[:, 0], x[:, 1], np.zeros(rows)])
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        y = (rng.random((rows, 1)) > np.cumsum(p, axis=1)).sum(axis=1)
        names = np.array(["ant", "bee", "cat"])
        told = names[p.argmax(axis=1)]
        columns = {f"p_{name}": p[:, k] for k, name in enumerate(names)}
        return texts(y=names[y], told=told, u=x[:, 0], **columns), (names[y] == told).mean()

    columns = {name: f"p_{name}" for name in ("ant", "bee", "cat")}
    kept = estimator.learn(draw(8000, 0.0)[0], Labelled("y", "told", columns))
    window, accuracy = draw(8000, 1.0)
    made = kept.estimate(window, 8000)

    assert made.problem == "multiclass"
    assert made.classes == ["ant", "bee", "cat"]
    assert covered(made.figures["accuracy"], accuracy)
    assert np.sum(made.confusion_matrix) == pytest.approx(1.0)
    assert {"roc_auc", "f1"} <= {*made.figures}


def test_errors_of_a_regression_are_estimated():
    inside = []
    for seed in range(2):
        rng = np.random.default_rng([9, seed])
        kept = estimator.learn(regression(rng, 8000)[0], Labelled("y", "told"))
        for shift in (0.0, 0.5):
            window, error = regression(rng, 4000, shift)
            made = Estimator.from_bytes(kept.to_bytes()).estimate(window, 4000)
            inside.append(covered(made.figures["mae"], error.mean()))
            inside.append(covered(made.figures["rmse"], np.sqrt((error**2).mean())))
            assert made.figures["mae"].value == pytest.approx(error.mean(), rel=0.06)
            assert made.figures["mae"].state == ("worse" if shift else "same")

    assert np.mean(inside) >= 0.75  # 8 of which 95 % are expected


@pytest.mark.parametrize(
    ("labelled", "words"),
    [
        (Labelled("z", "p"), "no column 'z'"),
        (Labelled("y"), "its probability"),
        (Labelled("y", "y"), "truth and answer"),
        (Labelled("y", "", {"": "a"}), "from 0 to 1"),
        (Labelled("c", "", {"x": "p", "q": "p"}), "are not those"),
        (Labelled("few", "p"), "at least 500"),
    ],
)
def test_what_cannot_serve_is_said(labelled, words):
    table, *_ = binary(np.random.default_rng(10), 1000)
    few = pa.array(["1"] * 3 + [None] * 990 + ["0"] * 7)

    with pytest.raises(LabelsError, match=words):
        estimator.learn(table.append_column("few", few), labelled)


def test_a_window_without_answers_says_why_there_is_no_estimate():
    rng = np.random.default_rng(11)
    table, *_ = binary(rng, 1000)
    kept = estimator.learn(table, Labelled("y", "", {"": "p"}))

    assert "no column 'p'" in kept.estimate(table.drop_columns("p"), 1000).reason
    assert "150 rows" in kept.estimate(table.slice(0, 150), 150).reason


def test_the_commands_estimate(tmp_path, capsys):
    rng = np.random.default_rng(12)
    csv.write_csv(binary(rng, 4000)[0], tmp_path / "train.csv")
    window, *_ = binary(rng, 3000)
    a, b = (np.asarray(window.column(c).cast(pa.float64())) for c in ("a", "b"))
    csv.write_csv(
        window.drop_columns("y").filter(np.abs(1.5 * a - b) < 0.8), tmp_path / "window.csv"
    )
    csv.write_csv(binary(rng, 3000)[0], tmp_path / "quiet.csv")
    base, out = str(tmp_path / "base"), str(tmp_path / "out")

    told = ["--target", "y", "--probability", "p"]
    assert main(["baseline", str(tmp_path / "train.csv"), "-o", base, *told]) == 0
    assert main(["run", str(tmp_path / "quiet.csv"), "-b", base, "-o", out]) == 0
    quiet = json.loads((tmp_path / "out" / "drift_report.json").read_text())
    assert main(["run", str(tmp_path / "window.csv"), "-b", base, "-o", out]) == 1
    report = json.loads((tmp_path / "out" / "drift_report.json").read_text())

    # the truth does not come with requests, but is nothing too much where it does
    constraints = json.loads((tmp_path / "base" / "constraints.json").read_text())
    assert [f["name"] for f in constraints["features"]] == ["p", "a", "b", "c"]
    assert quiet["severity"] == "none"
    assert quiet["findings"] == []
    assert quiet["estimated"]["figures"]["roc_auc"]["state"] == "same"
    assert report["estimated"]["figures"]["roc_auc"]["state"] == "worse"
    assert report["findings"][0]["kind"] == "estimated quality"
    assert "estimated quality is not what it was" in report["sentence"]
    assert "ROC AUC" in capsys.readouterr().out
    assert main(["baseline", str(tmp_path / "train.csv"), "-o", base, "--prediction", "p"]) == 2


def test_the_container_estimates(tmp_path):
    rng = np.random.default_rng(13)
    for name in ("train", "window"):
        (tmp_path / name).mkdir()
        csv.write_csv(binary(rng, 3000)[0], tmp_path / name / "data.csv")
    told = {"dataset_format": '{"csv": {"header": true}}', "SAGEMAKER_BASE_DIR": str(tmp_path)}

    def run(name, **more):
        places = {"dataset_source": tmp_path / name, "output_path": tmp_path / f"{name}-out"}
        return container.run(told | {k: str(v) for k, v in (places | more).items()})

    run("train", ground_truth_attribute="y", probability_attribute="p")
    run(
        "window",
        baseline_constraints=tmp_path / "train-out" / "constraints.json",
        baseline_statistics=tmp_path / "train-out" / "statistics.json",
    )

    report = json.loads((tmp_path / "window-out" / "drift_report.json").read_text())
    assert report["estimated"]["problem"] == "binary"
    assert 0.7 < report["estimated"]["figures"]["roc_auc"]["value"] < 0.95
