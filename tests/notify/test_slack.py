"""What Slack gets: its own JSON, coloured by the alarm's state, and nothing that Slack would take for markup."""

import datetime as dt
import json

import pytest

from farero.notify import slack
from farero.notify.guard import parse_url
from farero.records.notify import Note, NoteType

SLACK = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
ALARM = {
    "AlarmName": "iris <errors> & more", "AlarmDescription": "Too many", "NewStateValue": "ALARM",
    "NewStateReason": "Threshold Crossed: 6.0 > 5.0", "StateChangeTime": "2026-01-05T09:50:37.811+0000",
    "Region": "US East (N. Virginia)", "OldStateValue": "OK",
    "Trigger": {
        "MetricName": "Invocation5XXErrors", "Namespace": "AWS/SageMaker",
        "Dimensions": [{"value": "iris", "name": "EndpointName"}, {"value": "AllTraffic", "name": "VariantName"}],
    },
}  # fmt: skip


def written(message, subject="Subject", console="http://127.0.0.1:4748"):
    sent = Note(
        type=NoteType.NOTIFICATION,
        message_id="m",
        topic_arn="t",
        message=message,
        subject=subject,
        sent_at=dt.datetime(2026, 1, 5, tzinfo=dt.UTC),
    )
    return json.loads(slack.write(sent, console))


def test_an_alarm_becomes_a_coloured_card_with_a_link():
    payload = written(json.dumps(ALARM), subject='ALARM: "iris" in US East')

    (card,) = payload["attachments"]
    text = card["blocks"][0]["text"]["text"]
    assert payload["text"] == 'ALARM: "iris" in US East'
    assert card["color"] == "#d1242f"
    assert text.splitlines() == [
        "*ALARM*: <http://127.0.0.1:4748/alarms/iris%20%3Cerrors%3E%20%26%20more|iris &lt;errors&gt; &amp; more>",
        "Too many",
        "Threshold Crossed: 6.0 &gt; 5.0",
    ]
    assert card["blocks"][1]["elements"][0]["text"] == (
        "AWS/SageMaker Invocation5XXErrors (iris, AllTraffic) · was OK · 2026-01-05T09:50:37.811+0000 · "
        "US East (N. Virginia)"
    )


@pytest.mark.parametrize("state", ["ALARM", "OK", "INSUFFICIENT_DATA", "ELSE"])
def test_the_colour_tells_the_state(state):
    payload = written(json.dumps({**ALARM, "NewStateValue": state}))

    assert payload["attachments"][0]["color"] == slack.COLOURS.get(state, "#9a6700")


def test_any_other_message_is_its_subject_and_text():
    assert written("a < b & c", "Hi <all>") == {"text": "*Hi &lt;all&gt;*\na &lt; b &amp; c"}


@pytest.mark.parametrize("message", ["[]", '"x"', "{", '{"AlarmName": "x"}', "[" * 100_000])
def test_odd_messages_are_told_as_they_are(message):
    assert written(message, None)["text"].startswith(message[:100])


def test_without_a_console_there_is_no_link():
    assert (
        "<"
        not in written(json.dumps(ALARM), console="")["attachments"][0]["blocks"][0]["text"]["text"]
    )


@pytest.mark.parametrize(
    ("url", "is_allowed_host", "wanted"),
    [
        (SLACK, False, True),
        (SLACK.replace("https", "http"), False, False),
        ("https://hooks.slack.com/", False, False),
        ("https://hooks.slack.com.evil.example/services/T0/B0/X", False, False),
        ("https://chat.example/services/T0/B0/X", False, False),
        ("https://chat.example/services/T0/B0/X", True, True),
        ("https://chat.example/services/other", True, False),
    ],
)
def test_what_is_a_webhook(url, is_allowed_host, wanted):
    assert slack.is_webhook(parse_url(url), is_allowed_host=is_allowed_host) is wanted
