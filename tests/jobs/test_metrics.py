import datetime as dt

import pytest

from farero.base.errors import Invalid
from farero.jobs.metrics import MetricScanner, check
from farero.records.job import FinalMetric, MetricDefinition


def scan(lines, definitions=(), *, reads_xgboost=False):
    scanner = MetricScanner(definitions, reads_xgboost=reads_xgboost)
    for second, line in enumerate(lines):
        scanner.read(second * 1000, line)
    return {metric.name: metric.value for metric in scanner.final()}


def test_xgboost_rounds_are_read_by_the_algorithms_own_names():
    lines = [
        "[0]#011train-rmse:0.9#011validation-rmse:1.1",
        "[12]#011train-rmse:0.5#011validation-rmse:0.7#011validation-map@5:0.3",
        "[2026-01-05 10:00:00] INFO train-rmse:9",
    ]

    assert scan(lines, reads_xgboost=True) == {
        "train:rmse": 0.5,
        "validation:rmse": 0.7,
        "validation:map@5": 0.3,
    }
    assert scan(lines) == {}


def test_own_definitions_are_read_line_by_line():
    loss = MetricDefinition(name="loss", regex=r"loss: (\S+)")

    assert scan(["loss: 1.5,", "loss: 2e-3", "loss: inf", "loss: none"], [loss]) == {"loss": 0.002}


def test_value_carries_the_time_of_its_line():
    scanner = MetricScanner([MetricDefinition(name="a", regex="a=(.*)")], reads_xgboost=False)
    scanner.read(1_500, "a=1")

    assert scanner.final() == (
        FinalMetric(
            name="a", value=1.0, timestamp=dt.datetime(1970, 1, 1, 0, 0, 1, 500_000, dt.UTC)
        ),
    )


def test_pattern_that_cannot_be_read_is_refused():
    with pytest.raises(Invalid, match="regex of 'x' cannot be read"):
        check([MetricDefinition(name="x", regex="(")])


def test_a_pattern_that_runs_away_is_given_up_and_the_others_go_on(caplog):
    runs_away = MetricDefinition(name="bad", regex=r"(a|aa)+$")
    loss = MetricDefinition(name="loss", regex=r"loss: (\S+)")

    found = scan(["a" * 80 + " loss: 1.5", "loss: 0.5", "aab"], [runs_away, loss])

    assert found == {"loss": 0.5}
    assert "the regex of 'bad' takes over 0.25 s on one line" in caplog.text
