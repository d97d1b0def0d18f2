"""Which mistake a captured record shows in a baseline."""

import json

import pytest

from farero.monitoring.columns import Shape, mismatch, of_record


def record(request, answer, *, encoding="CSV"):
    halves = {
        name: {"data": data, "encoding": encoding, "mode": "INPUT", "observedContentType": "x"}
        for name, data in (("endpointInput", request), ("endpointOutput", answer))
        if data is not None
    }
    return json.dumps({"captureData": halves, "eventMetadata": {}}).encode()


NAMES = ["price", "rooms", "size"]


@pytest.mark.parametrize(
    ("line", "shape"),
    [
        (record("1,2", "3.5"), Shape(1, 2)),
        (record('1,"a,b"\n3,c', "3.5\n4"), Shape(1, 2)),
        (record("1,2", None), Shape(0, 2)),
        (record('{"rooms": 1, "size": 2}', "3.5", encoding="JSON"), Shape(1, 2, ("rooms", "size"))),
        (
            record('{"rooms": 1}', '{"price": 2}', encoding="JSON"),
            Shape(1, 1, ("price", "rooms")),
        ),
        (record("AAEC", "3.5", encoding="BASE64"), None),
        (record('{"instances": [1]}', "3", encoding="JSON"), None),
        (record("[1, 2]", "3", encoding="JSON"), None),
        (record("{", "3", encoding="JSON"), None),
        (b"{}", None),
        (b"{", None),
        (b"7", None),
        (b'{"captureData": {"endpointInput": {"data": 7}}}', None),
    ],
)
def test_a_records_columns_are_counted_or_left_alone(line, shape):
    assert of_record(line) == shape


@pytest.mark.parametrize(
    ("baseline", "shape", "said"),
    [
        (NAMES, Shape(1, 2), None),
        (NAMES[1:], Shape(1, 2), "lacks the model's answer, which comes first"),
        (["index", *NAMES], Shape(1, 2), "may hold a row number or an id"),
        (["a"] * 9, Shape(1, 2), "3 columns (1 of the answer, then 2 of the request), the baseline 9"),
        (NAMES, Shape(1, 2, ("price", "rooms", "size")), None),
        (NAMES, Shape(1, 2, ("price", "Rooms", "size")), "'rooms' is not among those captured"),
        (NAMES, Shape(1, 1, ("age", "sex")), "baseline of another model"),
        (NAMES, Shape(1, 2, ("rooms", "size")), None),
        (NAMES, Shape(1, 2, ("score", "rooms", "size")), None),
        (NAMES, Shape(1, 2, ("score", "Rooms", "size")), "'rooms' is not among those captured"),
        (NAMES, Shape(2, 2, ("score", "sure", "rooms", "size")), "'price' is not among those captured"),
    ],
)  # fmt: skip
def test_the_likely_mistake_is_named(baseline, shape, said):
    text = mismatch(baseline, shape)
    assert (text is None) == (said is None)
    assert said is None or said in text
