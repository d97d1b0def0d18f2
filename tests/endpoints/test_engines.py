"""What a replica says of its engine, as a tag and in an image's name."""

import pytest

from farero.endpoints.engines import environment_for, mark_of, tag_value


def test_a_text_becomes_a_tags_value():
    text = "parity proven on 20,000 rows: sums bit for bit, worst 1.2e-07; `x` (y)"

    assert tag_value(text) == "parity proven on 20000 rows: sums bit for bit - worst 1.2e-07 x y"
    assert len(tag_value("a" * 300)) == 256


@pytest.mark.parametrize(
    ("framework", "variables", "name"),
    [
        ("xgboost", {}, "xgboost"),
        ("xgboost", {"FARERO_ACCELERATE": "onnx"}, "xgboost-accelerated"),
        ("xgboost", {"FARERO_ACCELERATE": "other"}, "xgboost"),
        ("pytorch", {"FARERO_ACCELERATE": "onnx"}, "pytorch-accelerated"),
        ("pytorch", {"FARERO_ACCELERATE": "onnx", "SAGEMAKER_PROGRAM": "x.py"}, "pytorch"),
        ("sklearn", {"FARERO_ACCELERATE": "onnx"}, "sklearn"),
    ],
)
def test_the_python_for_a_model(framework, variables, name):
    assert environment_for(framework, variables) == name


@pytest.mark.parametrize(
    ("said", "mark"),
    [
        ({"engine": "onnxruntime", "version": "1.31.1", "text": "…"}, "+onnxruntime-1.31.1"),
        ({"engine": "leaf-masks", "version": "3", "text": "…"}, "+leaf-masks-3"),
        ({"engine": "xgboost", "version": "3.2.0", "text": "not accelerated"}, ""),
        ({}, ""),
    ],
)
def test_the_image_is_marked_by_another_engine_only(said, mark):
    assert mark_of(said) == mark
