"""Outputs of batch transform jobs joined with their labels, by the inference id that a job appends to each row."""

import json
import re

import pytest

from farero_monitor import container, merge
from farero_monitor.environment import SettingError
from farero_monitor.quality.merging import MergeError

BEGAN = "2026-01-05T10:49:15Z"
CSV, JSON = '{"csv":{"header":false}}', '{"json":{"lines":true}}'


@pytest.fixture
def world(tmp_path):
    """A function: file's content, its format → what was merged, as records."""

    def run(content, dataset_format, labels=(("i-0", "7"), ("i-1", "8"))):
        hour = "2026/01/05/10"
        for part, name, text in (
            ("in", "manifest/a.csv.out", content),
            ("truth", "labels.jsonl", "\n".join(map(_label, labels))),
        ):
            file = tmp_path / part / hour / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        made = merge.run({
            "dataset_source": str(tmp_path / "in"), "ground_truth_source": str(tmp_path / "truth"),
            "output_path": str(tmp_path / "out"), "dataset_format": dataset_format,
        })  # fmt: skip
        (file,) = made.files
        assert file == tmp_path / "out" / hour / "manifest" / "a.csv.out.jsonl"
        return made, [json.loads(line) for line in file.read_text().splitlines()]

    return run


def _label(pair):
    known, value = pair
    return json.dumps({
        "groundTruthData": {"data": value, "encoding": "CSV"}, "eventMetadata": {"eventId": known},
    })  # fmt: skip


def test_a_row_becomes_a_record_with_its_label(world):
    made, (first, second) = world(
        f'0.5,"a,b", i-0,{BEGAN}\n\n0.25,"c",i-1,{BEGAN}\r\n9,x,i-2,{BEGAN}\n', CSV
    )

    assert (made.records, made.merged) == (3, 2)
    assert first == {
        "captureData": {
            "batchTransformOutput": {
                "observedContentType": "text/csv", "data": '0.5,"a,b"', "encoding": "CSV", "mode": "OUTPUT",
            },
        },
        "groundTruthData": {"data": "7", "encoding": "CSV"},
        "eventMetadata": {"eventId": "i-0", "inferenceId": "i-0", "inferenceTime": BEGAN},
        "eventVersion": "0",
    }  # fmt: skip
    assert second["captureData"]["batchTransformOutput"]["data"] == '0.25,"c"'


@pytest.mark.parametrize(
    ("content", "dataset_format"),
    [
        (f"score,kind\n0.5,x,i-0,{BEGAN}\n0.5,x,i-1,{BEGAN}\n", '{"csv":{"header":true}}'),
        ("\n".join(json.dumps({"score": "0.5", "kind": "x", "SageMakerInferenceId": one,
                               "SageMakerInferenceTime": BEGAN}) for one in ("i-0", "i-1")), JSON),
        (json.dumps([{"score": "0.5", "kind": "x", "SageMakerInferenceId": one,
                      "SageMakerInferenceTime": BEGAN} for one in ("i-0", "i-1")]), '{"json":{"lines":false}}'),
    ],
    ids=["header", "json-lines", "json"],
)  # fmt: skip
def test_names_are_kept(world, content, dataset_format):
    _, records = world(content, dataset_format)

    halves = [record["captureData"]["batchTransformOutput"] for record in records]
    assert [json.loads(half["data"]) for half in halves] == [{"score": "0.5", "kind": "x"}] * 2
    assert {half["encoding"] for half in halves} == {"JSON"}


@pytest.mark.parametrize(
    ("content", "dataset_format", "told"),
    [
        ("0.5,1\n0.6,2\n", CSV, "line 1: its last two values are no inference id and time; run the transform job"),
        ("0.5\n", CSV, "with GenerateInferenceId in its DataCaptureConfig"),
        ('{"score": 1}\n', JSON, "line 1: no SageMakerInferenceId and SageMakerInferenceTime; run the transform"),
        ("[1, 2]\n", JSON, "line 1: no SageMakerInferenceId"),
        ("not json\n", JSON, "line 1: not JSON"),
        (f"0.5,other,{BEGAN}\n", CSV, ("goes by the inference id that its transform job appended: the first captured is "
         "'other', the first label is for 'i-0'. Label by that one.")),
    ],
    ids=["no-ids", "one-value", "json-without", "json-no-objects", "no-json", "other-ids"],
)  # fmt: skip
def test_what_cannot_be_joined_says_what_to_do(world, content, dataset_format, told):
    with pytest.raises(MergeError, match=re.escape(told)):
        world(content, dataset_format)


def test_a_form_that_has_no_ids_is_refused(world):
    with pytest.raises(SettingError, match="dataset_format names none of csv, json"):
        world("", '{"parquet":{}}')


def test_merged_rows_are_measured(world, tmp_path):
    labels = [(f"i-{index}", str(index % 3)) for index in range(30)]
    rows = [
        f"{index % 3 == 0:.1f},0.2,{index % 3 == 2:.1f},i-{index},{BEGAN}" for index in range(30)
    ]
    world("\n".join(rows), CSV, labels)

    container.run({
        "analysis_type": "MODEL_QUALITY", "problem_type": "MulticlassClassification",
        "dataset_format": '{"sagemakerMergeJson":{"captureIndexNames":["batchTransformOutput"]}}',
        "dataset_source": str(tmp_path / "out"), "output_path": str(tmp_path / "made"),
        "probability_attribute": "0-2", "start_time": "2026-01-05T10:00:00Z", "end_time": "2026-01-05T11:00:00Z",
    })  # fmt: skip

    found = json.loads((tmp_path / "made" / "statistics.json").read_bytes())
    assert found["multiclass_classification_metrics"]["accuracy"]["value"] == 1.0
