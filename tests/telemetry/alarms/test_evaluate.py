"""The tables of missing data, M of N, and AWS's words."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farero.records.alarms import Point
from farero.telemetry.alarms import texts
from farero.telemetry.alarms.evaluate import breaches, evaluate

NOW = dt.datetime(2022, 9, 25, 18, 50, 37, 811000, tzinfo=dt.UTC)
MODES = ("missing", "ignore", "breaching", "notBreaching")
NO_DATA = "INSUFFICIENT_DATA"


def config(n=1, m=None, **more):
    return {
        "EvaluationPeriods": n, "DatapointsToAlarm": m or n, "Threshold": 5.0, "Statistic": "Sum", "Period": 60,
        "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "missing", **more,
    }  # fmt: skip


def window(text):
    """Make a window of `0` (fine), `X` (breaching) and `-` (missing), old to new."""
    marks = text.split()
    first = NOW.replace(second=0, microsecond=0) - dt.timedelta(minutes=len(marks))
    return [
        None if mark == "-" else Point(
            at=first + dt.timedelta(minutes=i), value=6.0 if mark == "X" else float(mark), samples=6
        )
        for i, mark in enumerate(marks)
    ]  # fmt: skip


ALL_OF_THREE = {
    "0 - X - X": ("OK", "OK", "OK", "OK"),
    "0 - - - -": ("OK", "OK", "OK", "OK"),
    "- - - - -": (NO_DATA, None, "ALARM", "OK"),
    "0 X X - X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "- - X - -": ("ALARM", None, "ALARM", "OK"),
}
TWO_OF_THREE = {
    "0 - X - X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "0 0 X 0 X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "0 - X - -": ("OK", "OK", "ALARM", "OK"),
    "- - - - 0": ("OK", "OK", "ALARM", "OK"),
    "- - - X -": ("ALARM", None, "ALARM", "OK"),
}
ROWS = [
    (m, points, mode, state)
    for m, table in ((3, ALL_OF_THREE), (2, TWO_OF_THREE))
    for points, states in table.items()
    for mode, state in zip(MODES, states, strict=True)
]


@pytest.mark.parametrize(("m", "points", "mode", "state"), ROWS)
def test_missing_data_is_treated_as_the_tables_say(m, points, mode, state):
    verdict = evaluate(config(3, m, TreatMissingData=mode), window(points), now=NOW)
    assert (verdict and verdict.state) == state


def test_one_breaching_datapoint_is_told_in_awss_words():
    verdict = evaluate(config(), window("6"), now=NOW)
    assert verdict.reason == (
        "Threshold Crossed: 1 out of the last 1 datapoints [6.0 (25/09/22 18:49:00)] was greater than the threshold "
        "(5.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert verdict.reason_data == {
        "version": "1.0", "queryDate": "2022-09-25T18:50:37.811+0000", "statistic": "Sum", "period": 60,
        "recentDatapoints": [6.0], "threshold": 5.0,
        "evaluatedDatapoints": [{"timestamp": "2022-09-25T18:49:00.000+0000", "sampleCount": 6.0, "value": 6.0}],
    }  # fmt: skip


def test_several_datapoints_are_told_newest_first_in_the_plural():
    verdict = evaluate(config(3, 2), window("7 0 6"), now=NOW)
    assert verdict.reason == (
        "Threshold Crossed: 2 out of the last 3 datapoints [6.0 (25/09/22 18:49:00), 7.0 (25/09/22 18:47:00)] were "
        "greater than the threshold (5.0) (minimum 2 datapoints for OK -> ALARM transition)."
    )


def test_recovery_is_told():
    verdict = evaluate(config(Threshold=0.059), window("0"), now=NOW)
    assert verdict.state == "OK"
    assert verdict.reason.endswith(
        "was not greater than the threshold (0.059) (minimum 1 datapoint for ALARM -> OK transition)."
    )


def test_no_data_is_told():
    assert evaluate(config(), window("- - -"), now=NOW).reason == (
        "Insufficient Data: 1 datapoint was unknown."
    )
    assert evaluate(config(3), window("- - - - -"), now=NOW).reason == (
        "Insufficient Data: 3 datapoints were unknown."
    )
    assert evaluate(config(2, TreatMissingData="breaching"), window("- - - -"), now=NOW).reason == (
        "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as "
        "[Breaching]."
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (6, "6.0"), (0.059, "0.059"), (0, "0.0"), (0.0001, "1.0E-4"), (12345678, "1.2345678E7"), (-2.5, "-2.5"),
        (1e7, "1.0E7"), (9999999, "9999999.0"), (123456789.5, "1.234567895E8"), (1e-10, "1.0E-10"), (1e21, "1.0E21"),
        (-12345678.0, "-1.2345678E7"), (0.00012, "1.2E-4"),
    ],
)  # fmt: skip
def test_numbers_look_as_java_prints_them(value, text):
    assert texts.number(value) == text


@pytest.mark.parametrize(
    ("operator", "bad", "good"),
    [
        ("GreaterThanOrEqualToThreshold", 5, 4), ("GreaterThanThreshold", 6, 5), ("LessThanThreshold", 4, 5),
        ("LessThanOrEqualToThreshold", 5, 6), ("GreaterThanUpperThreshold", 11, -1), ("LessThanLowerThreshold", -1, 11),
        ("LessThanLowerOrGreaterThanUpperThreshold", 11, 10), ("LessThanLowerOrGreaterThanUpperThreshold", -1, 0),
    ],
)  # fmt: skip
def test_operators(operator, bad, good):
    asked = config(ComparisonOperator=operator)
    assert breaches(asked, Point(at=NOW, value=bad, lower=0, upper=10))
    assert not breaches(asked, Point(at=NOW, value=good, lower=0, upper=10))


def test_a_band_is_told_with_its_bounds():
    asked = config(ComparisonOperator="GreaterThanUpperThreshold")
    del asked["Threshold"]
    point = Point(
        at=dt.datetime(2022, 9, 25, 18, 49, tzinfo=dt.UTC), value=9.0, lower=1.0, upper=3.2
    )
    assert evaluate(asked, [point], now=NOW).reason == (
        "Thresholds Crossed: 1 out of the last 1 datapoints [9.0 (25/09/22 18:49:00)] was greater than the upper "
        "thresholds [3.2] (minimum 1 datapoint for OK -> ALARM transition)."
    )


def test_percentiles_of_few_samples_can_be_ignored():
    asked = config(ExtendedStatistic="p99")
    few = [Point(at=NOW, value=6.0, samples=999)]
    assert evaluate(asked, few, now=NOW).state == "ALARM"
    asked["EvaluateLowSampleCountPercentile"] = "ignore"
    assert evaluate(asked, few, now=NOW) is None
    assert evaluate(asked, [Point(at=NOW, value=6.0, samples=1001)], now=NOW).state == "ALARM"


@settings(max_examples=300, deadline=None)
@given(
    marks=st.lists(st.sampled_from("0X-"), min_size=3, max_size=12), m=st.integers(1, 10), mode=st.sampled_from(MODES)
)  # fmt: skip
def test_any_window_gives_a_state_that_its_real_points_allow(marks, m, mode):
    n = len(marks) - 2
    m = min(m, n)
    verdict = evaluate(config(n, m, TreatMissingData=mode), window(" ".join(marks)), now=NOW)
    newest = [mark for mark in marks if mark != "-"][-n:]
    if newest.count("X") >= m:
        assert verdict.state == "ALARM"
    elif len(newest) == n or mode == "notBreaching":
        assert verdict.state == "OK"
    elif mode == "breaching":
        is_bad = newest.count("X") + n - len(newest) >= m
        assert verdict.state == ("ALARM" if is_bad else "OK")
    elif "0" in newest:
        assert verdict.state == "OK"
    elif mode == "ignore":
        assert verdict is None
