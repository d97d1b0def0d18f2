"""When a composite is kept from acting, and when it is let go."""

import datetime as dt

import pytest

from farero.telemetry.alarms.suppression import Hold, advance, name_of

START = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
CONFIG = {
    "ActionsSuppressor": "s", "ActionsSuppressorWaitPeriod": 60, "ActionsSuppressorExtensionPeriod": 120,
}  # fmt: skip


def told(steps, config=CONFIG):
    """Play (second, state of the composite, suppressor is in ALARM); return what was told when, and by whom not."""
    hold, found, kept = Hold("OK"), [], []
    for second, state, is_suppressing in steps:
        now = START + dt.timedelta(seconds=second)
        hold = advance(hold, config, state=state, is_suppressing=is_suppressing, now=now)
        if not hold.by and hold.told != state:
            found.append((second, state))
            hold = Hold(state)
        kept.append(hold.by)
    return found, kept


@pytest.mark.parametrize(
    ("steps", "found", "kept"),
    [
        # The suppressor never follows: told when the wait is over.
        (
            [(0, "ALARM", False), (30, "ALARM", False), (60, "ALARM", False)],
            [(60, "ALARM")],
            ["WaitPeriod", "WaitPeriod", ""],
        ),
        # It follows in time; told when the extension after it is over.
        (
            [(0, "ALARM", False), (30, "ALARM", True), (90, "ALARM", False), (200, "ALARM", False), (210, "ALARM", False)],
            [(210, "ALARM")],
            ["WaitPeriod", "Alarm", "ExtensionPeriod", "ExtensionPeriod", ""],
        ),
        # All is well again before anything was told: nothing ever is.
        ([(0, "ALARM", False), (30, "OK", False), (90, "OK", False)], [], ["WaitPeriod", "", ""]),
        (
            [(0, "ALARM", True), (30, "OK", True), (60, "OK", False), (200, "OK", False)],
            [],
            ["Alarm", "Alarm", "ExtensionPeriod", ""],
        ),
        # It goes off and on again within the extension.
        (
            [(0, "OK", True), (10, "OK", False), (20, "ALARM", False), (30, "ALARM", True), (40, "ALARM", False), (160, "ALARM", False)],
            [(160, "ALARM")],
            ["Alarm", "ExtensionPeriod", "ExtensionPeriod", "Alarm", "ExtensionPeriod", ""],
        ),
        # A change back waits too.
        (
            [(0, "ALARM", False), (60, "ALARM", False), (70, "OK", False), (130, "OK", False)],
            [(60, "ALARM"), (130, "OK")],
            ["WaitPeriod", "", "WaitPeriod", ""],
        ),
    ],
)  # fmt: skip
def test_what_is_kept_back_is_told_when_it_may_be(steps, found, kept):
    assert told(steps) == (found, kept)


def test_periods_of_nothing_hold_nothing():
    config = {**CONFIG, "ActionsSuppressorWaitPeriod": 0, "ActionsSuppressorExtensionPeriod": 0}
    steps = [(0, "ALARM", False), (1, "OK", True), (2, "OK", False)]

    assert told(steps, config) == ([(0, "ALARM"), (2, "OK")], ["", "Alarm", ""])


def test_a_suppressor_is_named_or_given_by_its_arn():
    assert name_of({}) == ""
    assert name_of({"ActionsSuppressor": "a b"}) == "a b"
    assert name_of({"ActionsSuppressor": "arn:aws:cloudwatch:us-east-1:1:alarm:a:b"}) == "a:b"
