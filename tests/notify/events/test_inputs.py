"""What targets are told: AWS's own examples ("Amazon EventBridge input transformation"), and laws for any event."""

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farero.base.errors import Invalid
from farero.notify.events import inputs
from farero.records.events import Rule

RULE = Rule(
    bus="default",
    name="example",
    arn="arn:aws:events:us-east-2:123456789012:rule/example",
    began_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
)
EVENT = {
    "version": "0",
    "id": "7bf73129-1428-4cd3-a780-95db273d1602",
    "detail-type": "EC2 Instance State-change Notification",
    "source": "aws.ec2",
    "account": "123456789012",
    "time": "2015-11-11T21:29:54Z",
    "region": "us-east-1",
    "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],
    "detail": {"instance-id": "i-0123456789", "state": "RUNNING", "cores": 4, "disks": [{"gb": 8}]},
}
CAME_AT = "2015-11-11T21:29:55Z"
PATHS = {
    "timestamp": "$.time",
    "instance": "$.detail.instance-id",
    "state": "$.detail.state",
    "cores": "$.detail.cores",
    "detail": "$.detail",
    "lost": "$.detail.lost.more",
}


def told(target, event=EVENT):
    inputs.check({"Id": "t", "Arn": "arn:aws:sqs:us-east-1:123456789012:q", **target})
    return inputs.write(target, event, RULE, came_at=CAME_AT)


def filled(template, event=EVENT):
    return told({"InputTransformer": {"InputPathsMap": PATHS, "InputTemplate": template}}, event)


def test_without_a_wish_the_target_gets_the_event_in_aws_order():
    assert told({}) == json.dumps(EVENT, separators=(",", ":"))


def test_an_input_is_passed_on_letter_by_letter():
    assert told({"Input": '{ "a":1 }'}) == '{ "a":1 }'


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", EVENT),
        ("$.detail", EVENT["detail"]),
        ("$.detail.state", "RUNNING"),
        ("$.detail-type", EVENT["detail-type"]),
        ("$['detail-type']", EVENT["detail-type"]),
        ("$.resources[0]", EVENT["resources"][0]),
        ("$.detail.disks[*].gb", [8]),
        ("$.detail.disks[0].gb", 8),
        ("$.detail.nothing", None),
        ("$.resources[3]", None),
    ],
)
def test_a_path_passes_a_part_on(path, expected):
    assert json.loads(told({"InputPath": path})) == expected


#: Template, output: the table of the user guide, and what AWS does with missing and nested values.
TEMPLATES = [
    ('"instance <instance> is in <state>"', '"instance i-0123456789 is in RUNNING"'),
    (r'"instance \"<instance>\" is in <state>"', r'"instance \"i-0123456789\" is in RUNNING"'),
    (
        '{\n "instance" : <instance>,\n "state": <state>\n}',
        '{"instance":"i-0123456789","state":"RUNNING"}',
    ),
    (
        '{"instance": <instance>, "state": "<state>", "s": "instance \\"<instance>\\" is in <state>"}',
        '{"instance":"i-0123456789","state":"RUNNING","s":"instance \\"i-0123456789\\" is in RUNNING"}',
    ),
    (
        '{"instance": <instance>, "state": [9, <state>, true], "n": <cores>}',
        '{"instance":"i-0123456789","state":[9,"RUNNING",true],"n":4}',
    ),
    ('"<aws.events.rule-name> triggered"', '"example triggered"'),
    ('{"arn": <aws.events.rule-arn>}', f'{{"arn":"{RULE.arn}"}}'),
    ('{"at": <aws.events.event.ingestion-time>}', f'{{"at":"{CAME_AT}"}}'),
    ('"lost: <lost>."', '"lost: ."'),
    ('{"lost": <lost>}', '{"lost":""}'),
    (
        '"detail <detail>"',
        '"detail {instance-id:i-0123456789,state:RUNNING,cores:4,disks:[{gb:8}]}"',
    ),
    ('"first <state>"\n"second <cores>"', '"first RUNNING"\n"second 4"'),
]


@pytest.mark.parametrize(("template", "expected"), TEMPLATES)
def test_a_template_is_filled_in_as_aws_does(template, expected):
    assert filled(template) == expected


def test_the_reserved_copies_of_the_event_are_with_and_without_detail():
    both = json.loads(filled('{"head": <aws.events.event>, "all": <aws.events.event.json>}'))

    assert both["all"] == EVENT
    assert "detail" not in both["head"]
    assert both["head"]["detailType"] == EVENT["detail-type"]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"Input": "{}", "InputPath": "$"}, "Only one of Input, InputPath, or InputTransformer"),
        ({"Input": "no json"}, "JSON syntax error in input for target t."),
        ({"InputPath": "detail"}, "Invalid InputPath for target t."),
        ({"InputTransformer": {"InputTemplate": '"<x>"'}}, "contains invalid placeholder x."),
        (
            {"InputTransformer": {"InputTemplate": "bare words"}},
            "Invalid InputTemplate for target t",
        ),
        (
            {"InputTransformer": {"InputPathsMap": {"aws.x": "$"}, "InputTemplate": "1"}},
            "contains invalid key aws.x",
        ),
        (
            {"InputTransformer": {"InputPathsMap": {"x": "no path"}, "InputTemplate": "1"}},
            "Invalid InputPath for target t.",
        ),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {f"v{n}": "$" for n in range(101)},
                    "InputTemplate": "1",
                }
            },
            "more than 100 entries",
        ),
    ],
)
def test_what_could_never_be_filled_in_is_refused(target, words):
    with pytest.raises(Invalid) as refused:
        told(target)

    assert words in refused.value.detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(JSON)
def test_any_value_leaves_json_that_can_be_read(value):
    event = {**EVENT, "detail": {"state": value}}

    whole = json.loads(filled('{"bare": <state>, "quoted": "is <state>", "x<cores>": 1}', event))

    assert whole["bare"] == value
    assert whole["quoted"].startswith("is ")
    if isinstance(value, str):
        assert whole["quoted"] == f"is {value}"
