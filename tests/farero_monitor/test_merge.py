"""Captured records joined with their labels: what is matched, told and refused."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys

import pytest

from farero_monitor.quality import merging
from farero_monitor.quality.merging import MergeError, merge


def label(event, data="1"):
    """Return a line of ground truth as AWS documents it."""
    record = {
        "groundTruthData": {"data": data, "encoding": "CSV"},
        "eventMetadata": {"eventId": event},
        "eventVersion": "0",
    }
    return json.dumps(record)


def write(folder, lines, name="00-00-000-a.jsonl"):
    """Write lines into a file of a folder that may not be there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(f"{text}\n" for text in lines))


@pytest.fixture
def places(tmp_path):
    """Return the folders of captures, labels and what is merged."""
    return tmp_path / "in", tmp_path / "truth", tmp_path / "out"


HOUR = "price/AllTraffic/2026/01/05/10"


def merged_lines(folder):
    return [
        json.loads(text)
        for path in sorted(folder.rglob("*.jsonl"))
        for text in path.read_text().splitlines()
    ]


def test_a_record_gets_its_label_and_keeps_everything_else(places, line):
    captures, truth, out = places
    record = line("1,2", "0.5", event="e-1")
    write(captures / HOUR, [record])
    write(truth / "2026/01/05/10", [label("e-1", "7")])

    made = merge(captures, truth, out)

    (found,) = merged_lines(out)
    assert found == json.loads(record) | {"groundTruthData": {"data": "7", "encoding": "CSV"}}
    assert list(found) == ["captureData", "groundTruthData", "eventMetadata", "eventVersion"]
    assert made.files == [out / HOUR / "00-00-000-a.jsonl"]


def test_an_inference_id_goes_before_the_event_id(places, line):
    captures, truth, out = places
    write(captures / HOUR, [line("1", "2", event="e-1", inference="order-42")])
    write(truth / "2026/01/05/10", [label("e-1", "by event"), label("order-42", "by order")])

    made = merge(captures, truth, out)

    assert [found["groundTruthData"]["data"] for found in merged_lines(out)] == ["by order"]
    assert (made.labels, made.unused) == (2, 1)


def test_the_last_of_several_labels_wins_and_late_ones_are_counted(places, line):
    captures, truth, out = places
    write(captures / HOUR, [line("1", "2", event=f"e-{i}") for i in range(4)])
    write(truth / "2026/01/05/10", [label("e-0", "first"), label("e-0", "second"), label("e-1")])
    write(truth / "2026/01/06/09", [label("e-0", "third"), label("e-2"), label("gone")])

    made = merge(captures, truth, out)

    found = {
        one["eventMetadata"]["eventId"]: one["groundTruthData"]["data"] for one in merged_lines(out)
    }
    assert found == {"e-0": "third", "e-1": "1", "e-2": "1"}
    assert (made.records, made.merged, made.late) == (4, 3, 2)
    assert made.message == (
        "Completed: 3 of 4 records have a label; 1 have none yet; 2 of the labels came in a later hour; "
        "1 labels have no record in the window; 2 labels were replaced by later ones."
    )


def test_only_the_window_is_merged(places, line):
    captures, truth, out = places
    write(
        captures / HOUR,
        [line("1", "2", event=f"e-{m}", at=f"2026-01-05T10:{m}:00Z") for m in (10, 20, 30)],
    )
    write(truth / "2026/01/05/10", [label(f"e-{m}") for m in (10, 20, 30)])
    write(truth / "2026/01/05/12", [label("e-20", "too late")])

    made = merge(
        captures, truth, out,
        window=("2026-01-05T10:20:00Z", "2026-01-05T10:30:00Z"),
        labelled=("2026-01-05T10:20:00Z", "2026-01-05T12:00:00Z"),
    )  # fmt: skip

    assert [one["groundTruthData"]["data"] for one in merged_lines(out)] == ["1"]
    assert (made.records, made.unused) == (1, 2)


def test_a_flat_folder_is_laid_out_by_hours_and_gzip_is_read(places, line):
    captures, truth, out = places
    captures.mkdir()
    with gzip.open(captures / "a.jsonl.gz", "wt") as file:
        file.write(line("1", "2", event="e-1", at="2026-01-05T10:59:59Z") + "\n")
        file.write(line("1", "2", event="e-2", at="2026-01-05T11:00:00Z") + "\n")
    write(truth, [label("e-1"), label("e-2")])

    made = merge(captures, truth, out)

    assert made.files == [out / "2026/01/05/10/a.jsonl", out / "2026/01/05/11/a.jsonl"]


def test_a_second_run_with_more_labels_completes_the_files(places, line):
    captures, truth, out = places
    write(captures / HOUR, [line("1", "2", event="e-1"), line("1", "2", event="e-2")])
    write(truth / "2026/01/05/10", [label("e-1")])
    merge(captures, truth, out)
    write(truth / "2026/01/05/11", [label("e-2")])

    merge(captures, truth, out)

    assert [one["eventMetadata"]["eventId"] for one in merged_lines(out)] == ["e-1", "e-2"]


def test_lines_that_cannot_be_read_are_counted_and_located(places, line):
    captures, truth, out = places
    write(captures / HOUR, [*(line("1", "2", event=f"e-{i}") for i in range(30)), "{broken"])
    write(
        truth / "2026/01/05/10", [label(f"e-{i}") for i in range(30)] + ['{"groundTruthData": 1}']
    )

    made = merge(captures, truth, out)

    assert made.unread.count == 2
    assert made.unread.places[0][:2] == ("00-00-000-a.jsonl", "line 31")
    assert (
        "2 lines could not be read (first: 00-00-000-a.jsonl, line 31: not a capture record"
        in made.message
    )


def _captured(places, line):
    write(places[0] / HOUR, [line("1", "2", event="e-1")])


@pytest.mark.parametrize(
    ("truth", "told"),
    [
        ([label("order-7")], "the first captured is 'e-1', the first label is for 'order-7'"),
        ([], "The files of labels hold none"),
        (
            ["nonsense"] * 3,
            "3 of 4 lines cannot be read; the first is 00-00-000-a.jsonl, line 1: not a label",
        ),
    ],
    ids=["other-ids", "empty-file", "no-json"],
)
def test_nothing_to_merge_says_why_and_leaves_nothing(places, line, truth, told):
    _captured(places, line)
    write(places[1] / "2026/01/05/10", truth)

    with pytest.raises(MergeError, match=re.escape(told)):
        merge(*places)

    assert not [path for path in places[2].rglob("*") if path.is_file()]


def test_without_files_of_labels_it_says_where_they_were_looked_for(places, line):
    _captured(places, line)

    with pytest.raises(MergeError, match=r"There are no labels: .*truth does not exist"):
        merge(*places)


def test_a_window_without_records_is_named(places, line):
    _captured(places, line)
    write(places[1], [label("e-1")])

    with pytest.raises(
        MergeError, match="No record was captured between 2027-01-01T00:00:00Z and now"
    ):
        merge(*places, window=("2027-01-01T00:00:00Z", ""))


def test_more_than_a_batch_in_more_files_than_are_open_merges_alike(places, line, monkeypatch):
    monkeypatch.setattr(merging, "BATCH", 7)
    monkeypatch.setattr(merging, "OPEN", 2)
    captures, truth, out = places
    hours = [f"{hour:02}" for hour in range(5)]
    for hour in hours:
        write(
            captures / "price/AllTraffic/2026/01/05" / hour,
            [
                line("1", "2", event=f"e-{hour}-{i}", at=f"2026-01-05T{hour}:00:00Z")
                for i in range(11)
            ],
        )
    write(truth, [label(f"e-{hour}-{i}", f"{hour}{i}") for hour in hours for i in range(0, 11, 2)])

    made = merge(captures, truth, out)

    found = {
        one["eventMetadata"]["eventId"]: one["groundTruthData"]["data"] for one in merged_lines(out)
    }
    assert found == {f"e-{hour}-{i}": f"{hour}{i}" for hour in hours for i in range(0, 11, 2)}
    assert (made.records, made.merged, len(made.files)) == (55, 30, 5)


def _run(base, **environment):
    return subprocess.run(
        [sys.executable, "-m", "farero_monitor.merge"],
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(base), **environment},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_the_container_answers_with_a_message_and_a_code(places, line, tmp_path):
    captures, truth, out = places
    _captured(places, line)
    write(truth / "2026/01/05/10", [label("e-1")])
    told = {
        "dataset_source": str(captures),
        "ground_truth_source": str(truth),
        "output_path": str(out),
    }

    done = _run(tmp_path, **told)
    message = (tmp_path / "output/message").read_text()
    failed = _run(tmp_path, **told | {"ground_truth_source": str(tmp_path / "nowhere")})
    missing = _run(tmp_path, **told | {"output_path": ""})

    assert (done.returncode, message) == (0, "Completed: 1 of 1 records have a label.")
    assert failed.returncode == 255
    assert "There are no labels" in failed.stderr
    assert missing.returncode == 255
    assert (
        tmp_path / "output/message"
    ).read_text() == "The environment variable output_path is missing."
