"""Corners of the codecs that neither botocore's cases nor the round trips reach."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import gzip
import json
import math

import pytest
from botocore.model import ServiceModel

from farero.aws.wire import (
    cbor_body,
    errors,
    eventstream,
    form_body,
    identify,
    json_body,
    models,
    protocol,
    rest,
    scalars,
    xml_body,
)
from farero.aws.wire.messages import AwsError, Headers, HttpRequest
from farero.aws.wire.scalars import Malformed

MODEL = ServiceModel(
    {
        "metadata": {"protocol": "rest-json", "apiVersion": "1", "endpointPrefix": "x"},
        "operations": {
            "Do": {"name": "Do", "http": {"method": "POST", "requestUri": "/do/{Number}"}, "input": {"shape": "In"}, "output": {"shape": "Out"}},
            "Say": {"name": "Say", "http": {"method": "POST", "requestUri": "/say"}, "input": {"shape": "Text"}, "output": {"shape": "Text"}},
        },
        "shapes": {
            "In": {
                "type": "structure",
                "members": {
                    "Number": {"shape": "Integer", "location": "uri", "locationName": "Number"},
                    "Names": {"shape": "Names", "location": "header", "locationName": "x-names"},
                    "Times": {"shape": "Times", "location": "header", "locationName": "x-times"},
                    "Json": {"shape": "String", "jsonvalue": True, "location": "header", "locationName": "x-json"},
                    "Any": {"shape": "Strings", "location": "querystring"},
                    "Meta": {"shape": "Strings", "location": "headers", "locationName": "x-meta-"},
                },
            },
            "Out": {"type": "structure", "members": {"Names": {"shape": "Names", "location": "header", "locationName": "x-names"}}},
            "Text": {"type": "structure", "payload": "Body", "members": {"Body": {"shape": "String"}}},
            "Event": {"type": "structure", "event": True, "members": {
                "At": {"shape": "Time", "eventheader": True},
                "Words": {"shape": "String"},
            }},
            "TextEvent": {"type": "structure", "event": True, "members": {"Words": {"shape": "String", "eventpayload": True}}},
            "PartEvent": {"type": "structure", "event": True, "members": {"Part": {"shape": "Text2", "eventpayload": True}}},
            "Text2": {"type": "structure", "members": {"Words": {"shape": "String"}}},
            "Events": {"type": "structure", "eventstream": True, "members": {
                "Event": {"shape": "Event"}, "TextEvent": {"shape": "TextEvent"}, "PartEvent": {"shape": "PartEvent"},
            }},
            "Strings": {"type": "map", "key": {"shape": "String"}, "value": {"shape": "String"}},
            "Names": {"type": "list", "member": {"shape": "String"}},
            "Times": {"type": "list", "member": {"shape": "Time"}},
            "String": {"type": "string"},
            "Integer": {"type": "integer"},
            "Long": {"type": "long"},
            "Double": {"type": "double"},
            "Boolean": {"type": "boolean"},
            "Time": {"type": "timestamp"},
            "Blob": {"type": "blob"},
        },
    },
    "corner",
)  # fmt: skip
DO, SAY = MODEL.operation_model("Do"), MODEL.operation_model("Say")


def shape(name):
    return MODEL.shape_for(name)


def ask(operation, *, query="", body=b"", stream=None, labels=None, **headers):
    items = [(name.replace("_", "-"), value) for name, value in headers.items()]
    request = HttpRequest(
        method="POST", path="/", query=query, headers=Headers(items), body=body, stream=stream
    )
    return rest.read(operation, "rest-json", request, labels or {})


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("9f0102ff", [1, 2]),
        ("bf616101ff", {"a": 1}),
        ("5f41614162ff", b"ab"),
        ("7f61616162ff", "ab"),
        ("f97e00", math.nan),
        ("f97c00", math.inf),
        ("fa3fc00000", 1.5),
        ("3863", -100),
        ("f7", None),
        ("c11a00000001", dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)),
    ],
)
def test_cbor_of_every_form_is_decoded(body, value):
    assert repr(cbor_body.decode(bytes.fromhex(body))) == repr(value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "The body ends too early"),
        ("0101", "The body is not one CBOR data item"),
        ("ff", "The body is not one CBOR data item"),
        ("bf6161ff", "A map has a key without a value"),
        ("7f4161ff", "A string has a piece of another type"),
        ("81ff", "A break stands where a value is expected"),
        ("a10101", "A map key is not text"),
        ("e0", "Simple value 0 is not supported"),
        ("1c", "Additional information 28 is not valid"),
        ("c200", "Tag 2 is not supported"),
        ("c16161", "A timestamp is not a number"),
        ("61ff", "Text is not UTF-8"),
    ],
)
def test_cbor_of_no_form_is_refused(body, message):
    with pytest.raises(Malformed, match=message):
        cbor_body.decode(bytes.fromhex(body))


def test_cbor_numbers_may_come_as_one_another():
    assert cbor_body.read(shape("Long"), cbor_body.encode(2.0)) == 2
    assert cbor_body.read(shape("Double"), cbor_body.encode(2)) == 2.0
    assert cbor_body.read(shape("Time"), cbor_body.encode(0)).year == 1970
    with pytest.raises(Malformed, match="A bool can not be converted to a long"):
        cbor_body.read(shape("Long"), cbor_body.encode(plain=True))


def test_cbor_lists_may_hold_nothing():
    assert cbor_body.write(shape("Names"), ["a", None]) == bytes.fromhex("826161f6")
    assert cbor_body.read(shape("Names"), bytes.fromhex("826161f6")) == ["a", None]


@pytest.mark.parametrize(
    "text",
    ["2026-01-05T10:00:00Z", "2026-01-05T11:00:00+01:00", "2026-01-05T10:00:00", "Mon, 05 Jan 2026 10:00:00 GMT", "1767607200", "1767607200.0"],
)  # fmt: skip
def test_a_time_is_read_in_any_format(text):
    assert scalars.read_timestamp(text) == dt.datetime(2026, 1, 5, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize("text", ["soon", "", "2026-13-01", "1" * 40, math.nan, math.inf])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(Malformed, match="is not a timestamp"):
        scalars.read_timestamp(text)


def test_times_before_1970_and_naive_ones_are_written():
    naive = dt.datetime(1969, 12, 31, 23, 59, 59, 500_000)  # noqa: DTZ001 - rooms may hand one in
    assert scalars.write_timestamp(naive, "unixTimestamp") == -0.5
    assert scalars.write_timestamp(0, "iso8601") == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Integer", "1_0"),
        ("Integer", "2147483648"),
        ("Integer", "9" * 5000),
        ("Long", "9223372036854775808"),
        ("Double", "1_0"),
        ("Double", "nan"),
        ("Boolean", "yes"),
        ("Blob", "***"),
        ("Time", "x"),
    ],
)
def test_text_of_another_type_is_refused(name, text):
    with pytest.raises(Malformed):
        scalars.from_text(shape(name), text)


def test_numbers_that_fit_no_double_are_refused():
    with pytest.raises(Malformed, match="too large"):
        json_body.read(shape("Double"), b"1" + b"0" * 400)
    with pytest.raises(Malformed, match="not fit an Integer"):
        json_body.read(shape("Integer"), b"2147483648")
    with pytest.raises(Malformed, match="STRING_VALUE can not be converted to a Double"):
        json_body.read(shape("Double"), b'"1.5"')


def test_whole_floats_are_integers_in_json():
    assert json_body.read(shape("Integer"), b"3.0") == 3
    with pytest.raises(Malformed, match="NUMBER_VALUE can not be converted to an Integer"):
        json_body.read(shape("Integer"), b"3.5")


def test_lists_in_headers_know_quotes():
    assert ask(DO, x_names='a, "b, \\"c\\"", d')["Names"] == ["a", 'b, "c"', "d"]
    names = {"Names": ["a", 'b, "c"', None]}
    assert ("x-names", 'a, "b, \\"c\\""') in rest.write(DO, "rest-json", names).headers
    assert rest.write(DO, "rest-json", {"Names": []}).headers == []


def test_times_in_headers_keep_their_commas():
    text = "Mon, 05 Jan 2026 10:00:00 GMT, Tue, 06 Jan 2026 10:00:00 GMT"

    assert [t.day for t in ask(DO, x_times=text)["Times"]] == [5, 6]


def test_headers_of_a_prefix_are_a_map_and_repeats_are_joined():
    request = HttpRequest(
        method="PUT", path="/", query="", headers=Headers([("X-Meta-A", "1"), ("x-meta-a", "2")])
    )

    assert rest.read(DO, "rest-json", request, {})["Meta"] == {"a": "1,2"}


def test_json_in_a_header_must_be_json_in_base64():
    assert ask(DO, x_json=base64.b64encode(b"[1]").decode())["Json"] == [1]
    for text in ("***", base64.b64encode(b"[").decode()):
        with pytest.raises(Malformed, match="Json: the header is not JSON in base64"):
            ask(DO, x_json=text)


def test_a_label_of_another_type_is_refused_outside_the_body():
    with pytest.raises(Malformed, match="Number: 'x' is not an integer") as caught:
        ask(DO, labels={"Number": "x"})

    assert not caught.value.in_body


def test_text_payloads_are_utf_8():
    assert ask(SAY, body="é".encode()) == {"Body": "é"}
    assert ask(SAY) == {}
    with pytest.raises(Malformed, match="not UTF-8"):
        ask(SAY, body=b"\xff")
    response = rest.write(SAY, "rest-json", {"Body": "é"})
    assert (response.body, response.headers) == ("é".encode(), [("Content-Type", "text/plain")])


def test_a_stream_is_handed_on():
    async def pieces():
        yield b"x"

    source = pieces()

    assert ask(SAY, stream=source) == {"Body": source}


def test_events_may_hold_headers_texts_and_documents():
    moment = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    events = [
        {"Event": {"At": moment, "Words": None}},
        {"Event": {"Words": "w"}},
        {"TextEvent": {"Words": "w"}},
        {"PartEvent": {"Part": {"Words": "w"}}},
    ]

    async def frames(wire):
        return [f async for f in eventstream.write(shape("Events"), events, wire)]

    bare, words, text, part = asyncio.run(frames("rest-json"))
    assert b"\x02At\x08" in bare
    assert b'{"Words":"w"}' in words
    assert b"text/plain" in text
    assert b'{"Words":"w"}' in part
    assert b"<Text2><Words>w</Words></Text2>" in asyncio.run(frames("rest-xml"))[3]
    assert cbor_body.encode({"Words": "w"}) in asyncio.run(frames("smithy-rpc-v2-cbor"))[3]


def test_a_stream_of_events_is_closed_with_its_answer():
    closed = []

    async def source():
        try:
            yield {"TextEvent": {"Words": "w"}}
            yield {"TextEvent": {"Words": "w"}}
        finally:
            closed.append(True)

    async def take_one():
        frames = eventstream.write(shape("Events"), source(), "rest-json")
        await anext(frames)
        await frames.aclose()

    asyncio.run(take_one())
    assert closed == [True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Names.member.x=1", "not numbered"),
        ("Names.member.1.a=1", "a value is expected"),
        ("Strings.entry.1.key=a", "no key or no value"),
        ("&".join("a=1" for _ in range(form_body.MAX_FIELDS + 1)), "too many"),
    ],
    ids=["number", "value", "entry", "many"],
)
def test_forms_out_of_shape_are_refused(text, message):
    holder = ServiceModel(
        {"metadata": {}, "shapes": {
            "In": {"type": "structure", "members": {"Names": {"shape": "Names"}, "Strings": {"shape": "Strings"}}},
            "Strings": {"type": "map", "key": {"shape": "S"}, "value": {"shape": "S"}},
            "Names": {"type": "list", "member": {"shape": "S"}}, "S": {"type": "string"},
        }}
    ).shape_for("In")  # fmt: skip

    with pytest.raises(Malformed, match=message):
        form_body.read(holder, form_body.parse_pairs(text))


def test_an_xml_entry_needs_key_and_value():
    with pytest.raises(Malformed, match="no key or no value"):
        xml_body.read(shape("Strings"), b"<m><entry><key>a</key></entry></m>")


def test_compressed_bodies_are_inflated_within_bounds():
    form = "Action=PutMetricData&Version=2010-08-01&Namespace=n&MetricData.member.1.MetricName=m"
    good = cloudwatch(gzip.compress(form.encode()))
    target = protocol.identify(good)
    assert protocol.read(target, good)["Namespace"] == "n"
    for bad in (
        b"x",
        b"no gzip at all",
        gzip.compress(b"x" * 100)[:-4],
        gzip.compress(bytes(20 * 1024 * 1024)),
    ):
        with pytest.raises(AwsError) as caught:
            protocol.read(target, cloudwatch(bad))
        assert caught.value.code == "MalformedInput"


def cloudwatch(body):
    headers = [("content-type", "application/x-www-form-urlencoded"), ("content-encoding", "gzip")]
    return HttpRequest(method="POST", path="/", query="", headers=Headers(headers), body=body)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("smithy-protocol", "rpc-v2-cbor")], ("cloudwatch", "smithy-rpc-v2-cbor")),
        ([("x-amz-target", "No.Such")], ("sagemaker", "json")),
        ([("authorization", "AWS4-HMAC-SHA256 Credential=A/d/r/lambda/aws4_request")], ("lambda", "rest-json")),
        ([("content-type", "application/x-www-form-urlencoded")], ("sts", "query")),
        ([("content-type", "application/x-www-form-urlencoded"), ("content-encoding", "gzip")], ("s3", "rest-xml")),
        ([], ("s3", "rest-xml")),
    ],
)  # fmt: skip
def test_the_unknown_is_answered_in_the_callers_protocol(headers, expected):
    request = HttpRequest(
        method="POST", path="/", query="", headers=Headers(headers), body=b"Action=Nothing"
    )

    assert identify.guess_service(request) == expected


def test_members_of_errors_may_be_structures_or_headers():
    operation = models.operation_model("s3", "GetObject")
    target = protocol.Target("s3", "rest-xml", "GetObject", operation)
    members = {"StorageClass": "GLACIER", "AccessTier": "ARCHIVE_ACCESS"}

    response = protocol.write_error(
        target, AwsError("InvalidObjectState", "no", 403, members=members), "id"
    )

    assert b"<StorageClass>GLACIER</StorageClass>" in response.body


def test_json_is_written_without_spaces():
    assert json_body.encode({"a": [1]}) == json.dumps({"a": [1]}, separators=(",", ":")).encode()


def test_recursion_in_a_shape_is_bounded():
    tree = ServiceModel(
        {
            "metadata": {},
            "shapes": {"Tree": {"type": "structure", "members": {"Tree": {"shape": "Tree"}}}},
        }
    ).shape_for("Tree")

    assert json_body.read(tree, b'{"Tree":' * 50 + b"{}" + b"}" * 50)
    with pytest.raises(Malformed, match="nested too deeply"):
        json_body.read(tree, b'{"Tree":' * 150 + b"{}" + b"}" * 150)


def test_errors_may_bind_members_to_headers():
    model = ServiceModel(
        {
            "metadata": {},
            "operations": {
                "Do": {"name": "Do", "http": {"method": "GET"}, "errors": [{"shape": "Slow"}]}
            },
            "shapes": {
                "Slow": {
                    "type": "structure",
                    "exception": True,
                    "members": {
                        "After": {"shape": "N", "location": "header", "locationName": "Retry-After"}
                    },
                },
                "N": {"type": "integer"},
            },
        },
        "slow",
    )
    error = AwsError("Slow", "down", 503, members={"After": 3, "Why": None})

    for wire in ("rest-json", "rest-xml"):
        response = errors.write_for(model, wire, error, "id")
        assert ("Retry-After", "3") in response.headers


def test_json_and_text_find_their_place_in_answers():
    header = shape("In").members["Json"]
    assert json.loads(base64.b64decode(rest.header_text(header, {"a": [1]}))) == {"a": [1]}
    operation = models.operation_model("lambda", "Invoke")
    assert rest.write(operation, "rest-json", {"Payload": "text"}).body == b"text"


def test_an_absent_attribute_is_left_out():
    grantee = models.service_model("s3").shape_for("Grantee")

    assert xml_body.read(grantee, b"<Grantee><ID>x</ID></Grantee>") == {"ID": "x"}
    typed = b'<Grantee xmlns:xsi="x" xsi:type="Group"><ID>x</ID></Grantee>'
    assert xml_body.read(grantee, typed) == {"ID": "x", "Type": "Group"}
