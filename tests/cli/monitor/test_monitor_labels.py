"""`farero monitor label`: what really happened, brought to where a schedule of model quality reads it."""

import json

import pytest

from farero.cli.monitor.label_files import LabelsError, lines_of, read


@pytest.fixture(scope="module")
def flats(watch, rows_of):
    """An endpoint that has captured 50 requests, each with an inference id."""
    watched = watch("flats-labels")
    watched.send(rows_of(50, seed=11), ids=[f"flat-{index}" for index in range(50)])
    watched.platform.wait(lambda: len(watched.captured()) >= 50, 60)
    return watched


def labels_of(watched, uri):
    lines = watched.body(uri.partition(f"{watched.platform.bucket}/")[2]).splitlines()
    return [json.loads(line) for line in lines]


def test_labels_go_where_they_are_read_in_sagemakers_form_with_counts(flats):
    path = flats.folder / "sold.csv"
    rows = [f"{250 + index},flat-{index}" for index in range(40)]
    path.write_text("\n".join(["price,flat", *rows, "300,flat-900", ",flat-41"]) + "\n")

    told = flats.json("monitor", "label", flats.name, str(path), "--id-column", "flat")

    labels, records = told.pop("labels"), told.pop("records")
    assert records >= 50
    assert told == {
        "uploaded": 41, "matched": 40, "unmatched": 1, "late": None, "without_label": 1, "repeated": 0,
    }  # fmt: skip
    hour = labels.partition("/farero-monitor/flats-labels/labels/")[2]
    assert [len(part) for part in hour.split("/")[:4]] == [4, 2, 2, 2]
    first = labels_of(flats, labels)[0]
    assert first == {
        "groundTruthData": {"data": "250", "encoding": "CSV"},
        "eventMetadata": {"eventId": "flat-0"},
        "eventVersion": "0",
    }
    shown = flats.farero("monitor", "label", flats.name, str(path), "--id-column", "flat").stdout
    assert "40 belong to captured requests; 1 belong to none (yet)" in shown
    assert "1 lines have no label yet" in shown


def test_requests_without_an_inference_id_are_found_by_their_event_id(flats, rows_of):
    flats.send(rows_of(3, seed=12))
    events = flats.platform.wait(
        lambda: [
            one["eventMetadata"]["eventId"]
            for one in flats.captured()
            if "inferenceId" not in one["eventMetadata"]
        ],
        60,
    )
    path = flats.folder / "events.jsonl"
    path.write_text("".join(json.dumps({"eventId": one, "label": 251.5}) + "\n" for one in events))

    assert flats.json("monitor", "label", flats.name, str(path))["matched"] == len(events)


def test_labels_of_other_requests_are_refused_unless_forced(flats):
    path = flats.folder / "others.csv"
    path.write_text("id,label\nnobody-1,3\nnobody-2,4\n")
    before = flats.objects("labels/")
    done = flats.farero("monitor", "label", flats.name, str(path), check=False)
    assert done.returncode == 1
    assert "E-NO-MATCH  none of 2 ids is among " in done.stderr
    assert "the first one is 'nobody-1'" in done.stderr
    assert "fix:   send requests with InferenceId" in done.stderr
    assert flats.objects("labels/") == before

    forced = flats.json("monitor", "label", flats.name, str(path), "--anyway")
    assert (forced["uploaded"], forced["matched"]) == (2, 0)


@pytest.mark.parametrize(
    ("text", "flags", "said"),
    [
        ("", [], "labels.csv is empty"),
        ("id,label\n", [], "labels.csv has no labels"),
        ("flat,price\na,1\n", [], "none of the columns of labels.csv (flat, price) is called id"),
        ("id,price\na,1\n", ["--label-column", "cost"], "labels.csv has no column 'cost'; it has id, price"),
        ("id,price,rooms\na,1,2\n", [], "which one is the label?"),
        ("id,label\na,1\n,2\n", [], "the id is empty\n  where: {path}, line 3"),
        ("id,label\na,1\nb,2\na,2\n", [], "'a' has the label '2' here and '1' in line 2\n  where: {path}, line 4"),
        ("id,label\na,1,2\n", [], "the line has 3 values, the header 2"),
        ('{"id": "a", "label": 1}\n{"id": "b"}\n', [], "'label' is missing\n  where: {path}, line 2"),
        ('{"id": "a", "label": [1]}\n', [], "a label is one text or number"),
        ('{"id": "a", \n', [], "no JSON: "),
        ('{"groundTruthData": {"data": "1"}}\n', [], "ground truth needs groundTruthData.data and eventMetadata.eventId"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_with_its_line(tmp_path, text, flags, said):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    asked = dict(zip([flag.strip("-").replace("-", "_") for flag in flags[::2]], flags[1::2], strict=True))  # fmt: skip
    with pytest.raises(LabelsError) as wrong:
        read(path, **asked)
    what, _, where = said.partition("\n  where: {path}, line ")
    assert what in str(wrong.value)
    assert wrong.value.fix
    assert not where or wrong.value.line == int(where)


def test_a_wrong_file_is_told_in_four_parts(flats):
    path = flats.folder / "wrong.csv"
    path.write_text("id,label\na,1\n,2\n")
    done = flats.farero("monitor", "label", flats.name, str(path), check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "E-LABELS  the id is empty",
        f"  where: {path}, line 3",
        "  fix:   give every line the id of its request",
    ]
    gone = flats.farero("monitor", "label", flats.name, "gone.csv", check=False)
    assert "E-LABELS  gone.csv: No such file" in gone.stderr


def test_labels_that_would_break_csv_are_quoted_and_ground_truth_is_read_back(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text('id,label\na,"Lugo, Rua"\nb,"say ""no"""\nc,plain\n')
    found = read(path)
    again = tmp_path / "again.jsonl"
    again.write_text("".join(f"{line}\n" for line in lines_of(found)))
    assert read(again).by_id == found.by_id == {"a": "Lugo, Rua", "b": 'say "no"', "c": "plain"}
