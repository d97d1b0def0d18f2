"""Probabilities of several classes, in every form that an answer has: the likeliest class is what was told."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from farero_monitor import container
from farero_monitor.__main__ import main
from farero_monitor.probabilities import ProbabilitiesError, of_classes
from farero_monitor.quality.gather import QualityError, gather
from farero_monitor.quality.sources import Attributes, Source

#: Three rows as the built-in XGBoost container answers them (multi:softprob), and their labels; the last is wrong.
SCORES = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3]]
LABELS = ["0", "2", "2"]
COUNTS = {("0", "0"): 1, ("2", "2"): 1, ("2", "1"): 1}
BASE64 = "eyJzY29yZSI6IFswLjcsIDAuMiwgMC4xXX0K"


def merged(output, label, kind="CSV", content="text/csv"):
    half = {"observedContentType": content, "mode": "OUTPUT", "data": output, "encoding": kind}
    return json.dumps({
        "captureData": {"endpointOutput": half},
        "groundTruthData": {"data": label, "encoding": "CSV"},
        "eventMetadata": {"eventId": "e", "inferenceTime": "2026-01-05T10:00:00Z"},
    })  # fmt: skip


def asked(probability, **given):
    named = {"problem": "MulticlassClassification", "probability": probability}
    return Attributes(**named | given)


def counts_of(folder, lines, probability):
    (folder / "a.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return gather(Source(folder, "capture"), asked(probability)).tally.counts


def each(write, **given):
    return [merged(write(row), label, **given) for row, label in zip(SCORES, LABELS, strict=True)]


JSON = {"kind": "JSON", "content": "application/json"}
FORMS = {
    "csv": (each(lambda row: ",".join(map(str, row)) + "\n"), "0-2"),
    "csv-several-rows": (
        [merged("\n".join(",".join(map(str, row)) for row in SCORES), "\n".join(LABELS))], "0-2"),
    "csv-after-a-label": (each(lambda row: ",".join(map(str, [9, *row]))), "1,2,3"),
    "csv-with-a-list": (each(lambda row: f'9,"{row}"'), "1"),
    "json-by-index": (each(lambda row: json.dumps({"predictions": [{"score": row}]}), **JSON), "0-2"),
    "json-by-path": (
        each(lambda row: json.dumps({"predictions": [{"score": row}]}), **JSON), "$.predictions[0].score"),
    "json-several-rows": (
        [merged(json.dumps({"predictions": [{"score": row} for row in SCORES]}), "\n".join(LABELS), **JSON)],
        "$.predictions[*].score"),
    "json-bare-list": (each(json.dumps, **JSON), "0-2"),
    "json-list-of-lists": ([merged(json.dumps(SCORES), "\n".join(LABELS), **JSON)], "0-2"),
    "json-a-path-each": (
        each(lambda row: json.dumps({"p": row}), **JSON), "0=$.p[0],1=$.p[1],2=$.p[2]"),
    "json-lines": (
        each(lambda row: json.dumps({"score": row}), kind="JSON", content="application/jsonlines"), "score"),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "probability"), FORMS.values(), ids=FORMS)
def test_the_likeliest_class_is_what_an_answer_told(tmp_path, lines, probability):
    assert counts_of(tmp_path, lines, probability) == COUNTS


def test_answers_in_base64_are_read_too(tmp_path):
    line = merged(BASE64, "0", kind="BASE64", content="application/jsonlines")

    assert counts_of(tmp_path, [line], "score") == {("0", "0"): 1}
    assert counts_of(tmp_path, [line], "0-2") == {("0", "0"): 1}


def test_classes_have_names(tmp_path):
    lines = [merged("0.7,0.2,0.1", "rose"), merged("0.1,0.2,0.7", "violet")]

    found = counts_of(tmp_path, lines, "rose=0,lily=1,violet=2")

    assert found == {("rose", "rose"): 1, ("violet", "violet"): 1}


def test_tables_name_a_column_each_or_one_with_lists(tmp_path):
    columns = {f"p{k}": [row[k] for row in SCORES] for k in range(3)}
    pq.write_table(pa.table(columns | {"all": SCORES, "label": LABELS}), tmp_path / "a.parquet")
    lines = [{"all": row, "label": label} for row, label in zip(SCORES, LABELS, strict=True)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    parquet, of_json = (
        Source(tmp_path / "a.parquet", "parquet"), Source(tmp_path / "a.jsonl", "json"))  # fmt: skip

    for source, name in ((parquet, "p0,p1,p2"), (parquet, "all"), (parquet, "0-2"),
                         (of_json, "all"), (of_json, "$.all[0],$.all[1],$.all[2]")):  # fmt: skip
        assert gather(source, asked(name, truth="label")).tally.counts == COUNTS


@pytest.mark.parametrize("probability", ["x=0,y=1,z=2", "all"], ids=["each", "list"])
def test_two_tables_are_joined_by_an_id(tmp_path, capsys, probability):
    (tmp_path / "told.csv").write_text('0,1,2,all,id\n.7,.2,.1,"[.7,.2,.1]",a\n.1,.2,.7,"[.1,.2,.7]",b\n'
                                       .replace("[.", "[0.").replace(",.", ",0."))  # fmt: skip
    (tmp_path / "sold.csv").write_text("id,label\na,x\nb,y\n" if "x" in probability else "id,label\na,0\nb,1\n")  # fmt: skip

    code = main(["quality", str(tmp_path / "told.csv"), "--truth", str(tmp_path / "sold.csv"), "--json",
                 "--problem", "multiclass", "--probability", probability])  # fmt: skip

    figures = json.loads(capsys.readouterr().out)["quality"]["figures"]
    assert (code, figures["accuracy"]["value"]) == (0, 0.5)


@pytest.mark.parametrize(
    ("lines", "given", "told"),
    [
        (each(lambda row: ",".join(map(str, row))), {"inference": "0"},
         "The predictions ('0.1', '0.2', '0.7') are none of the labels ('0', '2'). Are they probabilities?"),
        (each(lambda row: ",".join(map(str, row))), {"probability": "0"},
         "line 1: '0.7' is no list of probabilities; name one for each class, as 0-2"),
        (each(lambda row: ",".join(map(str, row))), {"probability": "1=0,2=1,3=2"},
         "1 of 3 labels ('0') are of no class that has a probability ('1', '2', '3')."),
        (each(lambda row: ",".join(map(str, row))), {"probability": "2=0"}, "the probability of one class"),
        (each(lambda row: ",".join(map(str, [*row[:2], 7]))), {"probability": "0-2"},
         "the probability 7 is outside 0 to 1"),
        (each(lambda row: json.dumps({"p": row}), **JSON), {"inference": "$.p"},
         "3 predictions for one label; if they are the probabilities of all classes, name them as"),
        ([merged("[0.1, 0.9]", "0", **JSON), *each(json.dumps, **JSON)], {"probability": "$"},
         "3 probabilities where others have 2"),
        (each(lambda row: ",".join(map(str, row))), {}, "(or the probabilities of all classes: probability_attribute)"),
        ([merged(said, label) for said, label in (("a", "x"), ("b", "y"))] * 25, {"inference": "0"},
         "None of the predictions ('a', 'b') is one of the labels ('x', 'y')."),
    ],
    ids=["one-taken-for-a-class", "one-taken-for-all", "classes-from-one", "one-class", "no-probability",
         "list-as-prediction", "lists-of-two-lengths", "nothing-named", "other-names"],
)  # fmt: skip
def test_wrong_input_says_what_to_name(tmp_path, lines, given, told):
    (tmp_path / "a.jsonl").write_text("".join(f"{line}\n" for line in lines))

    with pytest.raises(QualityError) as caught:
        gather(Source(tmp_path, "capture"), asked(**{"probability": ""} | given))

    assert told in str(caught.value)


def test_a_model_that_is_always_wrong_is_measured_all_the_same(tmp_path):
    lines = [merged("2", label) for label in "01" * 40]
    (tmp_path / "a.jsonl").write_text("".join(f"{line}\n" for line in lines))

    made = gather(Source(tmp_path, "capture"), asked("", inference="0"))

    assert made.tally.counts == {("0", "2"): 40, ("1", "2"): 40}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (["2-4"], {"0": "2", "1": "3", "2": "4"}), (["p0,p1"], {"0": "p0", "1": "p1"}),
        (["p0", "p1"], {"0": "p0", "1": "p1"}), (["a=p0", "b=p1"], {"a": "p0", "b": "p1"}),
        (["p"], {"": "p"}), (["1=p"], {"1": "p"}), (["$['a,b']"], {"": "$['a,b']"}), ([], {}),
    ],
)  # fmt: skip
def test_columns_and_their_classes_are_read(told, expected):
    assert of_classes(told) == expected


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (["p0", "1=p1"], "say of which class 'p0' is the probability"),
        (["a=p,a=q"], "the class 'a' is there twice"), (["p,p"], "the column 'p' is there twice"),
        (["4-2"], "is no range of columns"), (["p,,q"], "names no column between two commas"),
        (["=p"], "is not CLASS=COLUMN"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told(told, why):
    with pytest.raises(ProbabilitiesError, match=re.escape(why)):
        of_classes(told)


def test_the_container_takes_a_list_of_columns(tmp_path):
    (tmp_path / "in.csv").write_text("p0,p1,p2,label\n" + ".7,.2,.1,0\n.1,.3,.6,2\n.2,.5,.3,2\n")
    environ = {
        "analysis_type": "MODEL_QUALITY", "problem_type": "MulticlassClassification",
        "dataset_format": '{"csv": {"header": true}}', "dataset_source": str(tmp_path / "in.csv"),
        "output_path": str(tmp_path / "out"), "probability_attribute": "p0,p1,p2",
        "ground_truth_attribute": "label",
    }  # fmt: skip

    container.run(environ)

    found = json.loads((tmp_path / "out" / "statistics.json").read_bytes())
    metrics = found["multiclass_classification_metrics"]
    assert metrics["accuracy"]["value"] == pytest.approx(2 / 3)
    assert metrics["confusion_matrix"]["2"] == {"0": 0, "1": 1, "2": 1}


def test_the_container_learns_of_three_classes(tmp_path):
    rows = [
        f"{label},{','.join(map(str, row))},5" for row, label in zip(SCORES, "012", strict=True)
    ]
    (tmp_path / "in.csv").write_text("\n".join(["y,p0,p1,p2,x", *rows * 200]))
    environ = {
        "dataset_format": '{"csv": {"header": true}}', "dataset_source": str(tmp_path / "in.csv"),
        "output_path": str(tmp_path / "out"), "probability_attribute": "0=p0,1=p1,2=p2",
        "ground_truth_attribute": "y",
    }  # fmt: skip

    container.run(environ)

    assert (tmp_path / "out" / "baseline.estimate").exists()
    names = json.loads((tmp_path / "out" / "constraints.json").read_bytes())["features"]
    assert [one["name"] for one in names] == ["p0", "p1", "p2", "x"]


@pytest.fixture
def labelled(tmp_path):
    """A labelled table of three classes, and a function: answer of a row → the estimate of a window of such answers."""
    rng = np.random.default_rng(5)
    x = rng.normal(0.0, 1.0, 900)
    p = np.column_stack([x, rng.normal(0.0, 1.0, 900), np.zeros(900)])
    p = np.exp(p) / np.exp(p).sum(axis=1, keepdims=True)
    said = p.argmax(axis=1)
    rows = np.column_stack([said, p, x, rng.permutation(said)])
    np.savetxt(tmp_path / "a.csv", rows, "%.5f", ",", header="said,p0,p1,p2,x,y", comments="")

    def estimate(answer, *flags, kind="CSV"):
        lines = []
        for row in rows[:300].tolist():
            half = {"observedContentType": "application/json" if kind == "JSON" else "text/csv"}
            data = {
                "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "encoding": "CSV", "data": f"{row[4]}"},
                "endpointOutput": half | {"mode": "OUTPUT", "encoding": kind, "data": answer(row)},
            }  # fmt: skip
            lines.append(json.dumps({"captureData": data, "eventMetadata": {}}))
        (tmp_path / "window.jsonl").write_text("\n".join(lines))
        base, out = str(tmp_path / "base"), str(tmp_path / "out")
        main(["baseline", str(tmp_path / "a.csv"), "-o", base, "--target", "y", "--probability", "p0,p1,p2", *flags])  # fmt: skip
        main(["run", str(tmp_path / "window.jsonl"), "-b", base, "-o", out, "--format", "capture"])
        return json.loads((tmp_path / "out" / "drift_report.json").read_bytes())["estimated"]

    return estimate


def test_answers_as_the_baseline_has_them_are_estimated_in_csv_and_json(labelled):
    in_csv = labelled(lambda row: ",".join(map(str, row[:4])), "--prediction", "said")
    in_json = labelled(
        lambda row: json.dumps({"told": row[0], "score": row[1:4]}), "--prediction", "said", kind="JSON"
    )  # fmt: skip

    assert in_csv["reason"] == in_json["reason"] == ""
    assert in_csv["figures"] == in_json["figures"]


@pytest.mark.parametrize(
    ("answer", "flags", "kind", "told"),
    [
        (lambda row: ",".join(map(str, row[1:4])), ["--prediction", "said"], "CSV",
         "The captured answers are p0, p1, said, but the baseline's are said, p0, p1, p2: name every value"),
        (lambda row: json.dumps(row[1:4]), ["--prediction", "said"], "JSON",
         "The captured answers are p0, p1, said, but"),
        (lambda row: json.dumps({"score": row[1:3]}), [], "JSON",
         "The captured answers are score.0, score.1, but the baseline's are p0, p1, p2"),
        (lambda row: ",".join(map(str, row[:4])), [], "CSV",
         "The captured answers are 4 values, but the baseline's are p0, p1, p2: name every value"),
    ],
    ids=["one-less", "one-less-in-a-list", "one-less-by-name", "one-more"],
)  # fmt: skip
def test_answers_of_another_width_are_not_estimated_from(labelled, answer, flags, kind, told):
    found = labelled(answer, *flags, kind=kind)

    assert told in found["reason"]
    assert (found["figures"], found["rows"]) == ({}, 0)
