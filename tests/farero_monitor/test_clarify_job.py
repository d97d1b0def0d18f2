"""The container: a job by itself, a monitoring run, and what is told about mistakes. Files in, files out."""

import json
import os
import string
import subprocess
import sys

import numpy as np
import pytest

from farero_monitor.clarify import bias, job, texts
from farero_monitor.clarify.answers import AnswerError
from farero_monitor.clarify.config import ConfigError, parse
from farero_monitor.readers.files import NoDataError

HEADERS = ["paid", "sex", "age", "income"]
BIAS = {
    "dataset_type": "text/csv",
    "label": "paid",
    "label_values_or_threshold": [1],
    "facet": [{"name_or_index": "sex", "value_or_threshold": [0]}],
    "methods": {
        "pre_training_bias": {"methods": "all"},
        "report": {"name": "report", "title": "Loans"},
    },
}


def _people(count, *, seed=0, gap=5.0):
    """Rows of paid, sex, age, income, and a model's answer that is unfair by `gap`."""
    rng = np.random.default_rng(seed)
    sex, age = rng.integers(0, 2, count), rng.integers(18, 80, count)
    income = rng.normal(50, 10, count) + 2 * sex
    paid = (income + rng.normal(0, 5, count) > 52).astype(int)
    score = 1 / (1 + np.exp(-(income + gap * sex - 52 - gap / 2) / 5))
    return paid, sex, age, income.round(2), score.round(4)


@pytest.fixture
def place(tmp_path):
    """A folder as a processing job has it, and a function that runs the job there."""
    root = tmp_path / "ml"

    def run(config, files, **environ):
        source, target = root / "processing/input/data", root / "processing/input/config"
        for folder in (source, target):
            folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (source / name).write_text(content)
        if config is not None:
            (target / "analysis_config.json").write_text(json.dumps(config))
        return job.run(
            {"SAGEMAKER_BASE_DIR": str(root), "AWS_ENDPOINT_URL": "http://127.0.0.1:9", **environ}
        )

    run.root = root
    run.read = lambda name: json.loads((root / "processing/output" / name).read_text())
    return run


def _csv(*columns, header=None):
    lines = [] if header is None else [",".join(header)]
    return "\n".join(lines + [",".join(map(str, row)) for row in zip(*columns, strict=True)]) + "\n"


def _metrics(analysis, section="pre_training_bias_metrics", facet="sex", at=0):
    return {m["name"]: m["value"] for m in analysis[section]["facets"][facet][at]["metrics"]}


@pytest.mark.parametrize("with_header", [True, False])
def test_a_job_measures_bias_before_training(place, with_header):
    paid, sex, age, income, _ = _people(2000)
    header = HEADERS if with_header else None
    config = BIAS if with_header else BIAS | {"headers": HEADERS}

    message = place(config, {"train.csv": _csv(paid, sex, age, income, header=header)})

    assert message == "Completed: Job completed successfully."
    found = place.read("analysis.json")
    section = found["pre_training_bias_metrics"]
    assert found["version"] == "1.0"
    assert (section["label"], section["label_value_or_threshold"]) == ("paid", "1")
    assert section["facets"]["sex"][0]["value_or_threshold"] == "0"
    metrics = _metrics(found)
    assert list(metrics) == ["CDDL", "CI", "DPL", "JS", "KL", "KS", "LP", "TVD"]
    assert metrics["DPL"] == pytest.approx(paid[sex == 1].mean() - paid[sex == 0].mean())
    assert metrics["CI"] == pytest.approx(((sex == 1).sum() - (sex == 0).sum()) / 2000)
    cddl = section["facets"]["sex"][0]["metrics"][0]
    assert cddl["value"] is None
    assert cddl["error"] == "Group variable is empty or not provided"
    assert "Loans" in (place.root / "processing/output/report.html").read_text()


def test_every_value_of_a_facet_is_a_group_where_none_is_named(place):
    paid, sex, age, income, _ = _people(500)
    town = np.array(["Lugo", "Vigo", "Ourense"])[np.arange(500) % 3]
    config = BIAS | {"facet": [{"name_or_index": "town"}, {"name_or_index": 1}]}

    place(config, {"a.csv": _csv(paid, sex, age, income, town, header=[*HEADERS, "town"])})

    facets = place.read("analysis.json")["pre_training_bias_metrics"]["facets"]
    assert [one["value_or_threshold"] for one in facets["town"]] == ["Lugo", "Ourense", "Vigo"]
    assert [one["value_or_threshold"] for one in facets["sex"]] == ["0", "1"]


def test_thresholds_divide_numbers(place):
    paid, sex, age, income, _ = _people(400)
    config = BIAS | {
        "label": "income",
        "label_values_or_threshold": [55.5],
        "facet": [{"name_or_index": "age", "value_or_threshold": [40]}],
    }

    place(config, {"a.csv": _csv(paid, sex, age, income, header=HEADERS)})

    found = place.read("analysis.json")
    section = found["pre_training_bias_metrics"]
    assert section["label_value_or_threshold"] == f"(55.5, {income.max()}]"
    assert section["facets"]["age"][0]["value_or_threshold"] == f"(40, {age.max()}]"
    old, rich = age > 40, income > 55.5
    assert _metrics(found, facet="age")["DPL"] == pytest.approx(
        rich[~old].mean() - rich[old].mean()
    )


def test_predictions_beside_the_labels_need_no_model(place):
    paid, sex, age, income, score = _people(1500)
    said = (score > 0.5).astype(int)
    config = BIAS | {
        "predicted_label": "said", "group_variable": "age",
        "methods": {"post_training_bias": {"methods": "all"}},
    }  # fmt: skip

    place(config, {"a.csv": _csv(paid, sex, age, income, said, header=[*HEADERS, "said"])})

    metrics = _metrics(place.read("analysis.json"), "post_training_bias_metrics")
    assert list(metrics) == [
        "AD", "CDDPL", "DAR", "DCA", "DCR", "DI", "DPPL", "DRR", "FT", "GE", "RD", "SD", "TE",
    ]  # fmt: skip
    assert metrics["DI"] == pytest.approx(said[sex == 0].mean() / said[sex == 1].mean())
    right = said == paid
    assert metrics["AD"] == pytest.approx(right[sex == 1].mean() - right[sex == 0].mean())
    assert None not in metrics.values()


def test_json_lines_are_found_by_their_paths(place):
    paid, sex, age, _, score = _people(300)
    lines = [
        json.dumps({"x": {"features": [int(s), int(a)]}, "paid": int(p), "said": int(q > 0.5)})
        for p, s, a, q in zip(paid, sex, age, score, strict=True)
    ]
    config = BIAS | {
        "dataset_type": "application/jsonlines", "headers": ["sex", "age", "paid"],
        "features": "x.features", "predicted_label": "said",
        "methods": {"post_training_bias": {"methods": ["DI", "AD"]}},
    }  # fmt: skip

    place(config, {"a.jsonl": "\n".join(lines)})

    metrics = _metrics(place.read("analysis.json"), "post_training_bias_metrics")
    said = score > 0.5
    assert metrics["DI"] == pytest.approx(said[sex == 0].mean() / said[sex == 1].mean())
    assert list(metrics) == ["AD", "DI"]


def test_facets_of_another_file_are_joined(place, tmp_path):
    paid, sex, age, income, _ = _people(200)
    key = np.array([f"k{at}" for at in range(200)])
    order = np.random.default_rng(1).permutation(200)
    other = tmp_path / "facets.csv"
    other.write_text(_csv(key[order], sex[order], header=["key", "sex"]))
    config = BIAS | {
        "facet_dataset_uri": f"file://{other}", "facet_headers": ["key", "sex"],
        "joinsource_name_or_index": "key",
    }  # fmt: skip

    place(config, {"a.csv": _csv(paid, age, income, key, header=["paid", "age", "income", "key"])})

    expected = paid[sex == 1].mean() - paid[sex == 0].mean()
    assert _metrics(place.read("analysis.json"))["DPL"] == pytest.approx(expected)


def test_paths_of_the_request_are_followed(place):
    paid, sex, age, income, _ = _people(100)
    (place.root / "config").mkdir(parents=True)
    told = {
        "ProcessingInputs": [
            {"InputName": "dataset", "S3Input": {"LocalPath": "/opt/ml/processing/elsewhere"}}
        ],
        "ProcessingOutputConfig": {
            "Outputs": [{"S3Output": {"LocalPath": "/opt/ml/processing/made"}}]
        },
    }
    (place.root / "config/processingjobconfig.json").write_text(json.dumps(told))
    (place.root / "processing/elsewhere").mkdir(parents=True)
    (place.root / "processing/elsewhere/a.csv").write_text(
        _csv(paid, sex, age, income, header=HEADERS)
    )

    place(BIAS, {})

    assert (place.root / "processing/made/analysis.json").is_file()


WRONG = [
    pytest.param({"facet": [{"name_or_index": "gender"}]}, r"facet 'gender' is no column of the data. There are: paid, sex, age, income\.", id="facet"),
    pytest.param({"label": "y"}, "label 'y' is no column", id="label"),
    pytest.param({"group_variable": 9}, "group_variable '9' is no column", id="group"),
    pytest.param({"label_values_or_threshold": [7]}, r"label 'paid' never has the value 7. It has: 0, 1\.", id="value"),
    pytest.param({"facet": [{"name_or_index": "income"}]}, "facet 'income' is continuous .* needs a threshold", id="threshold"),
    pytest.param({"facet": [{"name_or_index": "income", "value_or_threshold": [500]}]}, "threshold 500 .* does not divide it", id="outside"),
    pytest.param({"headers": ["a", "b"]}, "`headers` names 2 columns, the first line of a.csv has 4 values", id="headers"),
    pytest.param({"label_values_or_threshold": None}, "`label_values_or_threshold` is missing", id="no values"),
    pytest.param({"facet": []}, "`facet` is missing", id="no facet"),
    pytest.param({"methods": {}}, "names no analysis", id="no methods"),
    pytest.param({"methods": {"pre_training_bias": {"methods": ["CI", "XY"]}}}, "names the metric 'XY'. There are: CDDL, CI", id="metric"),
    pytest.param({"dataset_type": "text/tsv"}, "dataset_type 'text/tsv' is not known", id="type"),
    pytest.param({"methods": {"shap": {"num_samples": "many"}}}, r"Expected `int \| null`, got `str` - at `\$.methods.shap.num_samples`", id="schema"),
    pytest.param({"methods": {"shap": {}}}, "`predictor` names neither model_name nor endpoint_name", id="no model"),
    pytest.param({"version": "3"}, "version '3' is not known", id="version"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "told"), WRONG)
def test_a_mistake_in_the_configuration_is_named(place, change, told):
    paid, sex, age, income, _ = _people(200)

    with pytest.raises(ConfigError, match=told):
        place(BIAS | change, {"a.csv": _csv(paid, sex, age, income, header=HEADERS)})


def test_a_constant_label_is_named(place):
    _, sex, age, income, _ = _people(50)

    with pytest.raises(ConfigError, match=r"label 'paid' is constant \('1'\)"):
        place(BIAS, {"a.csv": _csv(np.ones(50, int), sex, age, income, header=HEADERS)})


def test_the_program_says_where_the_configuration_is_missing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "farero_monitor.clarify"], capture_output=True, text=True, check=False,
        env=os.environ | {"SAGEMAKER_BASE_DIR": str(tmp_path)},
    )  # fmt: skip

    path = tmp_path / "processing/input/config/analysis_config.json"
    assert done.returncode == 255
    assert (
        (tmp_path / "output/message")
        .read_text()
        .startswith(f"There is no analysis configuration at {path}.")
    )
    assert "Traceback" not in done.stderr


def test_no_data_is_said_with_its_place(place):
    with pytest.raises(NoDataError, match="processing/input/data is empty"):
        place(BIAS, {})


def test_a_file_that_is_no_json_is_refused():
    with pytest.raises(ConfigError, match=r"analysis_config\.json: JSON is malformed"):
        parse(b"{nonsense")


@pytest.fixture
def window(place, line, tmp_path):
    """Return a function that judges a window of answers with labels against a baseline's analysis."""

    def run(people, baseline=None, config=None, **environ):
        paid, sex, age, income, score = people
        lines = []
        for at, row in enumerate(zip(paid, sex, age, income, score, strict=True)):
            record = json.loads(line(f"{row[1]},{row[2]},{row[3]}", str(row[4]), event=f"e{at}"))
            record["groundTruthData"] = {"data": str(row[0]), "encoding": "CSV"}
            lines.append(json.dumps(record))
        folder = tmp_path / "merged" / "loans" / "AllTraffic" / "2026" / "01" / "05" / "10"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
        if baseline is not None:
            (tmp_path / "constraints").mkdir(exist_ok=True)
            (tmp_path / "constraints/analysis.json").write_text(json.dumps(baseline))
            environ["baseline_constraints"] = str(tmp_path / "constraints")
        told = config or {key: BIAS[key] for key in ("label", "label_values_or_threshold", "facet")}
        return place(
            told | {"headers": HEADERS}, {}, analysis_type="MODEL_BIAS",
            dataset_format='{"sagemakerMergeJson":{"captureIndexNames":["endpointInput","endpointOutput"]}}',
            dataset_source=str(tmp_path / "merged"), sagemaker_endpoint_name="loans",
            sagemaker_monitoring_schedule_name="hourly", metric_time="2026-01-05T10:00:00Z",
            publish_cloudwatch_metrics="Enabled", inference_attribute="0", probability_threshold_attribute="0.5",
            **environ,
        )  # fmt: skip

    run.place = place
    return run


def test_a_window_without_baseline_is_measured_whole(window):
    people = _people(800)

    assert window(people) == "Completed: Job completed successfully with no violations."

    found = window.place.read("analysis.json")
    paid, sex, _, _, score = people
    said = score > 0.5
    after = _metrics(found, "post_training_bias_metrics")
    assert after["DPPL"] == pytest.approx(said[sex == 1].mean() - said[sex == 0].mean())
    assert _metrics(found)["DPL"] == pytest.approx(paid[sex == 1].mean() - paid[sex == 0].mean())


def test_bias_that_grows_violates_in_clarifys_words(window):
    window(_people(4000, gap=0.0))
    baseline = window.place.read("analysis.json")

    message = window(_people(4000, seed=1, gap=8.0), baseline)

    violations = window.place.read("constraint_violations.json")
    broken = {one["metric_name"]: one for one in violations["violations"]}
    analysis = _metrics(window.place.read("analysis.json"), "post_training_bias_metrics")
    assert violations["version"] == "1.0"
    assert (
        message
        == f"CompletedWithViolations: Job completed successfully with {len(broken)} violations."
    )
    assert broken["DPPL"] == {
        "facet": "sex",
        "facet_value": "0",
        "metric_name": "DPPL",
        "constraint_check_type": "bias_drift_check",
        "description": f"Value {analysis['DPPL']} does not meet the constraint requirement",
    }
    assert "DI" in broken
    judged = {one["metric"]: one for one in window.place.read("drift_report.json")["bias"]}
    assert judged["DPPL"]["beyond_chance"]
    _, sex, _, _, score = _people(4000, seed=1, gap=8.0)
    shares = [(score > 0.5)[sex == side].mean() for side in (0, 1)]
    exact = np.sqrt(sum(p * (1 - p) / (sex == side).sum() for side, p in enumerate(shares)))
    assert judged["DPPL"]["deviation"] == pytest.approx(exact, rel=0.1)
    # the labels have not changed: whatever chance did to them is no news
    assert not any(judged[name]["beyond_chance"] for name in ("CI", "DPL", "KL", "TVD"))


def test_the_page_of_a_window_is_spanish_where_its_environment_asks_for_it(window):
    window(_people(2000, gap=0.0))
    baseline = window.place.read("analysis.json")

    window(_people(2000, seed=1, gap=8.0), baseline, LANG="es")

    page = (window.place.root / "processing/output/report.html").read_text()
    told = window.place.read("drift_report.json")
    assert "<html lang=es>" in page
    assert told["spanish"]["sentence"] in page
    assert "métricas están más lejos de lo justo" in told["spanish"]["sentence"]
    assert "metrics are farther from fair" in told["sentence"]
    assert "Impacto desigual (DI) <b class=bad>peor</b> más que el azar" in page
    assert "sex 0, después de entrenar" in page
    assert not any(word in page for word in ("training", "beyond", "worse", "baseline", "samples"))
    assert window.place.read("analysis.json")["version"] == "1.0"


def test_texts_of_the_page_are_alike_in_both_languages():
    def fields(text):
        return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)

    assert texts.EN.keys() == texts.ES.keys()
    assert all(fields(texts.EN[key]) == fields(texts.ES[key]) for key in texts.EN)
    names = [*bias.METRICS, bias.FLIP]
    assert not [one for one in names if texts.described(one, "es") == texts.described(one)]
    reasons = {metric.undefined for metric in bias.METRICS.values()}
    assert not [one for one in reasons if texts.reason(one, "es") == one]
    assert texts.how("Kernel SHAP, 8 coalitions (all: exact)", "es") == (
        "Kernel SHAP, 8 coaliciones (todas: exacto)"
    )


def test_columns_by_number_count_the_headers(window):
    by_number = {
        "label": 0, "label_values_or_threshold": [1], "group_variable": 2,
        "facet": [{"name_or_index": 1, "value_or_threshold": [0]}],
    }  # fmt: skip

    window(_people(300), config=by_number)

    section = window.place.read("analysis.json")["pre_training_bias_metrics"]
    assert (section["label"], list(section["facets"])) == ("paid", ["sex"])
    assert None not in _metrics(window.place.read("analysis.json")).values()


def test_the_same_window_as_the_baseline_violates_nothing(window):
    window(_people(500))

    message = window(_people(500), window.place.read("analysis.json"))

    assert message == "Completed: Job completed successfully with no violations."
    assert window.place.read("constraint_violations.json")["violations"] == []


def test_metrics_carry_clarifys_names_and_dimensions(window):
    window(_people(600))

    path = window.place.root / "output/metrics/cloudwatch/cloudwatch_metrics.jsonl"
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    found = {one["MetricName"]: one for one in lines}
    assert {f"bias_metric_{name}" for name in ("CI", "DPL", "DI", "RD", "GE")} <= found.keys()
    assert {one["Name"]: one["Value"] for one in found["bias_metric_DI"]["Dimensions"]} == {
        "Endpoint": "loans", "MonitoringSchedule": "hourly", "BiasStage": "Post-Training",
        "Label": "paid", "LabelValue": "1", "Facet": "sex", "FacetValue": "0",
    }  # fmt: skip
    assert found["bias_metric_CI"]["Timestamp"] == "2026-01-05T10:00:00Z"
    assert {"Name": "BiasStage", "Value": "Pre-training"} in found["bias_metric_CI"]["Dimensions"]


def test_a_small_window_is_read_as_its_baseline_was(window):
    # 2,000 rows: 62 ages are below 5 %, so 40 is a value; 60 rows alone would make it a threshold
    facet = {"facet": [{"name_or_index": "age", "value_or_threshold": [40]}]}
    config = {key: BIAS[key] for key in ("label", "label_values_or_threshold")} | facet
    window(_people(2000), config=config)
    baseline = window.place.read("analysis.json")

    window(_people(60, seed=3), baseline, config=config)

    for found in (baseline, window.place.read("analysis.json")):
        (group,) = found["pre_training_bias_metrics"]["facets"]["age"]
        assert group["value_or_threshold"] == "40"


def test_a_group_that_stayed_away_has_no_values_and_fails_nothing(window):
    window(_people(500))
    paid, _, age, income, score = _people(80)

    message = window(
        (paid, np.ones(80, int), age, income, score), window.place.read("analysis.json")
    )

    assert message.startswith("Completed:")
    assert set(_metrics(window.place.read("analysis.json")).values()) == {None}


def test_a_window_of_other_columns_says_which_are_expected(window, tmp_path):
    with pytest.raises(ConfigError, match=r"has 3 values, `headers` names 2 features \(sex, age\)"):
        window.place(
            {"headers": ["paid", "sex", "age"], **{k: BIAS[k] for k in ("label", "facet", "label_values_or_threshold")}},
            {"a.jsonl": _captured_without_label()}, analysis_type="MODEL_BIAS",
            dataset_source=str(window.place.root / "processing/input/data"),
        )  # fmt: skip


def _captured_without_label():
    return json.dumps({
        "captureData": {
            "endpointInput": {"observedContentType": "text/csv", "data": "1,2,3", "encoding": "CSV"},
            "endpointOutput": {"observedContentType": "text/csv", "data": "0.5", "encoding": "CSV"},
        },
        "groundTruthData": {"data": "1", "encoding": "CSV"},
        "eventMetadata": {"inferenceTime": "2026-01-05T10:00:00Z"},
    })  # fmt: skip


def test_an_answer_that_is_no_label_is_shown(window):
    paid, sex, age, income, _ = _people(30)

    with pytest.raises(AnswerError, match="The model's answer is no number: perhaps"):
        window((paid, sex, age, income, np.array(["perhaps"] * 30)))
