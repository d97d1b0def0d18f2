"""What the words of `farero alarm add` mean."""

import pytest

from farero.base.errors import Invalid
from farero.cli import alarm_words as words

AVERAGE, SUM = {"Statistic": "Average"}, {"Statistic": "Sum"}


@pytest.mark.parametrize(
    ("word", "value", "metric", "statistic", "threshold"),
    [
        ("p99", "200ms", "AWS/SageMaker/ModelLatency", {"ExtendedStatistic": "p99"}, 200_000),
        ("p50", "1.5s", "AWS/SageMaker/ModelLatency", {"ExtendedStatistic": "p50"}, 1_500_000),
        ("p99.9", "800us", "AWS/SageMaker/ModelLatency", {"ExtendedStatistic": "p99.9"}, 800),
        ("latency", "1m", "AWS/SageMaker/ModelLatency", AVERAGE, 60_000_000),
        ("errors", "5", "AWS/SageMaker/InvocationModelErrors", SUM, 5),
        ("5xx", "1%", "AWS/SageMaker/Invocation5XXErrors", AVERAGE, 0.01),
        ("4XX", "0", "AWS/SageMaker/Invocation4XXErrors", SUM, 0),
        ("requests", "100", "AWS/SageMaker/Invocations", SUM, 100),
        ("requests", "10/s", "AWS/SageMaker/Invocations", SUM, 3000),
        ("cpu", "80%", "/aws/sagemaker/Endpoints/CPUUtilization", AVERAGE, 80),
        ("memory", "90", "/aws/sagemaker/Endpoints/MemoryUtilization", AVERAGE, 90),
        ("disk", "90%", "/aws/sagemaker/Endpoints/DiskUtilization", AVERAGE, 90),
        ("Shop/Orders", "-2.5", "Shop/Orders", AVERAGE, -2.5),
    ],
)
def test_a_word_and_a_value_name_a_metric_and_its_limit(word, value, metric, statistic, threshold):
    found = words.watched(word, value, comparison=">", period_s=300)

    assert f"{found.namespace}/{found.metric}" == metric
    assert (found.statistic, found.threshold) == (statistic, threshold)


@pytest.mark.parametrize(
    ("word", "comparison", "missing"),
    [
        ("requests", "<", "breaching"),
        ("requests", ">", "notBreaching"),
        ("errors", ">", "notBreaching"),
        ("cpu", ">", "missing"),
    ],
)
def test_silence_is_bad_only_where_too_little_is_watched_for(word, comparison, missing):
    assert words.watched(word, "5", comparison=comparison, period_s=60).missing == missing


@pytest.mark.parametrize(
    ("word", "value", "says"),
    [
        ("p99", "200", "write 200ms or 200s"),
        ("p101", "200ms", "is no metric"),
        ("p99", "200%", "write 200ms or 1.5s"),
        ("errors", "5ms", "write 5 or 1%"),
        ("speed", "5", "is no metric; write p50"),
        ("/x", "5", "is no metric"),
        ("cpu", "much", "write 80%"),
    ],
)
def test_what_makes_no_sense_is_said_with_what_would(word, value, says):
    with pytest.raises(Invalid, match=says):
        words.watched(word, value, comparison=">", period_s=60)


@pytest.mark.parametrize(
    ("text", "found"),
    [("3/5", (3, 5)), ("3 of 5", (3, 5)), ("2", (2, 2)), ("1/1", (1, 1))],
)
def test_so_many_of_so_many_periods(text, found):
    assert words.m_of_n(text) == found


@pytest.mark.parametrize("text", ["5/3", "0", "0/2", "x", "", "3/"])
def test_not_more_of_fewer(text):
    with pytest.raises(Invalid, match="--for 3/5"):
        words.m_of_n(text)


@pytest.mark.parametrize(("text", "found"), [("10s", 10), ("1m", 60), ("1h", 3600), ("120s", 120)])
def test_periods_that_cloudwatch_has(text, found):
    assert words.seconds(text) == found


@pytest.mark.parametrize("text", ["15s", "90s", "0m", "1", "m"])
def test_periods_that_it_has_not(text):
    with pytest.raises(Invalid, match="is no period"):
        words.seconds(text)


@pytest.mark.parametrize(
    ("text", "protocol", "endpoint"),
    [
        ("slack:https://hooks.slack.com/services/T0/B0/x", "https", "https://hooks.slack.com/services/T0/B0/x"),
        ("mailto:ana@example.com", "email", "ana@example.com"),
        ("mail:ana@example.com", "email", "ana@example.com"),
        ("https://example.com/hook?a=1", "https", "https://example.com/hook?a=1"),
        ("webhook:http://example.com/", "http", "http://example.com/"),
        ("sns:alerts", "sns", "alerts"),
        ("arn:aws:sns:us-east-1:123456789012:alerts", "sns", "arn:aws:sns:us-east-1:123456789012:alerts"),
        ("sqs:inbox", "sqs", "inbox"),
        ("ntfys://topic", "application", "ntfys://topic"),
        ("apprise:tgram://token/chat", "application", "tgram://token/chat"),
    ],
)  # fmt: skip
def test_who_is_told(text, protocol, endpoint):
    assert words.target(text) == words.Target(protocol=protocol, endpoint=endpoint)


@pytest.mark.parametrize(
    "text", ["", "ana@example.com", "slack:https://example.com/x", "slack:#team", "mailto:ana"]
)
def test_who_cannot_be_told(text):
    with pytest.raises(Invalid, match=r"slack:https://"):
        words.target(text)


@pytest.mark.parametrize(
    ("text", "symbol"), [(">", ">"), ("gt", ">"), ("GE", ">="), ("below", "<"), ("<=", "<=")]
)
def test_comparisons_may_be_spelled(text, symbol):
    assert words.comparison(text) == symbol


def test_each_alarm_has_a_topic_of_its_own():
    names = {words.topic_name(name) for name in ("a-b", "a b", "a/b", "a.b")}

    assert len(names) == 4
    assert words.topic_name("a-b") == "farero-alarm-a-b"


@pytest.mark.parametrize(
    ("word", "value", "shown"),
    [
        ("p99", "200ms", "p99 ModelLatency > 200 ms, 3/5 of 60 s"), ("p50", "1.5s", "p50 ModelLatency > 1.5 s, 3/5 of 60 s"),
        ("latency", "80us", "Average ModelLatency > 0.08 ms, 3/5 of 60 s"),
        ("5xx", "1%", "Average Invocation5XXErrors > 1 %, 3/5 of 60 s"),
        ("5xx", "3", "Sum Invocation5XXErrors > 3, 3/5 of 60 s"), ("Shop/Latency", "7", "Average Latency > 7, 3/5 of 60 s"),
    ],
)  # fmt: skip
def test_an_alarm_is_told_in_the_units_it_was_asked_for(word, value, shown):
    found = words.watched(word, value, comparison=">", period_s=60)
    alarm = {
        "Namespace": found.namespace, "MetricName": found.metric, **found.statistic, "Threshold": found.threshold,
        "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 5, "DatapointsToAlarm": 3, "Period": 60,
    }  # fmt: skip

    assert words.described(alarm) == shown
