"""Model quality, files in and files out: AWS's files, the verdict, the container and the command."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from farero_monitor.__main__ import main as command
from farero_monitor.container import run as container
from farero_monitor.history import of_content
from farero_monitor.monitor import BaselineError
from farero_monitor.quality import runs
from farero_monitor.quality.sources import Attributes, Source

BINARY = Attributes(
    problem="BinaryClassification", inference="prediction", probability="probability", truth="label"
)
REGRESSION = Attributes(problem="Regression", inference="prediction", truth="label")


def predictions(path, rows, *, seed=0, noise=0.0):
    """Write a CSV of a binary problem; noise: share of labels that are chance."""
    rng = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-rng.normal(-1, 2, rows)))
    chance = np.where(rng.random(rows) < noise, rng.random(rows), scores)
    labels = (rng.random(rows) < chance).astype(int)
    lines = [f"{int(p > 0.5)},{p:.6f},{label}" for p, label in zip(scores, labels, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["prediction,probability,label", *lines]) + "\n")
    return Source(path, "csv")


def numbers(path, rows, *, seed=0, spread=1.0):
    """Write a CSV of a regression; spread: of the errors."""
    rng = np.random.default_rng(seed)
    labels = rng.normal(10, 3, rows)
    said = labels + rng.normal(0, spread, rows)
    lines = [f"{p!r},{label!r}" for p, label in zip(said.tolist(), labels.tolist(), strict=True)]
    path.write_text("\n".join(["prediction,label", *lines]) + "\n")
    return Source(path, "csv")


def content(path):
    """Return a JSON file's content; NaN and Infinity are no JSON."""

    def refuse(text):
        raise AssertionError(f"{text} in {path.name}")

    return json.loads(path.read_text(), parse_constant=refuse)


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    """Return the folder of a binary problem's baseline."""
    folder = tmp_path_factory.mktemp("baseline")
    runs.run(predictions(folder / "in.csv", 4000, seed=1), BINARY, folder / "out",
             now=dt.datetime(2026, 1, 5, 10, 0, 0, 7000, dt.UTC))  # fmt: skip
    return folder / "out"


def test_a_baseline_writes_statistics_and_constraints_as_aws_does(baseline):
    statistics, constraints = (
        content(baseline / "statistics.json"),
        content(baseline / "constraints.json"),
    )

    assert sorted(path.name for path in baseline.iterdir()) == [
        "constraints.json",
        "statistics.json",
    ]
    assert statistics["version"] == 0.0
    assert statistics["dataset"] == {
        "item_count": 4000,
        "evaluation_time": "2026-01-05T10:00:00.007Z",
    }
    metrics = statistics["binary_classification_metrics"]
    assert list(metrics) == [
        "confusion_matrix", "recall", "precision", "accuracy", "recall_best_constant_classifier",
        "precision_best_constant_classifier", "accuracy_best_constant_classifier", "true_positive_rate",
        "true_negative_rate", "false_positive_rate", "false_negative_rate",
        "receiver_operating_characteristic_curve", "precision_recall_curve", "f0_5", "f1", "f2",
        "f0_5_best_constant_classifier", "f1_best_constant_classifier", "f2_best_constant_classifier",
        "auc", "au_prc",
    ]  # fmt: skip
    matrix = metrics["confusion_matrix"]
    assert sum(matrix[one][other] for one in "01" for other in "01") == 4000
    assert set(metrics["auc"]) == {"value", "standard_deviation"}
    promised = constraints["binary_classification_constraints"]
    assert list(promised) == [
        "recall", "precision", "accuracy", "true_positive_rate", "true_negative_rate",
        "false_positive_rate", "false_negative_rate", "auc", "f0_5", "f1", "f2",
    ]  # fmt: skip
    assert promised["auc"]["threshold"] == metrics["auc"]["value"]
    assert promised["auc"]["comparison_operator"] == "LessThanThreshold"
    assert promised["false_positive_rate"]["comparison_operator"] == "GreaterThanThreshold"


def test_below_200_rows_the_standard_deviation_is_the_text_nan(tmp_path):
    runs.run(numbers(tmp_path / "in.csv", 199), REGRESSION, tmp_path / "out")

    metrics = content(tmp_path / "out/statistics.json")["regression_metrics"]

    assert list(metrics) == ["mae", "mse", "rmse", "r2"]
    assert {one["standard_deviation"] for one in metrics.values()} == {"NaN"}


def test_a_window_like_the_baseline_is_not_told_worse(tmp_path, baseline):
    constraints = runs.read_constraints(baseline / "constraints.json")

    made = runs.run(predictions(tmp_path / "in.csv", 1000, seed=2), BINARY, constraints=constraints)

    assert made.result.verdict.severity == "none"
    assert {one.state for one in made.judged.values()} == {"same"}
    figures = made.result.more["quality"]["figures"]
    assert all(figures[name]["value"] >= figures[name]["least"] for name in ("auc", "recall", "f1"))
    assert figures["false_positive_rate"]["value"] <= figures["false_positive_rate"]["most"]


def test_a_worse_window_is_critical_and_says_by_how_much(tmp_path, baseline):
    constraints = runs.read_constraints(baseline / "constraints.json")

    made = runs.run(predictions(tmp_path / "in.csv", 1000, seed=2, noise=0.5), BINARY, tmp_path / "out",
                    constraints=constraints)  # fmt: skip

    violations = content(tmp_path / "out/constraint_violations.json")["violations"]
    report = content(tmp_path / "out/drift_report.json")
    page = (tmp_path / "out/report.html").read_text()
    assert (
        made.message
        == f"CompletedWithViolations: Job completed successfully with {len(violations)} violations."
    )
    auc = next(one for one in violations if one["metric_name"] == "auc")
    value, threshold = made.found["auc"].value, constraints.metrics["auc"].threshold
    deviation = made.found["auc"].deviation
    assert auc == {
        "constraint_check_type": "LessThanThreshold",
        "description": f"Metric auc with {value} +/- {deviation} was LessThanThreshold '{threshold}'",
        "metric_name": "auc",
    }
    assert report["severity"] == "critical"
    assert report["sentence"] == "The model is worse than it was, by its labels, in 1,000 records."
    figure = report["quality"]["figures"]["auc"]
    assert (figure["state"], figure["reference"]) == ("worse", threshold)
    assert figure["low"] < figure["value"] < figure["high"]
    assert figure["value"] < figure["least"] < threshold
    assert f"auc {threshold:.4g} → {value:.4g}" in report["findings"][0]["text"]
    assert "Quality, measured with labels" in page
    assert of_content(report).quality.figures["auc"].state == "worse"


def test_the_page_shows_which_label_is_taken_for_which(tmp_path, baseline):
    source = predictions(tmp_path / "in.csv", 1000, seed=2)
    made = runs.run(source, BINARY, tmp_path / "out",
                    constraints=runs.read_constraints(baseline / "constraints.json"))  # fmt: skip

    page = (tmp_path / "out/report.html").read_text()
    matrix = made.result.more["quality"]["confusion_matrix"]
    right, wrong = matrix["1"]["1"], matrix["1"]["0"]
    assert "Confusion matrix" in page
    assert f">{right:,} <small>{right / (right + wrong):.0%}</small></td>" in page
    assert f">{wrong:,} <small>{wrong / (right + wrong):.0%}</small></td>" in page
    assert f"<td class=n>{right + wrong:,}</td></tr>" in page


def test_of_many_labels_the_frequent_ones_are_shown_and_names_stay_text(tmp_path):
    labels = [f"<b>{index}" for index in range(20) for _ in range(100 - 4 * index)]
    lines = "".join(f"{one},{one}\n" for one in labels)
    for name in ("base", "now"):
        (tmp_path / f"{name}.csv").write_text(f"prediction,label\n{lines}")
    asked = Attributes(problem="MulticlassClassification", inference="prediction", truth="label")
    runs.run(Source(tmp_path / "base.csv", "csv"), asked, tmp_path / "base")

    runs.run(Source(tmp_path / "now.csv", "csv"), asked, tmp_path / "out", language="es",
             constraints=runs.read_constraints(tmp_path / "base" / "constraints.json"))  # fmt: skip

    page = (tmp_path / "out/report.html").read_text()
    assert "Matriz de confusión" in page
    assert page.count("<th scope=row>") == 12
    assert "Se dejan fuera 8 etiquetas más raras." in page
    assert "&lt;b&gt;0</th>" in page
    assert "<b>0" not in page


def test_the_command_draws_the_windows_before(tmp_path, baseline):
    for seed in (3, 4):
        predictions(tmp_path / f"{seed}.csv", 400, seed=seed)
        done = command([
            "quality", str(tmp_path / f"{seed}.csv"), "--probability", "probability", "-b", str(baseline),
            "--history", str(tmp_path / "runs"), "--language", "es", "-o", str(tmp_path / "runs" / str(seed)),
        ])  # fmt: skip
        assert done in {0, 1}

    first, second = ((tmp_path / "runs" / one / "report.html").read_text() for one in "34")
    assert "auc en el tiempo, con su banda" in second
    assert "en el tiempo, con su banda" not in first


def test_thresholds_that_chance_broke_are_violations_but_no_alarm_and_calibrated_neither(tmp_path):
    # SageMaker's thresholds are the baseline's own values: every second one breaks by chance
    runs.run(predictions(tmp_path / "a.csv", 2000, seed=3), BINARY, tmp_path / "base")
    given = content(tmp_path / "base/constraints.json")
    (tmp_path / "c.json").write_text(json.dumps(given | {"comparison_method": "Calibrated"}))
    plain, calibrated = (
        runs.read_constraints(path)
        for path in (tmp_path / "base/constraints.json", tmp_path / "c.json")
    )
    windows = [predictions(tmp_path / f"{seed}.csv", 1000, seed=seed) for seed in range(10, 16)]

    by_aws = [runs.run(window, BINARY, constraints=plain) for window in windows]
    by_us = [runs.run(window, BINARY, constraints=calibrated) for window in windows]

    assert sum(bool(made.violations) for made in by_aws) >= 3
    assert {made.result.verdict.severity for made in by_aws} == {"none"}
    assert [made.violations for made in by_us] == [[]] * 6


def test_too_few_labels_are_said_to_be_too_few(tmp_path, baseline):
    constraints = runs.read_constraints(baseline / "constraints.json")

    made = runs.run(
        predictions(tmp_path / "in.csv", 30, seed=2, noise=1), BINARY, constraints=constraints
    )

    assert made.result.verdict.sentence.startswith("Only 30 records have a label: too few")
    assert {one.state for one in made.judged.values()} == {"not enough data"}


def test_a_window_with_one_label_alone_knows_the_positive_one_from_its_baseline(tmp_path):
    text = "prediction,label\n" + "ham,ham\nspam,spam\nspam,ham\n" * 30
    (tmp_path / "a.csv").write_text(text)
    asked = Attributes(
        problem="BinaryClassification", inference="prediction", truth="label", positive="spam"
    )
    runs.run(Source(tmp_path / "a.csv", "csv"), asked, tmp_path / "base")
    constraints = runs.read_constraints(tmp_path / "base/constraints.json")
    (tmp_path / "b.csv").write_text("prediction,label\n" + "ham,ham\n" * 60)

    made = runs.run(
        Source(tmp_path / "b.csv", "csv"), Attributes(problem="BinaryClassification", inference="prediction", truth="label"),
        tmp_path / "out", constraints=constraints,
    )  # fmt: skip

    metrics = content(tmp_path / "out/statistics.json")["binary_classification_metrics"]
    assert metrics["confusion_matrix"] == {
        "ham": {"ham": 60, "spam": 0},
        "spam": {"ham": 0, "spam": 0},
    }
    assert metrics["recall"]["value"] == "NaN"
    assert made.violations == []


def test_constraints_of_sagemaker_itself_are_read(tmp_path):
    theirs = {
        "version": 0.0,
        "regression_constraints": {
            "mae": {"threshold": 0.504, "comparison_operator": "GreaterThanThreshold"},
            "r2": {"threshold": -3.2, "comparison_operator": "LessThanThreshold"},
        },
    }
    (tmp_path / "constraints.json").write_text(json.dumps(theirs))
    constraints = runs.read_constraints(tmp_path / "constraints.json")

    made = runs.run(numbers(tmp_path / "in.csv", 500), REGRESSION, constraints=constraints)

    assert [one["metric_name"] for one in made.violations] == ["mae"]
    assert made.judged["mae"].state == "worse"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"features": []}, "so it is no baseline of model quality. It is one of data quality."),
        (
            {"regression_constraints": {"mae": {"threshold": "x"}}},
            "constraint mae needs a number `threshold`",
        ),
        ([], "constraints.json is not a JSON object"),
    ],
    ids=["data-quality", "no-number", "a-list"],
)
def test_constraints_that_are_none_are_refused(tmp_path, given, told):
    (tmp_path / "constraints.json").write_text(json.dumps(given))

    with pytest.raises(BaselineError) as caught:
        runs.read_constraints(tmp_path / "constraints.json")

    assert told in str(caught.value)


def test_a_baseline_of_another_problem_is_refused(tmp_path, baseline):
    constraints = runs.read_constraints(baseline / "constraints.json")

    with pytest.raises(
        BaselineError, match="The baseline is of BinaryClassification, but the problem type is Regr"
    ):
        runs.run(numbers(tmp_path / "in.csv", 10), REGRESSION, constraints=constraints)


def _environment(tmp_path, **given):
    return {
        "analysis_type": "MODEL_QUALITY", "dataset_format": '{"csv": {"header": true}}',
        "inference_attribute": "prediction", "probability_attribute": "probability",
        "ground_truth_attribute": "label", "output_path": str(tmp_path / "out"),
        "SAGEMAKER_BASE_DIR": str(tmp_path / "ml"),
    } | given  # fmt: skip


def test_the_container_merges_judges_and_tells_cloudwatch(tmp_path, line):
    predictions(tmp_path / "base.csv", 2000, seed=1)
    rng = np.random.default_rng(5)
    scores = rng.random(400)
    folder = tmp_path / "in/price/AllTraffic/2026/01/05/10"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text(
        "\n".join(
            line("1,2", f"{int(p > 0.5)},{p:.4f}", event=f"e-{i}") for i, p in enumerate(scores)
        )
    )
    labels = [
        {"groundTruthData": {"data": str(int(rng.random() < 0.5)), "encoding": "CSV"},
         "eventMetadata": {"eventId": f"e-{i}"}, "eventVersion": "0"} for i in range(400)
    ]  # fmt: skip
    (tmp_path / "truth/2026/01/05/11").mkdir(parents=True)
    (tmp_path / "truth/2026/01/05/11/l.jsonl").write_text("\n".join(map(json.dumps, labels)))
    told = container(
        _environment(
            tmp_path, dataset_source=str(tmp_path / "base.csv"), problem_type="BinaryClassification"
        )
    )
    merging = {
        "dataset_source": str(tmp_path / "in"), "ground_truth_source": str(tmp_path / "truth"),
        "output_path": str(tmp_path / "merged"), "SAGEMAKER_BASE_DIR": str(tmp_path / "ml"),
    }  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "farero_monitor.merge"],
        env=os.environ | merging,
        check=True,
        timeout=60,
    )

    message = container(_environment(
        tmp_path,
        dataset_format='{"sagemakerMergeJson":{"captureIndexNames":["endpointOutput"]}}',
        dataset_source=str(tmp_path / "merged"), inference_attribute="0", probability_attribute="1",
        ground_truth_attribute="", baseline_constraints=str(tmp_path / "out/constraints.json"),
        output_path=str(tmp_path / "run"), publish_cloudwatch_metrics="Enabled",
        sagemaker_endpoint_name="price", sagemaker_monitoring_schedule_name="quality",
        start_time="2026-01-05T10:00:00Z", end_time="2026-01-05T11:00:00Z", metric_time="2026-01-05T11:00:00Z",
    ))  # fmt: skip

    assert told == "Completed: Job completed successfully with no violations."
    assert message.startswith("CompletedWithViolations: ")
    lines = (
        (tmp_path / "ml/output/metrics/cloudwatch/cloudwatch_metrics.jsonl")
        .read_text()
        .splitlines()
    )
    metrics = {one["MetricName"]: one for one in map(json.loads, lines)}
    assert {"auc", "auc_standard_deviation", "f1", "accuracy_best_constant_classifier"} <= set(
        metrics
    )
    statistics = content(tmp_path / "run/statistics.json")["binary_classification_metrics"]
    assert metrics["auc"] == {
        "MetricName": "auc", "Value": statistics["auc"]["value"], "Unit": "None",
        "Timestamp": "2026-01-05T11:00:00Z",
        "Dimensions": [{"Name": "Endpoint", "Value": "price"}, {"Name": "MonitoringSchedule", "Value": "quality"}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"problem_type": "Clustering"}, "problem_type is 'Clustering', but must be one of Regression, Bin"),
        ({"ground_truth_attribute": ""}, "The environment variable ground_truth_attribute is missing."),
        ({"ground_truth_attribute": "lable"}, "there are: prediction, probability, label. Did you mean 'label'?"),
        ({"probability_threshold_attribute": "half"}, "probability_threshold_attribute must be a number, not 'half'."),
        ({"dataset_format": "csv"}, "dataset_format is not a JSON object: csv"),
        ({"dataset_source": "/nowhere/at/all"}, "/nowhere/at/all does not exist."),
        ({"analysis_type": "MODEL_BIAS"}, "analysis_type is 'MODEL_BIAS', but must be one of DATA_QUALITY, MODEL_QUALITY"),
        ({"record_preprocessor_script": "x.py"}, "record_preprocessor_script works with captures"),
    ],
    ids=["problem", "no-label", "label", "threshold", "format", "source", "analysis", "script"],
)  # fmt: skip
def test_a_wrong_variable_ends_the_container_with_its_name(tmp_path, wrong, told):
    predictions(tmp_path / "a.csv", 50)
    given = (
        _environment(
            tmp_path, dataset_source=str(tmp_path / "a.csv"), problem_type="BinaryClassification"
        )
        | wrong
    )

    done = subprocess.run(
        [sys.executable, "-m", "farero_monitor.container"], env=os.environ | given,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 255
    assert told in (tmp_path / "ml/output/message").read_text()
    assert "Traceback" not in done.stderr


def test_the_command_compares_with_a_baseline(tmp_path, baseline, capsys):
    predictions(tmp_path / "same.csv", 1000, seed=2)
    predictions(tmp_path / "worse.csv", 1000, seed=2, noise=0.6)
    options = ["--probability", "probability", "--prediction", "prediction", "-b", str(baseline)]

    same = command(["quality", str(tmp_path / "same.csv"), *options, "-o", str(tmp_path / "out")])
    told_same = capsys.readouterr().out
    worse = command(["quality", str(tmp_path / "worse.csv"), *options])
    told_worse = capsys.readouterr().out

    assert (same, worse) == (0, 1)
    assert "Nothing that matters has changed in 1,000 records." in told_same
    assert (tmp_path / "out/report.html").is_file()
    auc = next(text for text in told_worse.splitlines() if text.startswith("auc "))
    assert auc.endswith("worse")


def test_the_command_joins_captures_with_ground_truth(tmp_path, line, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jsonl").write_text(
        "\n".join(line("1", str(float(i)), event=f"e-{i}") for i in range(60))
    )
    labels = [
        {
            "groundTruthData": {"data": str(i + 1), "encoding": "CSV"},
            "eventMetadata": {"eventId": f"e-{i}"},
        }
        for i in range(50)
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, labels)))

    code = command(
        [
            "quality",
            str(tmp_path / "in"),
            "--truth",
            str(tmp_path / "labels.jsonl"),
            "--problem",
            "regression",
            "--json",
        ]
    )

    report = json.loads(capsys.readouterr().out)
    assert code == 0
    assert report["quality"]["rows"] == 50
    assert report["quality"]["figures"]["mae"]["value"] == 1.0


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_command_joins_two_tables_by_an_id(tmp_path, capsys, kind):
    columns = {"id": [f"o-{i}" for i in range(80)], "prediction": ["cat", "dog"] * 40}
    labels = {"id": [f"o-{i}" for i in range(20, 100)], "label": ["cat"] * 80}
    for name, table in (("p", columns), ("l", labels)):
        if kind == "parquet":
            pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
        else:
            rows = zip(*table.values(), strict=True)
            (tmp_path / f"{name}.csv").write_text(
                "\n".join([",".join(table), *map(",".join, rows)])
            )

    code = command([
        "quality", str(tmp_path / f"p.{kind}"), "--truth", str(tmp_path / f"l.{kind}"), "--problem", "multiclass",
    ])  # fmt: skip

    told = capsys.readouterr().out
    assert code == 0
    assert "60 of 80 predictions have a label (80 labels)." in told
    assert "accuracy" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Say what kind of problem it is: --problem regression|binary|multiclass."),
        (
            ["--problem", "binary", "--truth", "l.csv"],
            "None of 50 predictions has a label: 1 labels were read",
        ),
        (["--problem", "binary", "--label", "truth"], "a.csv has no column 'truth'"),
        (["-b", "nowhere"], "nowhere"),
    ],
    ids=["no-problem", "other-ids", "no-column", "no-baseline"],
)
def test_the_command_says_what_is_wrong(tmp_path, capsys, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    predictions(tmp_path / "a.csv", 50)
    text = (tmp_path / "a.csv").read_text().splitlines()
    (tmp_path / "a.csv").write_text(
        "\n".join([f"id,{text[0]}", *(f"{i},{row}" for i, row in enumerate(text[1:]))])
    )
    (tmp_path / "l.csv").write_text("id,label\nx-1,1\n")

    code = command(["quality", "a.csv", *arguments])

    assert code == 2
    assert told in capsys.readouterr().err
