"""A schedule whose baseline is not of the columns that are captured: the likely mistake is named before it runs."""

import json

import numpy as np
import pytest

from farero.cli.monitor import columns
from farero.cli.monitor.analyzer import analyze


@pytest.fixture(scope="module")
def flats(watch, rows_of):
    """An endpoint that has captured something."""
    watched = watch("flats-columns")
    watched.send(rows_of(60, seed=3))
    return watched


def baseline(watched, name, text):
    path = watched.folder / f"{name}.csv"
    path.write_text(text)
    watched.farero("monitor", "baseline", watched.name, str(path), "--name", name)


def table(rows_of, order, names, *, first=()):
    """Return CSV with the named ones of price, rooms, size, age in this order."""
    rows = rows_of(300, seed=4)
    whole = np.column_stack([rows @ [50.0, 9.0, -1.0], rows])[:, order]
    lines = [",".join(f"{value:.4f}" for value in row) for row in whole]
    if first:
        lines = [f"{index},{line}" for index, line in enumerate(lines)]
    return "\n".join([",".join([*first, *names]), *lines]) + "\n"


@pytest.mark.parametrize(
    ("name", "order", "names", "first", "said", "fix"),
    [
        ("no-target", [1, 2, 3], ["rooms", "size", "age"], (),
         "the column that the model predicts is missing", "put the target first in the file"),
        ("target-last", [1, 2, 3, 0], ["rooms", "size", "age", "price"], (),
         "looks like 'price', the last one", "put 'price' first in the file"),
        ("row-number", [0, 1, 2, 3], ["price", "rooms", "size", "age"], ("index",),
         "the first one, 'index', looks like a row number", "to_csv(…, index=False)"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)  # fmt: skip
def test_the_likely_mistake_is_named(flats, rows_of, name, order, names, first, said, fix):
    baseline(flats, name, table(rows_of, order, names, first=first))

    done = flats.farero("monitor", "add", flats.name, "--baseline", name, check=False)

    assert done.returncode == 1
    assert "E-COLUMNS  " in done.stderr
    assert said in done.stderr
    assert f"where: s3://{flats.platform.bucket}/farero-monitor/flats-columns/baselines/{name}/" in done.stderr  # fmt: skip
    assert fix in done.stderr.partition("fix:")[2]
    assert done.stderr.rstrip().endswith("or add --anyway")


def test_a_baseline_of_the_same_columns_is_scheduled_and_another_one_anyway(flats, rows_of):
    flats.farero("monitor", "baseline", flats.name, str(flats.train))
    assert flats.json("monitor", "add", flats.name)["expression"] == "cron(0 * ? * * *)"
    flats.farero("monitor", "rm", flats.name)
    baseline(flats, "forced", table(rows_of, [1, 2, 3], ["rooms", "size", "age"]))
    forced = flats.json("monitor", "add", flats.name, "--baseline", "forced", "--anyway")
    assert forced["schedule"] == "farero-flats-columns"
    sagemaker = flats.platform.client("sagemaker")
    definition = sagemaker.describe_data_quality_job_definition(
        JobDefinitionName=forced["schedule"]
    )
    resource = definition["DataQualityBaselineConfig"]["ConstraintsResource"]["S3Uri"]
    assert resource.endswith("farero-monitor/flats-columns/baselines/forced/constraints.json")
    flats.farero("monitor", "rm", flats.name)


def test_a_file_without_a_header_is_told_with_the_flag_for_it(flats):
    path = flats.folder / "headless.csv"
    path.write_text("250.0,3.0,70.0,30.0\n" * 20)
    done = flats.farero("monitor", "baseline", flats.name, str(path), check=False)
    assert (
        "E-BASELINE  headless.csv has no header: its first line is 250.0, 3.0, 70.0" in done.stderr
    )
    assert f"fix:   farero monitor baseline flats-columns {path} --no-header" in done.stderr


def record(sent, answer, content):
    """Return a captured record."""
    half = {"observedContentType": content, "encoding": "JSON" if "json" in content else "CSV"}
    return json.dumps({
        "captureData": {
            "endpointInput": {**half, "mode": "INPUT", "data": sent},
            "endpointOutput": {**half, "mode": "OUTPUT", "data": answer},
        },
        "eventMetadata": {"eventId": "e", "inferenceTime": "2026-11-21T10:00:00Z"},
        "eventVersion": "0",
    })  # fmt: skip


def taken(tmp_path, header, row):
    """Take the baseline of a constant table; return its folder."""
    data = tmp_path / "train.csv"
    data.write_text("\n".join([header, *[row] * 30]) + "\n")
    code, told = analyze(["baseline", str(data), "-o", str(tmp_path / "baseline")])
    assert code == 0, told
    return tmp_path / "baseline"


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("price,rooms,size", "250,3,70", None),
        ("price,rooms,size,floor,rent", "250,3,70,1,900",
         "the baseline has 5 columns, a record 3: 1 of the answer and 2 sent; it looks like the baseline of another"),
        ("price,rooms,size,area", "250,3,70,70", "is one an id that is not sent, or are both target and prediction in it?"),
        ("town,street,name", "Lugo,Rua,Ana", "3 of 3 columns hold nothing like the baseline ('town', 'street', 'name')"),
        ("price,rooms,size", "250,3,9000", None),
    ],
    ids=["right", "another-model", "one-more", "other-types", "one-column-drifted"],
)  # fmt: skip
def test_columns_without_names_are_compared_by_position(tmp_path, header, row, said):
    records = [record("3,70", "250", "text/csv")] * 40

    found = columns.check(records, taken(tmp_path, header, row), tmp_path, "again")

    assert (found is None) is (said is None), found
    assert said is None or said in found.what


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("price,rooms,size", None),
        ("size,price,rooms", None),
        ("price,Rooms,size", "names differ in capitals or blanks: 'Rooms' is captured as 'rooms'"),
        ("price,rooms,area", "'area' of the baseline is not captured; 'size' is captured and not in the baseline"),
        ("a,b,c", "none of the baseline's columns ('a', 'b', 'c') is captured"),
        ("rooms,size", "the column that the model predicts is missing"),
    ],
)  # fmt: skip
def test_columns_with_names_are_compared_by_name(tmp_path, header, said):
    sent, answer = json.dumps({"rooms": 3.0, "size": 70.0}), json.dumps({"price": 250.0})
    records = [record(sent, answer, "application/json")] * 40
    folder = taken(tmp_path, header, ",".join("3.5" for _ in header.split(",")))

    found = columns.check(records, folder, tmp_path, "again")

    assert (found is None) is (said is None), found
    assert said is None or said in found.what
