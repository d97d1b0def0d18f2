"""Where labelled predictions come from, how columns are named, and what bad input is told."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farero_monitor.profile.dataset import Unread
from farero_monitor.quality import jsonpath
from farero_monitor.quality.captures import values_of
from farero_monitor.quality.gather import QualityError, gather
from farero_monitor.quality.sources import AttributeMissingError, Attributes, Source, batches
from farero_monitor.readers.records import Half, rows_of


def merged(
    output, label, *, kind="CSV", content="text/csv", at="2026-01-05T10:00:00Z", label_kind="CSV"
):
    """Return a line of a merge job's result."""
    half = {"observedContentType": content, "mode": "OUTPUT", "data": output, "encoding": kind}
    record = {
        "captureData": {
            "endpointInput": half | {"mode": "INPUT", "data": "9,9,9"},
            "endpointOutput": half,
        },
        "groundTruthData": {"data": label, "encoding": label_kind},
        "eventMetadata": {"eventId": "e-1", "inferenceTime": at},
        "eventVersion": "0",
    }
    return json.dumps(record)


def rows(source, attributes):
    """Return all rows as tuples of label, prediction and probability, as far as they are asked for."""
    unread = Unread()
    made = []
    for batch in batches(source, attributes, unread):
        columns = [
            batch.columns[role]
            for role in ("label", "prediction", "probability")
            if role in batch.columns
        ]
        columns = [column if isinstance(column, list) else column.to_pylist() for column in columns]
        made += zip(*columns, strict=True)
    return made, unread


def attributes(**given):
    """Return attributes of a binary problem; `given` says which."""
    return Attributes(
        **{"problem": "BinaryClassification", "inference": "said", "truth": "label"} | given
    )


CSV = "said,p,label\n1,0.9,1\n0,0.2,0\n"


@pytest.mark.parametrize(
    "names",
    [{"inference": "said", "truth": "label", "probability": "p"},
     {"inference": "0", "truth": "2", "probability": "1"},
     {"inference": "_c0", "truth": "$.label", "probability": "p"}],
    ids=["names", "indexes", "mixed"],
)  # fmt: skip
def test_csv_columns_go_by_name_and_by_index(tmp_path, names):
    (tmp_path / "a.csv").write_text(CSV)

    found, _ = rows(Source(tmp_path, "csv"), attributes(**names))

    assert found == [("1", "1", "0.9"), ("0", "0", "0.2")]


def test_csv_without_a_header_goes_by_index(tmp_path):
    (tmp_path / "a.csv").write_text("1,0\n0,1\n")

    found, _ = rows(Source(tmp_path, "csv", header=False), attributes(inference="0", truth="1"))

    assert found == [("0", "1"), ("1", "0")]


def test_parquet_and_csv_give_the_same_metrics(tmp_path):
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 500), rng.random(500)
    table = pa.table({"said": (scores > 0.5).astype(float), "p": scores, "label": labels})
    pq.write_table(table, tmp_path / "a.parquet")
    lines = [
        f"{int(p > 0.5)},{p!r},{label}"
        for p, label in zip(scores.tolist(), labels.tolist(), strict=True)
    ]
    (tmp_path / "a.csv").write_text("\n".join(["said,p,label", *lines]))
    asked = attributes(probability="p")

    one = gather(Source(tmp_path / "a.parquet", "parquet"), asked).tally.metrics()
    other = gather(Source(tmp_path / "a.csv", "csv"), asked).tally.metrics()

    assert {name: float(value) for name, value in one.items()} == {
        name: float(value) for name, value in other.items()
    }


def test_json_lines_go_by_jsonpath_and_by_name(tmp_path):
    lines = [
        {"out": {"said": 1, "p": [0.1, 0.9]}, "label": True},
        {"out": {"said": 0}, "label": False},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))

    found, _ = rows(
        Source(tmp_path, "json"),
        attributes(inference="out.said", probability="$.out.p[1]", truth="$.label"),
    )

    assert found == [("true", "1", "0.9"), ("false", "0", None)]


@pytest.mark.parametrize(
    ("record", "names", "expected"),
    [
        (merged("0.9", "1"), {"inference": "0"}, [("1", "0.9")]),
        (merged("0.9,cat", "cat"), {"inference": "1"}, [("cat", "cat")]),
        (merged('{"predictions": [{"score": 0.7, "said": 1}]}', "0", kind="JSON", content="application/json"),
         {"inference": "$.predictions[0].said", "probability": "$.predictions[0].score"}, [("0", "1", "0.7")]),
        (merged('{"predictions": [{"said": 1}, {"said": 0}]}', "1\n0", kind="JSON", content="application/json"),
         {"inference": "$.predictions[*].said"}, [("1", "1"), ("0", "0")]),
        (merged('{"predictions": [[0.3, 1], [0.2, 0]]}', "1\n0", kind="JSON", content="application/json"),
         {"inference": "1", "probability": "0"}, [("1", "1", "0.3"), ("0", "0", "0.2")]),
        (merged('{"said": 1}\n{"said": 0}', "1\n1", kind="JSON", content="application/jsonlines"),
         {"inference": "said"}, [("1", "1"), ("1", "0")]),
        (merged("MC45", "1", kind="BASE64"), {"inference": "0"}, [("1", "0.9")]),
        (merged("1", '{"label": "yes"}', label_kind="JSON"),
         {"inference": "0", "truth": "$.label"}, [("yes", "1")]),
        (merged("1", "7,0"), {"inference": "0", "truth": "1"}, [("0", "1")]),
        (merged("1", "1"), {"inference": "0", "truth": "label"}, [("1", "1")]),
    ],
    ids=["csv", "csv-second", "path", "several-rows", "lists", "json-lines", "base64", "json-label", "label-index",
         "name-of-the-baseline"],
)  # fmt: skip
def test_merged_captures_of_every_form_are_read(tmp_path, record, names, expected):
    (tmp_path / "a.jsonl").write_text(record)

    found, unread = rows(Source(tmp_path, "capture"), attributes(**{"truth": ""} | names))

    assert (found, unread.places) == (expected, [])


cells = st.lists(st.text("ab1.\\-é ", max_size=4), min_size=1, max_size=4)


@given(cells, st.integers(0, 3))
def test_the_fast_way_to_a_value_is_the_exact_one(row, index):
    half = Half(data=",".join(row), encoding="CSV", observedContentType="text/csv")
    (exact,) = rows_of(half)

    if index < len(exact):
        assert values_of(half, str(index)) == [exact[index]]
    else:
        with pytest.raises(AttributeMissingError):
            values_of(half, str(index))


def test_captures_outside_the_window_are_left_out(tmp_path):
    times = [f"2026-01-05T{hour}:00:00Z" for hour in (9, 10, 11)]
    times[0] = "2026-01-05T09:59:59Z"
    (tmp_path / "a.jsonl").write_text(
        "\n".join(merged("1", str(i), at=at) for i, at in enumerate(times))
    )
    source = Source(tmp_path, "capture", start="2026-01-05T10:00:00Z", end="2026-01-05T11:00:00Z")

    found, _ = rows(source, attributes(inference="0", truth=""))

    assert found == [("1", "1")]


def test_a_script_may_name_what_it_makes_and_drop_records(tmp_path):
    script = tmp_path / "pre.py"
    script.write_text(
        "def preprocess_handler(record):\n"
        "    if record.endpoint_output.data == 'drop':\n        return []\n"
        "    return {'said': record.endpoint_output.data.upper(), 'truth': record.ground_truth.data}\n"
    )
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jsonl").write_text("\n".join([merged("cat", "CAT"), merged("drop", "x")]))

    found, unread = rows(
        Source(tmp_path / "in", "capture", script=script),
        attributes(inference="said", truth="truth"),
    )

    assert (found, unread.count) == ([("CAT", "CAT")], 0)


@pytest.mark.parametrize(
    ("path", "steps"),
    [("$.a.b", ("a", "b")), ("$['a b'][0]", ("a b", 0)), ("$.a[*].c", ("a", None, "c")), ("3", (3,)), ("a.b", ("a", "b")),
     ("$", ())],
)  # fmt: skip
def test_paths_are_read(path, steps):
    assert jsonpath.parse(path) == steps


@pytest.mark.parametrize("path", ["$.a[", "$..a", "$.a[?(@.b)]", "a..b"])
def test_what_is_no_path_is_told(path):
    with pytest.raises(jsonpath.PathError, match="is no JSONPath"):
        jsonpath.parse(path)


def _csv(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    return Source(tmp_path / "a.csv", "csv")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            {"truth": "labell"},
            "a.csv has no column 'labell'; there are: said, p, label. Did you mean 'label'?",
        ),
        ({"inference": "9"}, "a.csv has no column '9'; there are: said, p, label."),
    ],
)
def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path, asked, told):
    with pytest.raises(AttributeMissingError) as caught:
        gather(_csv(tmp_path, CSV), attributes(**asked))

    assert str(caught.value) == told


def test_an_attribute_that_no_json_has_is_named_with_those_there_are(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"score": 1, "label": 0}\n' * 3)

    with pytest.raises(
        AttributeMissingError,
        match=r"a.jsonl has no prediction 'scores'; there are: score, label. Did",
    ):
        gather(Source(tmp_path, "json"), attributes(inference="scores"))


def test_an_attribute_that_no_capture_has_is_told(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join([merged("1,2", "1")] * 3))

    with pytest.raises(
        AttributeMissingError, match=r"The answer has no column '5'; there are: 0, 1\."
    ):
        gather(Source(tmp_path, "capture"), attributes(inference="5", truth=""))


@pytest.mark.parametrize(
    ("lines", "problem", "told"),
    [
        (["1,0.9,abc"] * 3, "Regression",
         "3 of 3 rows cannot be used; the first is a.csv, row 1: the label 'abc' is not a finite number."),
        (["1,3.5,1", "0,0.1,0"], "BinaryClassification",
         "1 of 2 rows cannot be used; the first is a.csv, row 1: the probability 3.5 is outside 0 to 1."),
        (["1,x,1", "0,0.1,0"], "BinaryClassification", "the probability 'x' is not a finite number"),
        (["1,0.5,inf"] * 2, "Regression", "the label 'inf' is not a finite number"),
        (["1,0.5,"] * 2, "Regression", "a.csv has no row with label and prediction (2 without label)."),
        ([], "Regression", "a.csv has no row with label and prediction."),
        (["a,0.5,a", "b,0.5,c"], "BinaryClassification",
         "the labels are 'a', 'c' and the predictions 'a', 'b'. Is it a MulticlassClassification?"),
        (["0.25,0.25,1", "0.75,0.75,0", "0.5,0.5,0"], "BinaryClassification",
         "Are the predictions probabilities? Then name that column as probability_attribute."),
        (["cat,0.5,cat"] * 2, "BinaryClassification", "Every label and prediction is 'cat': say which label"),
        ([f"{i},0.5,{i}" for i in range(1100)], "MulticlassClassification", "Is it a Regression?"),
    ],
    ids=["label-no-number", "probability-outside", "probability-no-number", "infinite", "all-missing", "empty",
         "three-labels", "probabilities-as-predictions", "one-label", "numbers-as-labels"],
)  # fmt: skip
def test_data_that_does_not_fit_says_where_and_why(tmp_path, lines, problem, told):
    source = _csv(tmp_path, "\n".join(["said,p,label", *lines]) + "\n")

    with pytest.raises(QualityError) as caught:
        gather(source, attributes(problem=problem, probability="p"))

    assert told in str(caught.value)


def test_a_few_bad_rows_are_left_out_and_located(tmp_path):
    lines = ["1,0.9,1"] * 30 + ["1,7,1", "1,,1", ",0.5,1", "0,0.5,"]

    made = gather(_csv(tmp_path, "\n".join(["said,p,label", *lines])), attributes(probability="p"))

    assert made.tally.rows == 30
    assert made.rows == 34
    assert made.missing == {"label": 1, "probability": 1, "prediction": 1}
    assert made.unread.places == [("a.csv", "row 31", "the probability 7 is outside 0 to 1")]


@pytest.mark.parametrize(
    ("pairs", "positive", "expected"),
    [
        ([("1", "1"), ("0", "1")], "", ("0", "1", [0, 0, 1, 1])),
        ([("1.0", "1"), ("0.0", "1")], "", ("0", "1", [0, 0, 1, 1])),
        ([("true", "1"), ("False", "1")], "", ("0", "1", [0, 0, 1, 1])),
        ([("yes", "yes"), ("yes", "no")], "", ("no", "yes", [0, 1, 0, 1])),
        ([("no", "yes"), ("yes", "no")], "no", ("yes", "no", [0, 1, 1, 0])),
        ([("dog", "cat"), ("dog", "dog")], "", ("cat", "dog", [0, 1, 0, 1])),
        ([("no", "no")], "", ("no", "yes", [1, 0, 0, 0])),
        ([("ok", "ok")], "broken", ("not broken", "broken", None)),
    ],
    ids=["numbers", "floats", "booleans", "yes-no", "turned", "texts", "one-known", "one-given"],
)
def test_the_positive_label_is_found_or_given(tmp_path, pairs, positive, expected):
    text = "\n".join(["said,label", *(f"{said},{label}" for said, label in pairs)])
    negative, wanted, confusion = expected

    if confusion is None:
        made = gather(_csv(tmp_path, text), attributes(positive=positive))
        assert made.names[1] == "broken"
        return
    made = gather(_csv(tmp_path, text), attributes(positive=positive))

    assert made.names == (negative, wanted)
    assert made.tally.confusion.tolist() == confusion


def test_a_probability_alone_is_compared_with_the_threshold(tmp_path):
    source = _csv(tmp_path, "p,label\n0.8,good\n0.81,good\n0.9,bad\n0.1,bad\n")

    made = gather(source, attributes(inference="", probability="p", threshold=0.8))

    # exactly the threshold is not above it
    assert made.names == ("bad", "good")
    assert made.tally.confusion.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("asked", "told"),
    [({"inference": ""}, "inference_attribute (or the probability: probability_attribute)"),
     ({"threshold": 50}, "The probability threshold 50 is outside 0 to 1.")],
)  # fmt: skip
def test_attributes_that_make_no_sense_are_refused(tmp_path, asked, told):
    with pytest.raises(QualityError) as caught:
        gather(_csv(tmp_path, CSV), attributes(**asked))

    assert told in str(caught.value)


def test_captures_without_labels_say_what_to_do(tmp_path, line):
    (tmp_path / "a.jsonl").write_text(line("1,2", "1"))

    with pytest.raises(
        QualityError, match="line 1: the record has no groundTruthData; merge it with its labels"
    ):
        gather(Source(tmp_path, "capture"), attributes(inference="0", truth=""))
