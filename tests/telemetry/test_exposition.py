"""The page for Prometheus, read by Prometheus' own Python parsers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import openmetrics, parser
from prometheus_client.openmetrics import parser as openmetrics_parser  # noqa: F401 - makes the attribute

from farero.gateway.metrics import wants_openmetrics
from farero.telemetry.exposition import FAMILIES, expose
from farero.telemetry.totals import BUCKETS, Figures, Histogram

LABELS = (("endpoint", "iris"), ("variant", "a"))


def parsed(figures, *, is_openmetrics):
    text = expose(figures, is_openmetrics=is_openmetrics).decode()
    read = (openmetrics.parser if is_openmetrics else parser).text_string_to_metric_families
    return {family.name: family for family in read(text)}


def full():
    figures = Figures()
    for family in FAMILIES:
        if family.kind == "counter":
            figures.counters[family.name, LABELS] = 3
        elif family.kind == "gauge":
            figures.gauges[family.name, LABELS] = 0.25
        else:
            counts = list(range(len(BUCKETS) + 1))
            figures.histograms[family.name, LABELS] = Histogram(counts, 1.5)
    return figures


@pytest.mark.parametrize("is_openmetrics", [False, True])
def test_every_family_is_understood(is_openmetrics):
    found = parsed(full(), is_openmetrics=is_openmetrics)

    assert len(found) == len(FAMILIES)
    for family in FAMILIES:
        read = found[family.name.removesuffix("_total")]
        assert read.type == family.kind
        assert read.documentation == family.help
        assert read.unit == (family.unit if is_openmetrics else "")
        assert {s.labels["endpoint"] for s in read.samples} == {"iris"}
        if family.unit:
            assert family.name.endswith(f"_{family.unit}")


@pytest.mark.parametrize("is_openmetrics", [False, True])
def test_a_histogram_is_cumulative(is_openmetrics):
    found = parsed(full(), is_openmetrics=is_openmetrics)["farero_model_latency_seconds"]

    buckets = [s for s in found.samples if s.name.endswith("_bucket")]
    bounds = [float(s.labels["le"]) for s in buckets]
    assert bounds == [*BUCKETS, math.inf]
    assert [s.value for s in buckets] == [n * (n + 1) / 2 for n in range(len(BUCKETS) + 1)]
    rest = {s.name: s.value for s in found.samples if not s.name.endswith("_bucket")}
    assert rest == {
        "farero_model_latency_seconds_sum": 1.5,
        "farero_model_latency_seconds_count": buckets[-1].value,
    }


@pytest.mark.parametrize("is_openmetrics", [False, True])
@given(name=st.text() | st.sampled_from(['"} 1\nfarero_x 2', "\\", "\\n", "a\\", '\\"', "é\u2028"]))
def test_whatever_a_label_holds_it_stays_one_label(is_openmetrics, name):
    figures = Figures(counters={("farero_invocations_total", (("endpoint", name),)): 1})

    # Some characters end a line for Python alone; the parser under test splits at "\n".
    found = parsed(figures, is_openmetrics=is_openmetrics)

    (sample,) = found["farero_invocations"].samples
    assert sample.value == 1
    if "\r" not in name:  # the parser strips lines
        assert sample.labels == {"endpoint": name}
    assert list(found) == ["farero_invocations"]


def test_figures_of_no_family_are_shown_too():
    figures = Figures(counters={("farero_new_total", ()): 1}, gauges={("farero_level", ()): 2})

    found = parsed(figures, is_openmetrics=True)

    assert {name: one.samples[0].value for name, one in found.items()} == {
        "farero_new": 1,
        "farero_level": 2,
    }


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=2.0.0", False),
        ("application/openmetrics-text;q=0", False),
        ("text/plain;q=0.9,application/openmetrics-text;q=0.1", False),
        ("APPLICATION/OpenMetrics-Text; Version=1.0.0 ; Q=1", True),
        ("application/openmetrics-text;q=x", False),
        # What Prometheus 2.54 sends, and 3.x.
        (
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
                "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
            ),
            True,
        ),
        (
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
            ),
            True,
        ),
    ],
)
def test_the_format_that_is_liked_better_is_sent(accept, wanted):
    assert wants_openmetrics(accept) is wanted
