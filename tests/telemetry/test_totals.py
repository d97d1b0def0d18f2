"""Totals are added up over processes, outlive them, and never fall."""

import json
import subprocess
import sys

import pytest

from farero.telemetry.totals import BUCKETS, PAST, Totals

IRIS = (("endpoint", "iris"), ("variant", "AllTraffic"))
GONE = (("endpoint", "gone"), ("variant", "AllTraffic"))
NAME = "farero_invocations_total"
PROGRAM = """
import os, pathlib, signal, sys
from farero.telemetry.totals import Totals
totals = Totals(pathlib.Path(sys.argv[1]))
labels = (("endpoint", "iris"), ("variant", "AllTraffic"))
totals.add("farero_invocations_total", labels, 5)
totals.observe("farero_model_latency_seconds", labels, {20_000: 1})
totals.set_levels({("farero_concurrent_requests", labels): 3})
totals.save()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def process(tmp_path):
    """A function that starts another process, whose totals are written when it returns."""
    started = []

    def start():
        made = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )  # fmt: skip
        started.append(made)
        assert made.stdout.readline() == b"ready\n"
        return made

    yield start
    for one in started:
        one.kill()
        one.wait()
        one.stdin.close()
        one.stdout.close()


def count(totals):
    return totals.read_all().counters.get((NAME, IRIS))


def test_processes_are_added_up(tmp_path, process):
    process()
    process()
    mine = Totals(tmp_path)
    mine.add(NAME, IRIS, 2)
    mine.observe("farero_model_latency_seconds", IRIS, {100_000_000: 1})
    mine.set_levels({("farero_concurrent_requests", IRIS): 1})
    mine.save()

    found = mine.read_all()

    assert found.counters == {(NAME, IRIS): 12}
    latency = found.histograms["farero_model_latency_seconds", IRIS]
    assert latency.counts == [0] * 5 + [2] + [0] * (len(BUCKETS) - 6) + [1]
    assert latency.total == pytest.approx(100.04)
    assert found.gauges == {("farero_concurrent_requests", IRIS): 7}
    mine.close()


def test_who_is_killed_leaves_its_counters_and_takes_its_levels_along(tmp_path, process):
    mine, other = Totals(tmp_path), process()
    other.kill()
    other.wait()

    found = mine.read_all()

    assert found.counters[NAME, IRIS] == 5
    assert found.gauges == {}
    mine.close()


def test_what_the_dead_left_is_joined_and_their_files_go(tmp_path, process):
    for _ in range(3):
        killed = process()
        killed.kill()
        killed.wait()

    after = Totals(tmp_path)

    assert count(after) == 15
    names = {path.name for path in tmp_path.iterdir()}
    assert {PAST, "join"} == {name for name in names if not name.startswith(after._id)}
    after.close()


def test_no_restart_and_no_reading_lets_a_counter_fall(tmp_path, process):
    seen = 0
    for turn in range(1, 6):
        mine = Totals(tmp_path)
        mine.add(NAME, IRIS)
        mine.save()
        other = process()
        assert count(mine) == turn * 6
        other.kill()
        other.wait()
        assert count(mine) == turn * 6 > seen
        seen = count(mine)
        mine.close()
        assert count(mine) == seen


def test_a_crash_between_joining_and_removing_counts_nobody_twice(tmp_path, process):
    killed = process()
    killed.kill()
    killed.wait()
    left = {path: path.read_bytes() for path in tmp_path.glob(f"{killed.pid}-*")}
    Totals(tmp_path).close()
    for path, content in left.items():  # as if they had not been removed
        path.write_bytes(content)

    after = Totals(tmp_path)

    assert count(after) == 5
    assert not [path for path in left if path.exists()]
    after.close()


@pytest.mark.parametrize("content", [b"", b'{"counters":[["farero_inv', b"\0" * 64, b"[]"])
def test_a_torn_file_costs_what_it_held_and_nothing_else(tmp_path, process, content):
    process()
    torn = process()
    next(tmp_path.glob(f"{torn.pid}-*.json")).write_bytes(content)
    mine = Totals(tmp_path)

    assert count(mine) == 5
    (tmp_path / PAST).write_bytes(content)
    torn.kill()
    torn.wait()
    after = Totals(tmp_path)

    assert count(after) == 5
    mine.close()
    after.close()


def test_histograms_of_other_bounds_are_left_out(tmp_path, process):
    process()
    path = next(tmp_path.glob("*-*.json"))
    file = json.loads(path.read_bytes())
    file["histograms"][0][2]["counts"].append(1)
    path.write_text(json.dumps(file), encoding="utf-8")

    mine = Totals(tmp_path)

    assert mine.read_all().histograms == {}
    assert count(mine) == 5
    mine.close()


def test_what_no_longer_exists_is_dropped_everywhere(tmp_path, process):
    owners = {IRIS, GONE}
    first = Totals(tmp_path, lambda: owners)
    first.add(NAME, GONE, 7)
    first.observe("farero_model_latency_seconds", GONE, {1_000_000: 1})
    first.add("farero_metrics_lost_total", ())
    first.close()
    mine = Totals(tmp_path, lambda: owners)  # joins the first
    mine.add(NAME, GONE)
    mine.add(NAME, IRIS)
    mine.save()
    assert mine.read_all().counters[NAME, GONE] == 8

    owners.discard(GONE)

    assert mine.read_all().counters == {(NAME, IRIS): 1, ("farero_metrics_lost_total", ()): 1}
    assert mine.read_all().histograms == {}
    mine.forget_others()
    mine.close()
    later = Totals(tmp_path, lambda: owners)
    assert "gone" not in (tmp_path / PAST).read_text(encoding="utf-8")
    owners.add(GONE)  # an endpoint of that name begins anew
    assert (NAME, GONE) not in later.read_all().counters
    later.close()


def test_what_comes_into_being_while_others_are_forgotten_stays(tmp_path):
    def owners():
        totals.add(NAME, IRIS)  # its variant is so new that this reading has missed it
        return set()

    totals = Totals(tmp_path)
    totals.add(NAME, GONE)
    totals._owners = owners
    totals.forget_others()

    assert dict(totals._figures.counters) == {(NAME, IRIS): 1}
    totals._owners = None
    totals.close()


def test_a_disk_that_is_full_loses_nothing_that_can_be_written_later(tmp_path):
    totals = Totals(tmp_path)
    totals.add(NAME, IRIS)
    blocker = totals._path("new")
    blocker.mkdir()
    totals.save()
    assert count(totals) is None
    blocker.rmdir()

    totals.add(NAME, IRIS)
    totals.save()

    assert count(totals) == 2
    totals.close()
