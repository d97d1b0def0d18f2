"""`farero monitor quality`: how good the model is, by labels; and what `baseline --target` lets runs estimate without."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def sold(watch, rows_of):
    """An endpoint of which 300 answers are known, and what these flats were sold for."""
    watched = watch("flats-sold")
    answers = watched.send(rows_of(300, seed=21), ids=[f"a-{index}" for index in range(300)])
    watched.platform.wait(lambda: len(watched.captured()) >= 300, 60)
    return watched, np.array(answers)


def write_labels(watched, name, ids, values):
    path = watched.folder / f"{name}.csv"
    lines = [f"{one},{value:.6f}" for one, value in zip(ids, values, strict=True)]
    path.write_text("\n".join(["id,label", *lines]) + "\n")
    return str(path)


@pytest.mark.journey
def test_the_model_is_measured_by_its_labels_and_compared_with_when_it_was_good(sold, rows_of):
    flats, answers = sold
    none = flats.farero("monitor", "quality", flats.name, "--problem", "regression", check=False)
    assert "E-NO-LABELS  flats-sold has no labels yet" in none.stderr
    assert "fix:   farero monitor label flats-sold labels.csv" in none.stderr
    truth = answers + np.random.default_rng(1).normal(0, 5, 300)
    ids = [f"a-{index}" for index in range(300)]
    flats.farero("monitor", "label", flats.name, write_labels(flats, "good", ids[:250], truth[:250]))  # fmt: skip

    vague = flats.farero("monitor", "quality", flats.name, check=False)
    assert vague.returncode == 2
    assert "E-PROBLEM  say what kind of problem the model solves" in vague.stderr
    found = flats.json("monitor", "quality", flats.name, "--problem", "regression")
    figures = found["quality"]["figures"]
    error = answers[:250] - truth[:250]
    assert figures["rmse"]["value"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-5)
    assert figures["mae"]["value"] == pytest.approx(np.mean(abs(error)), rel=1e-5)
    assert found["quality"]["rows"] == 250

    based = flats.farero("monitor", "quality", flats.name, "--problem", "regression", "--as-baseline")  # fmt: skip
    assert "these figures are what is normal for flats-sold from now on" in based.stdout
    later = np.array(flats.send(rows_of(300, seed=22), ids=[f"b-{index}" for index in range(300)]))
    flats.platform.wait(lambda: len(flats.captured()) >= 600, 60)
    wrong = later + np.random.default_rng(2).normal(0, 40, 300)
    flats.farero("monitor", "label", flats.name, write_labels(flats, "bad", [f"b-{index}" for index in range(300)], wrong))  # fmt: skip
    page = flats.folder / "quality.html"
    worse = flats.farero("monitor", "quality", flats.name, "--report", str(page), check=False)
    assert worse.returncode == 1, worse.stderr
    rmse = next(line for line in worse.stdout.splitlines() if line.startswith("rmse"))
    assert rmse.endswith("worse")
    assert "<html" in page.read_text()
    fetched = flats.folder / "fetched.html"
    flats.farero("monitor", "report", flats.name, "--quality", "-o", str(fetched))
    assert fetched.read_text() == page.read_text()
    again = flats.json("monitor", "quality", flats.name, "--as-baseline")
    assert again["quality"]["problem"] == "Regression"
    shown = flats.json("monitor", "show", flats.name)
    assert shown["measured"]["figures"]["rmse"]["state"] == "worse"
    assert "measured quality, by labels of 550" in flats.farero("monitor", "show", flats.name).stdout  # fmt: skip


@pytest.mark.journey
def test_quality_is_estimated_without_labels_when_the_baseline_has_them(watch, rows_of):
    flats = watch("flats-guessed")
    rows = rows_of(1500, seed=31)
    told = np.array(flats.send(rows[:600]))
    truth = told + np.random.default_rng(3).normal(0, 5, 600)
    path = flats.folder / "validation.csv"
    table = np.column_stack([truth, rows[:600], told])
    np.savetxt(path, table, "%.4f", ",", header="truth,rooms,size,age,told", comments="")
    taken = flats.farero(
        "monitor", "baseline", flats.name, str(path), "--target", "truth", "--prediction", "told"
    )
    assert "runs against it estimate the model's quality, without labels" in taken.stdout
    assert "farero-monitor/flats-guessed/baseline/baseline.estimate" in flats.objects("baseline/")

    flats.platform.wait(lambda: len(flats.captured()) >= 600, 60)
    run = flats.json("monitor", "run", flats.name, "--since", "30m")
    estimate = run["estimated"]["figures"]["rmse"]
    assert estimate["low"] < np.sqrt(np.mean((told - truth) ** 2)) < estimate["high"]
    shown = flats.farero("monitor", "show", flats.name).stdout
    assert "estimated quality, without labels (DLE):" in shown

    again = flats.farero("monitor", "baseline", flats.name, str(path), "--prediction", "told", check=False)  # fmt: skip
    assert "E-BASELINE  --prediction and --probability need --target" in again.stderr
    flats.farero("monitor", "baseline", flats.name, str(flats.train))
    assert "farero-monitor/flats-guessed/baseline/baseline.estimate" not in flats.objects("baseline/")  # fmt: skip


def test_a_kind_of_problem_that_is_none_is_wrong_usage(sold):
    flats, _ = sold
    done = flats.farero("monitor", "quality", flats.name, "--problem", "ranking", check=False)
    assert done.returncode == 2
    assert "E-PROBLEM  'ranking' is no kind of problem" in done.stderr
    assert "fix:   --problem regression|binary|multiclass" in done.stderr
