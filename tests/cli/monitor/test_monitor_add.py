"""`farero monitor add --quality`, `--bias`, `--explain`: schedules of models, each from a baseline made in one line."""

import datetime as dt

import numpy as np
import pytest
import xgboost as xgb

from farero.cli.monitor import kinds, tables
from farero.cli.monitor.places import Place

PLACE = Place(endpoint="price", bucket="b", captures="captures/price/")


def judged(watched, schedule):
    """Let a schedule's definition look at the last two hours, as the console's "Run now"; return how it ended."""
    sagemaker, once = watched.platform.client("sagemaker"), f"{schedule}-now-1"
    config = sagemaker.describe_monitoring_schedule(MonitoringScheduleName=schedule)
    now = {
        "ScheduleExpression": "NOW", "DataAnalysisStartTime": "-PT2H", "DataAnalysisEndTime": "-PT0H",
    }  # fmt: skip
    sagemaker.create_monitoring_schedule(
        MonitoringScheduleName=once,
        MonitoringScheduleConfig={**config["MonitoringScheduleConfig"], "ScheduleConfig": now},
    )

    def ended():
        found = sagemaker.list_monitoring_executions(MonitoringScheduleName=once)
        for one in found["MonitoringExecutionSummaries"]:
            if one["MonitoringExecutionStatus"] not in {"Pending", "InProgress"}:
                return one["MonitoringExecutionStatus"], one.get("FailureReason", "")
        return None

    return watched.platform.wait(ended, 150)


@pytest.fixture(scope="module")
def sold(watch, rows_of):
    """An endpoint of which 200 answers are known and labelled, and what is normal of its quality."""
    watched = watch("flats-add")
    ids = [f"a-{index}" for index in range(200)]
    answers = np.array(watched.send(rows_of(200, seed=41), ids=ids))
    watched.platform.wait(lambda: len(watched.captured()) >= 200, 60)
    truth = answers + np.random.default_rng(1).normal(0, 5, 200)
    return watched, write_labels(watched, ids, truth)


def write_labels(watched, ids, values):
    path = watched.folder / f"labels-{ids[0]}.csv"
    lines = [f"{one},{value:.4f}" for one, value in zip(ids, values, strict=True)]
    path.write_text("\n".join(["id,label", *lines]) + "\n")
    return str(path)


@pytest.mark.journey
def test_a_schedule_judges_a_model_by_the_labels_that_came(sold, rows_of):
    flats, labels = sold
    none = flats.farero("monitor", "add", flats.name, "--quality", check=False)
    assert "E-NO-BASELINE  flats-add has no baseline of ModelQuality" in none.stderr
    assert "--problem regression|binary|multiclass --as-baseline" in none.stderr
    flats.farero("monitor", "label", flats.name, labels)
    flats.farero("monitor", "quality", flats.name, "--problem", "regression", "--as-baseline")

    added = flats.json("monitor", "add", flats.name, "--quality", "--every", "1d")
    assert added == {
        "schedule": "farero-quality-flats-add", "expression": "cron(0 0 ? * * *)", "type": "ModelQuality",
    }  # fmt: skip
    ids = [f"b-{index}" for index in range(100)]
    answers = np.array(flats.send(rows_of(100, seed=42), ids=ids))
    wrong = answers + np.random.default_rng(2).normal(0, 60, 100)
    flats.platform.wait(lambda: len(flats.captured()) >= 300, 60)
    flats.farero("monitor", "label", flats.name, write_labels(flats, ids, wrong))

    assert judged(flats, "farero-quality-flats-add")[0] == "CompletedWithViolations"
    measured = flats.json("monitor", "show", flats.name)["measured"]
    assert measured["figures"]["rmse"]["value"] > 20
    assert measured["figures"]["rmse"]["state"] == "worse"
    page = flats.folder / "quality.html"
    flats.farero("monitor", "report", flats.name, "--quality", "-o", str(page))
    assert "rmse" in page.read_text()
    twice = flats.farero("monitor", "add", flats.name, "--quality", check=False)
    assert "E-EXISTS  flats-add has a schedule of ModelQuality already" in twice.stderr
    other = flats.farero("monitor", "rm", flats.name, "--bias", check=False)
    assert "E-NO-SCHEDULE  flats-add has no schedule of ModelBias" in other.stderr
    assert flats.json("monitor", "rm", flats.name, "--quality") == {
        "removed": ["farero-quality-flats-add"]
    }


@pytest.fixture(scope="module")
def loans(shared_platform, watch_model, tmp_path_factory):
    """An endpoint of a model that says who will pay; its training data lie in train.csv, the truth last."""
    rng = np.random.default_rng(1)
    sex, age = rng.integers(0, 2, 300), rng.integers(18, 80, 300)
    income = (rng.normal(50, 10, 300) + 4 * sex).round(1)
    paid = (income + rng.normal(0, 5, 300) > 52).astype(int)
    rows = np.column_stack([sex, age, income])
    path = tmp_path_factory.mktemp("loans") / "loans.ubj"
    told = {"objective": "binary:logistic", "max_depth": 3}
    xgb.train(told, xgb.DMatrix(rows, paid), 10).save_model(path)
    watched = watch_model("loans-add", path)
    table = np.column_stack([rows, paid])
    np.savetxt(watched.train, table, "%g", ",", header="sex,age,income,paid", comments="")
    return watched, rows, paid


@pytest.mark.journey
def test_bias_and_attributions_are_watched_from_one_line_each(loans):
    watched, rows, paid = loans
    name, train = watched.name, str(watched.train)
    early = watched.farero("monitor", "add", name, "--bias", check=False)
    assert "fix:   farero monitor bias loans-add train.csv --facet COLUMN=VALUE" in early.stderr
    wrong = watched.farero("monitor", "bias", name, train, "--facet", "town=0", check=False)
    assert "E-FACET  there is no column 'town'; there are age, income, paid" in wrong.stderr

    shown = watched.farero("monitor", "bias", name, train, "--facet", "sex=0", "--label", "paid")
    assert "DPPL" in shown.stdout
    assert "next: farero monitor add loans-add --bias --every 1d" in shown.stdout
    found = watched.json("monitor", "explain", name, train, "--label", "paid", "--rows", "60")
    explained = found["analysis"]["explanations"]["kernel_shap"]["label0"]["global_shap_values"]
    assert max(explained, key=explained.get) == "income"

    own = f"s3://{watched.platform.bucket}/loans-add-labels"
    watched.farero("monitor", "add", name, "--bias", "--every", "1d", "--labels", own)
    watched.farero("monitor", "add", name, "--explain", "--every", "1d")
    ids = [f"loan-{index}" for index in range(120)]
    watched.send(rows[:120], ids=ids)
    watched.platform.wait(lambda: len(watched.captured()) >= 120, 60)
    there = watched.json("monitor", "label", name, write_labels(watched, ids, paid[:120]))
    assert there["labels"].startswith(f"{own}/")
    for schedule in ("farero-bias-loans-add", "farero-explain-loans-add"):
        ended, reason = judged(watched, schedule)
        assert ended in {"Completed", "CompletedWithViolations"}, reason
    told = watched.json("monitor", "show", name)
    assert {one["metric"] for one in told["bias"]["bias"]} > {"CI", "DPPL", "DI"}
    assert told["explain"]["attributions"]["label0"]["ndcg"] > 0.9
    page = watched.folder / "bias.html"
    watched.farero("monitor", "report", name, "--bias", "-o", str(page))
    assert "Bias of a model" in page.read_text()
    removed = watched.json("monitor", "rm", name)["removed"]
    assert removed == ["farero-bias-loans-add", "farero-explain-loans-add"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--quality", "--bias"], "E-KIND  --quality and --bias are different schedules"),
        (["--labels", "s3://b/labels"], "E-KIND  --labels says nothing about a schedule\n"),
        (["--explain", "--late", "7d"], "E-KIND  --late says nothing about a schedule of ModelExplainability"),
        (["--quality", "--baseline", "summer"], "E-KIND  --baseline says nothing about a schedule of ModelQuality"),
        (["--quality", "--labels", "labels"], "E-TO  'labels' is no place in S3"),
        (["--quality", "--late", "soon"], "E-LATE  'soon' is no span"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_wrong_usage(watch_nobody, flags, said):
    done = watch_nobody("monitor", "add", "nobody", *flags)
    assert done.returncode == 2
    assert said in done.stderr


def asked(**changed):
    return kinds.Asked(role="arn", region="eu-west-1", baseline="base/", **changed)


def test_late_labels_move_the_window_back_by_as_long_as_they_take():
    late, hour = dt.timedelta(days=7), dt.timedelta(hours=1)
    answers = {"problem": "BinaryClassification", "probability": "0", "positive": "sold"}
    made = kinds.definition(
        kinds.QUALITY, PLACE, "q", asked(labels="s3://b/l", late=late, span=hour, answers=answers)
    )

    assert made["ModelQualityJobInput"] == {
        "EndpointInput": {
            "EndpointName": "price", "LocalPath": "/opt/ml/processing/input/endpoint",
            "ProbabilityAttribute": "0", "ProbabilityThresholdAttribute": 0.5,
            "StartTimeOffset": "-P7DT1H", "EndTimeOffset": "-P7D",
        },
        "GroundTruthS3Input": {"S3Uri": "s3://b/l"},
    }  # fmt: skip
    app = made["ModelQualityAppSpecification"]
    assert (app["ProblemType"], app["Environment"]["positive_label"]) == (
        "BinaryClassification",
        "sold",
    )


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (dt.timedelta(days=8), "-P8D"), (dt.timedelta(hours=25), "-P1DT1H"), (dt.timedelta(minutes=90), "-PT1H30M"),
        (dt.timedelta(0), "-P0D"),
    ],
)  # fmt: skip
def test_offsets_are_written_as_sagemaker_takes_them(span, expected):
    assert kinds.iso(span) == expected


def test_names_of_schedules_keep_their_kind_however_long_the_endpoints_name_is():
    names = {kinds.schedule_name(kind, "e" * 63) for kind in kinds.KINDS}
    assert len(names) == len(kinds.KINDS)
    assert {len(name) for name in names} == {63}


@pytest.mark.parametrize(
    ("content", "label", "said"),
    [
        ("1,2\n3,4\n", "", "train.csv has no header: 1, 2"),
        ("a,b\n", "", "train.csv has no rows"),
        ("a\n1\n", "", "train.csv has one column"),
        ("a,b\n1,2\n3\n", "", "line 3 of train.csv has 1 values, the header 2"),
        ("a,b\n1,2\n", "c", "train.csv has no column 'c'; it has a, b"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_told_with_its_line(tmp_path, content, label, said):
    path = tmp_path / "train.csv"
    path.write_text(content)
    with pytest.raises(tables.TableError) as wrong:
        tables.read(path, label)
    assert str(wrong.value) == said
    assert wrong.value.fix


def test_the_label_comes_first_and_the_centre_is_like_most_rows(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("town,size,sold\nLugo,1,0\nLugo,5,1\nVigo,,0\n")
    table = tables.read(path, "sold")

    assert (table.label, table.features) == ("sold", ("town", "size"))
    assert tables.centre(table) == ["Lugo", 3.0]
    assert tables.text(tables.spread(table, 2)) == "sold,town,size\n0,Lugo,1\n1,Lugo,5\n"
