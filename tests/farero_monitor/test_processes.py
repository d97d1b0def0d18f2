"""However many processes take part, and however they were started: what is written is the same, byte by byte."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv

from farero_monitor import dataset
from farero_monitor.dataset import Part, Source
from farero_monitor.monitor import take_baseline
from farero_monitor.profile.dataset import Profile
from farero_monitor.readers import files

ROWS = 500_000


@pytest.fixture(scope="module")
def table():
    """Return columns of every kind: numbers with gaps, whole ones, few texts, more texts than are counted."""
    rng = np.random.default_rng(5)
    return pa.table(
        {
            "y": rng.random(ROWS).round(6),
            "a": pa.array(rng.normal(size=ROWS).round(5), mask=rng.random(ROWS) < 0.02),
            "b": rng.poisson(5, ROWS),
            "c": np.array([f"v{number}" for number in range(50)])[rng.integers(0, 50, ROWS)],
            "d": pa.array(rng.integers(0, 200_000, ROWS)).cast(pa.string()),
            "e": np.char.add("id-", rng.integers(0, 30_000, ROWS).astype(str)),
            "f": rng.exponential(size=ROWS),
        }
    )


def written(folder):
    """Return the content of each file below a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def run(*arguments):
    """Run the analyzer as its own program."""
    done = subprocess.run(
        [sys.executable, "-m", "farero_monitor", *map(str, arguments)],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode < 2, done.stderr
    return done


def test_a_baseline_of_one_two_or_three_processes_is_the_same(tmp_path, table):
    data = tmp_path / "then.csv"
    csv.write_csv(table, data, csv.WriteOptions(quoting_style="none"))
    assert data.stat().st_size > files.WORTH_PROCESSES

    for count in (1, 2, 3):
        run("baseline", data, "-o", tmp_path / f"forks-{count}", "--workers", count)
    take_baseline(Source(data, "csv"), tmp_path / "fresh", workers=2)

    one = written(tmp_path / "forks-1")
    assert [*one] == ["baseline.sample", "constraints.json", "statistics.json"]
    for other in ("forks-2", "forks-3", "fresh"):
        assert written(tmp_path / other) == one, other


def test_a_run_of_one_two_or_three_processes_is_the_same(tmp_path, table, line):
    captures, baseline = tmp_path / "now", tmp_path / "baseline"
    captures.mkdir()
    then = table.slice(0, 20_000)
    csv.write_csv(then, tmp_path / "then.csv", csv.WriteOptions(quoting_style="none"))
    run("baseline", tmp_path / "then.csv", "-o", baseline)
    around = line("SENT", "GOT")
    rows = [[*row.values()] for row in table.slice(20_000, 100_000).to_pylist()]
    for number in range(7):
        with (captures / f"{number}.jsonl").open("w") as file:
            for got, *sent in rows[number::7]:
                text = ",".join("" if value is None else str(value) for value in sent)
                file.write(around.replace("SENT", text).replace("GOT", str(got)) + "\n")
    assert sum(path.stat().st_size for path in captures.iterdir()) > files.WORTH_PROCESSES

    for count in (1, 2, 3):
        run("run", captures, "-b", baseline, "-o", tmp_path / f"out-{count}", "--workers", count)

    one = written(tmp_path / "out-1")
    assert [*one] == [
        "constraint_violations.json", "constraints.json", "drift_report.json", "statistics.json",
    ]  # fmt: skip
    assert written(tmp_path / "out-2") == one
    assert written(tmp_path / "out-3") == one


def part(number):
    """Return the profile of a part of its own, as a reader makes it."""
    made = Profile(number, 40)
    rng = np.random.default_rng(number)
    rows = int(rng.integers(0, 60))
    made.update(pa.table({"x": rng.normal(size=rows), "t": rng.integers(0, 9, rows).astype(str)}))
    made.sample.most = 100
    return made


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6))
def test_parts_merged_by_several_are_those_merged_by_one(count, processes):
    one = dataset.folded((1, part(number)) for number in range(count))

    groups, first = [], 0
    for many in dataset.shares(count, processes):
        merged = dataset.folded((1, part(number)) for number in range(first, first + many))
        groups.append((many, Profile.from_bytes(merged.to_bytes())))
        first += many

    assert first == count
    assert dataset.folded(iter(groups)).to_bytes() == one.to_bytes()


@pytest.mark.parametrize("form", ["csv", "json"])
def test_the_line_that_cannot_be_read_is_told_from_the_top_of_its_file(tmp_path, form):
    good, bad, where = {
        "csv": (b"1,2\n", b"1,2,3\n", "3 values instead of 2"),
        "json": (b'{"a": 1}\n', b'{"a": }\n', "not JSON"),
    }[form]
    lines = [b"a,b\n" if form == "csv" else good, *[good] * 40]
    lines[30] = bad
    path = tmp_path / "part"
    path.write_bytes(b"".join(lines))
    source = Source(path, form)
    names = ("a", "b") if form == "csv" else None
    at_30 = sum(map(len, lines[:30]))

    for start in (0, 1, len(lines[0]), len(lines[0]) + 5, at_30 - 1, at_30):
        unread = dataset.profile_part(source, Part(path, start, None, None, names), 9, 9).unread
        [(file, place, reason)] = unread.places
        assert (unread.count, file, place) == (1, "part", "line 31"), start
        assert reason.startswith(where)
