"""A classifier of three kinds that answers the probability of each (multi:softprob), in CSV or in JSON."""

import numpy as np
import pytest
import xgboost as xgb

FEATURES = ("length", "width")


def flowers(rows, seed, *, spread=1.0):
    """Return measures of flowers, (rows, 2), and their kinds, 0 to 2."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 3, rows)
    centers = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 2.0]])
    return (centers[kinds] + rng.normal(0, spread, (rows, 2))).round(4), kinds


@pytest.fixture(scope="module")
def kinds_model(tmp_path_factory):
    """A booster, and the file it is in."""
    rows, kinds = flowers(3000, 1)
    asked = {"objective": "multi:softprob", "num_class": 3, "max_depth": 3}
    booster = xgb.train(asked, xgb.DMatrix(rows, kinds), 20)
    path = tmp_path_factory.mktemp("kinds") / "kinds.ubj"
    booster.save_model(path)
    return booster, path


def write_labelled(watched, booster):
    """Write flowers with the model's probabilities and their kinds as CSV; return the file."""
    rows, kinds = flowers(3000, 2)
    table = np.column_stack([booster.predict(xgb.DMatrix(rows)), rows, kinds])
    path = watched.folder / "labelled.csv"
    header = ",".join(["p0", "p1", "p2", *FEATURES, "kind"])
    np.savetxt(path, table, "%.6f", ",", header=header, comments="")
    return str(path)


def send(watched, rows, accept):
    """Send rows with the ids f-0, f-1, …; return the answers as they came."""
    runtime = watched.platform.client("sagemaker-runtime")
    return [
        runtime.invoke_endpoint(
            EndpointName=watched.name, ContentType="text/csv", Accept=accept,
            Body=",".join(f"{value:.4f}" for value in row), InferenceId=f"f-{index}",
        )["Body"].read()
        for index, row in enumerate(rows)
    ]  # fmt: skip


@pytest.mark.journey
@pytest.mark.parametrize("accept", ["text/csv", "application/json"], ids=["csv", "json"])
def test_a_classifier_of_three_kinds_is_watched_without_and_with_labels(
    watch_model, kinds_model, accept
):
    booster, path = kinds_model
    watched = watch_model(f"kinds-{accept[-3:]}", path)
    name = watched.name
    labelled = write_labelled(watched, booster)
    rows, kinds = flowers(400, 3)
    answers = send(watched, rows, accept)
    watched.platform.wait(lambda: len(watched.captured()) >= 400, 60)
    assert answers[0].count(b",") == 2

    watched.farero("monitor", "baseline", name, labelled, "--target", "kind", "--probability", "p0,p1,p2")  # fmt: skip
    same = watched.json("monitor", "run", name, "--last", "400")
    told = booster.predict(xgb.DMatrix(rows)).argmax(axis=1)
    right = float((told == kinds).mean())
    estimated = same["estimated"]["figures"]["accuracy"]
    assert same["severity"] == "none"
    assert (same["estimated"]["method"], same["estimated"]["rows"]) == ("CBPE", 400)
    assert {one["column"] for one in same["findings"]} == set()
    assert estimated["low"] < right < estimated["high"]

    labels = watched.folder / "labels.csv"
    labels.write_text("".join(["id,label\n", *(f"f-{i},{kind}\n" for i, kind in enumerate(kinds))]))
    watched.farero("monitor", "label", name, str(labels))
    quality = ("monitor", "quality", name)
    wrong = watched.farero(*quality, "--problem", "multiclass", check=False)
    assert wrong.returncode == 1
    assert "Are they probabilities? Then name those of all classes" in wrong.stderr
    watched.farero(*quality, "--problem", "multiclass", "--probability", "0-2", "--as-baseline")
    measured = watched.json(*quality)["quality"]
    assert measured["figures"]["accuracy"]["value"] == pytest.approx(right)
    assert measured["confusion_matrix"]["1"]["1"] == int(((kinds == 1) & (told == 1)).sum())

    watched.farero("monitor", "add", name, "--quality", "--every", "1h")
    sagemaker = watched.platform.client("sagemaker")
    found = sagemaker.list_model_quality_job_definitions(EndpointName=name)["JobDefinitionSummaries"]  # fmt: skip
    defined = sagemaker.describe_model_quality_job_definition(
        JobDefinitionName=found[0]["MonitoringJobDefinitionName"]
    )
    given = defined["ModelQualityJobInput"]["EndpointInput"]
    assert given["ProbabilityAttribute"] == "0-2"
    assert "InferenceAttribute" not in given
    assert defined["ModelQualityAppSpecification"]["ProblemType"] == "MulticlassClassification"


@pytest.mark.journey
def test_flowers_that_are_harder_to_tell_are_estimated_to_be_told_worse(watch_model, kinds_model):
    booster, path = kinds_model
    watched = watch_model("kinds-worse", path)
    watched.farero(
        "monitor", "baseline", watched.name, write_labelled(watched, booster), "--target", "kind",
        "--probability", "0=p0", "--probability", "1=p1", "--probability", "2=p2",
    )  # fmt: skip
    rows, _ = flowers(400, 4)
    # all of them stand between the three kinds
    send(watched, (rows * 0.2 + [0.8, 0.6]).round(4), "application/json")
    watched.platform.wait(lambda: len(watched.captured()) >= 400, 60)

    found = watched.json("monitor", "run", watched.name, "--last", "400", check=False)

    assert found["estimated"]["figures"]["accuracy"]["state"] == "worse"
    assert found["severity"] == "critical"


def test_probabilities_that_fit_no_classes_are_told(watch_model, kinds_model):
    booster, path = kinds_model
    watched = watch_model("kinds-wrong", path)
    labelled = write_labelled(watched, booster)

    def told(*probability):
        asked = [word for one in probability for word in ("--probability", one)]
        done = watched.farero(
            "monitor", "baseline", watched.name, labelled, "--target", "kind", *asked, check=False
        )
        assert done.returncode != 0
        return done.stderr

    assert "The target has 3 classes: name a column of probabilities for each" in told("p0")
    assert "The target's classes (0, 1, 2) are not those with probabilities: 0, 1." in told("p0,p1")
    assert "say of which class 'p0' is the probability" in told("p0", "1=p1", "2=p2")
    assert "the column 'p0' is there twice" in told("p0,p0,p2")
    assert "p0, p1, length: a probability is a number from 0 to 1" in told("p0,p1,length")
