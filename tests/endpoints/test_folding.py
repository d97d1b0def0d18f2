"""Requests folded by the group say what each of them said."""

from random import Random
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farero.base.clock import ManualClock
from farero.endpoints.invocations import (
    DIED,
    FORGET_EVERY_S,
    MOST_EXACT,
    THROTTLED,
    TIMED_OUT,
    Invocations,
)
from farero.endpoints.router import ReplicaRoute, VariantRoute
from farero.telemetry.totals import Totals

A, B = (
    VariantRoute(
        name=name,
        weight=1,
        config_name="c",
        replicas=tuple(ReplicaRoute(id=f"{name}{n}", socket_path="") for n in range(count)),
    )
    for name, count in (("a", 1), ("b", 4))
)
STATUSES = (200, 201, 302, 400, 404, 500, 503, TIMED_OUT, DIED, THROTTLED)
requests = st.tuples(
    st.sampled_from([A, B]),
    st.sampled_from(STATUSES),
    st.none() | st.integers(0, 3_000_000).map(lambda us: us / 1e6),
    st.integers(0, 3_000_000).map(lambda us: us / 1e6),
    st.sampled_from([0, 0.25, 40]),
)


class Store:
    """What was put, by minute, variant, name of the metric and value."""

    def __init__(self):
        self.found = {}
        self.is_down = False

    def put(self, data):
        if self.is_down:
            raise OSError("no database")
        for datum in data:
            dimensions = dict(datum.metric.dimensions)
            if "EndpointConfigName" in dimensions or datum.resolution == 1:
                continue
            for value, count in zip(datum.values, datum.counts, strict=True):
                key = (datum.at, dimensions["VariantName"], datum.metric.name, value)
                self.found[key] = self.found.get(key, 0) + count


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("totals")


def one_by_one(at, variant, status, model_s, overhead_s):
    """What one request adds, in the words of the documentation."""
    if status == THROTTLED:
        return
    minute = at.replace(second=0, microsecond=0)
    yield minute, variant.name, "Invocations", 1
    yield minute, variant.name, "InvocationsPerInstance", 1 / len(variant.replicas)
    yield minute, variant.name, "Invocation4XXErrors", int(400 <= status < 500)
    yield minute, variant.name, "Invocation5XXErrors", int(status >= 500 or status < 0)
    yield minute, variant.name, "InvocationModelErrors", int(not 200 <= status < 300)
    yield minute, variant.name, "OverheadLatency", round(overhead_s * 1e6)
    if model_s is not None:
        yield minute, variant.name, "ModelLatency", round(model_s * 1e6)


@given(st.lists(requests, max_size=30), st.sets(st.integers(0, 30)))
@settings(max_examples=60, deadline=None)
def test_a_group_is_the_sum_of_its_requests(folder, seen, flushes):
    clock, store = ManualClock(), Store()
    totals = Totals(folder)
    invocations = Invocations(clock, totals, put=store.put)
    expected = {}
    for number, (variant, status, model_s, overhead_s, pause_s) in enumerate(seen):
        took_s = overhead_s + (model_s or 0)
        invocations.note("iris", variant, status, model_s, clock.monotonic() - took_s)
        for key in one_by_one(clock.now(), variant, status, model_s, overhead_s):
            expected[key] = expected.get(key, 0) + 1
        if number in flushes:
            store.is_down = number % 2 == 1
            invocations.flush()
        clock.advance(seconds=pause_s)
    store.is_down = False
    invocations.flush()

    stored, wanted = sums(store.found), sums(expected)
    assert stored.keys() == wanted.keys()
    for key, (count, total) in wanted.items():
        assert stored[key][0] == count
        # Microseconds may differ by one: a total is the difference of two floats.
        slack = count if key[2].endswith("Latency") else 1e-9
        assert stored[key][1] == pytest.approx(total, abs=slack)
    counters = totals._figures.counters
    for name, variant in (("a", A), ("b", B)):
        mine = [one for one in seen if one[0] is variant]
        key = (("endpoint", "iris"), ("variant", name))
        served = sum(one[1] != THROTTLED for one in mine)
        assert counters.get(("farero_invocations_total", key), 0) == served
        assert counters.get(("farero_invocations_throttled_total", key), 0) == len(mine) - served
        latency = totals._figures.histograms.get(("farero_model_latency_seconds", key))
        answered = [one[2] for one in mine if one[1] != THROTTLED and one[2] is not None]
        assert (sum(latency.counts) if latency else 0) == len(answered)
        assert (latency.total if latency else 0) == pytest.approx(sum(answered))
    totals.close()


def test_the_times_of_thousands_at_once_are_right_to_a_five_hundredth(tmp_path):
    clock, store = ManualClock(), Store()
    invocations = Invocations(clock, Totals(tmp_path), put=store.put)
    random = Random(1)
    model_us = sorted(random.lognormvariate(8, 1) for _ in range(5 * MOST_EXACT))
    for one in model_us:
        invocations.note("iris", A, 200, one / 1e6, clock.monotonic() - (one + 250) / 1e6)

    invocations.flush()

    stored = {"ModelLatency": [], "OverheadLatency": []}
    for (_, _, name, value), count in sorted(store.found.items()):
        if name in stored:
            stored[name] += [value] * int(count)
    assert len(stored["ModelLatency"]) == len(stored["OverheadLatency"]) == len(model_us)
    for found, one in zip(stored["ModelLatency"], model_us, strict=True):
        assert abs(found - one) <= one / 512 + 0.51
    assert all(abs(found - 250) <= 250 / 512 + 0.51 for found in stored["OverheadLatency"])
    assert fmean(stored["ModelLatency"]) == pytest.approx(fmean(model_us), rel=1e-3)
    assert len(set(stored["ModelLatency"])) < len(model_us) / 2
    assert invocations._totals._figures.histograms
    invocations._totals.close()


def sums(found):
    """How many values each metric had in each minute, and their sum."""
    added = {}
    for (at, variant, name, value), count in found.items():
        place = added.setdefault((at, variant, name), [0, 0])
        place[0] += count
        place[1] += value * count
    return added


def test_totals_of_deleted_endpoints_are_let_go_after_a_minute(tmp_path):
    clock, owners = ManualClock(), set()
    totals = Totals(tmp_path, lambda: owners)
    invocations = Invocations(clock, totals, put=len, peaks=lambda: {("iris", "a"): 1})
    invocations.note("iris", A, 200, 0.01, 0.0)
    invocations.flush()
    assert totals._figures.counters

    clock.advance(seconds=FORGET_EVERY_S)
    invocations.flush()

    assert not totals._figures.counters
    assert not totals._figures.histograms
    totals.close()


def test_a_database_that_does_not_answer_lets_metrics_go_on(tmp_path):
    def owners():
        raise OSError("no database")

    clock, store = ManualClock(), Store()
    totals = Totals(tmp_path)
    totals._owners = owners
    invocations = Invocations(clock, totals, put=store.put)
    clock.advance(seconds=FORGET_EVERY_S)
    invocations.note("iris", A, 200, 0.01, clock.monotonic() - 0.02)
    invocations.flush()

    assert store.found
    totals._owners = None
    totals.close()


def test_what_waits_for_a_database_does_not_grow_without_an_end(tmp_path):
    clock, store = ManualClock(), Store()
    totals = Totals(tmp_path)
    invocations = Invocations(clock, totals, put=store.put)
    store.is_down = True
    for turn in range(5):
        for number in range(5_000):
            model_s = (turn * 5_000 + number) / 1e6
            invocations.note("iris", A, 200, model_s, clock.monotonic() - model_s)
        invocations.flush()
        (waiting,) = invocations._pending.values()
        assert len(waiting.model_us) <= 3_000
    store.is_down = False
    invocations.flush()

    latency = {key[3]: count for key, count in store.found.items() if key[2] == "ModelLatency"}
    assert sum(latency.values()) == 25_000
    total = sum(value * count for value, count in latency.items())
    assert total == pytest.approx(sum(range(25_000)), rel=0.005)
    totals.close()
