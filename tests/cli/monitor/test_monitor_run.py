"""`farero monitor baseline` and `run` as a person meets them: from the training data to what moved."""

import datetime as dt

import pytest

from farero.cli.monitor.captured import window_of

NOW = dt.datetime(2026, 11, 21, 10, 20, 30, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def flats(watch):
    """An endpoint with a baseline."""
    watched = watch("flats-run")
    watched.farero("monitor", "baseline", watched.name, str(watched.train))
    return watched


def test_a_dry_run_over_the_newest_records_writes_nothing(flats, rows_of):
    before = flats.objects("reports/")
    flats.send(rows_of(400, seed=6))
    same = flats.json("monitor", "run", flats.name, "--last", "400")
    assert (same["severity"], same["rows"], same["dry_run"], same["report"]) == ("none", 400, True, None)  # fmt: skip

    flats.send(rows_of(400, seed=7, shift=1.0))
    page = flats.folder / "page.html"
    drifted = flats.farero("monitor", "run", flats.name, "--last", "400", "--report", str(page))
    assert "rooms: The mean moved by +" in drifted.stdout
    assert "A dry run: nothing was written to S3." in drifted.stdout
    assert "rooms" in page.read_text()
    assert flats.objects("reports/") == before


def test_what_came_until_now_is_judged_and_kept(flats, rows_of):
    flats.send(rows_of(300, seed=8))

    def judged():
        found = flats.json("monitor", "run", flats.name, "--now", check=False)
        return found.get("rows", 0) >= 300 and found

    found = flats.platform.wait(judged, 60)
    key = found["report"].partition(f"{flats.platform.bucket}/")[2]
    assert key.startswith("farero-monitor/flats-run/reports/")
    assert {k.rpartition("/")[2] for k in flats.objects("reports/") if k.startswith(key)} == {
        "drift_report.json", "constraint_violations.json", "statistics.json", "report.html",
    }  # fmt: skip


def test_a_window_of_whole_hours_keeps_profiles_and_one_of_minutes_is_exact(flats, rows_of):
    flats.send(rows_of(300, seed=9))
    flats.platform.wait(lambda: len(flats.captured()) >= 300, 60)
    whole = flats.json("monitor", "run", flats.name)
    again = flats.json("monitor", "run", flats.name)
    assert whole["rows"] >= 300
    assert again["rows"] >= whole["rows"]
    assert list((flats.folder / "cache").rglob("*.profile"))

    times = sorted(one["eventMetadata"]["inferenceTime"] for one in flats.captured())
    middle = times[len(times) // 2]
    since, until = (dt.datetime.fromisoformat(middle) - dt.timedelta(hours=2)).isoformat(), middle
    early = flats.json("monitor", "run", flats.name, "--since", since, "--until", until, check=False)  # fmt: skip
    earlier = sum(one < middle for one in times)
    assert early["rows"] in range(earlier, earlier + sum(one == middle for one in times) + 1)


def test_a_named_baseline_stands_beside_the_usual_one(flats, rows_of):
    flats.farero("monitor", "baseline", flats.name, str(flats.train), "--name", "summer")
    flats.send(rows_of(200, seed=10))
    found = flats.json("monitor", "run", flats.name, "--last", "200", "--baseline", "summer")
    assert found["severity"] == "none"
    assert "farero-monitor/flats-run/baselines/summer/constraints.json" in flats.objects("baseline")
    wrong = flats.farero("monitor", "run", flats.name, "--last", "9", "--baseline", "winter", check=False)  # fmt: skip
    assert "E-NO-BASELINE  flats-run has no baseline 'winter'; it has 'summer'" in wrong.stderr


@pytest.mark.parametrize(
    ("since", "until", "start", "end", "whole"),
    [
        ("30m", "", "09:50:30", "10:20:30", False),
        ("2h", "", "08:00:00", "10:20:30", True),
        ("1d", "2026-11-21T09:00", "10:00:00", "09:00:00", True),
        ("2026-11-21T09:15", "10m", "09:15:00", "10:10:30", False),
        ("2026-11-21T10:00+01:00", "", "09:00:00", "10:20:30", True),
    ],
)  # fmt: skip
def test_windows_are_read_as_spans_back_or_as_times(since, until, start, end, whole):
    found = window_of(since, until, NOW)
    assert (f"{found.start:%H:%M:%S}", f"{found.end:%H:%M:%S}", found.whole) == (start, end, whole)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["baseline", "flats-run", "gone.csv"], "E-NO-DATA  there is no gone.csv"),
        (["baseline", "flats-run", "gone.csv", "--name", "a/b"], "E-NAME  'a/b' is no name"),
        (["run", "flats-run", "--since", "soon"], "E-SPAN  'soon' is no span and no time"),
        (["run", "flats-run", "--since", "1h", "--until", "3h"], "E-SPAN  the window would end"),
        (["run", "flats-run", "--since", "2020-01-01", "--until", "2020-01-02"], "E-NO-RECORDS  nothing was"),
        (["run", "flats-run", "--now", "--last", "5"], "E-WINDOW  --last and --now are different"),
        (["run", "nobody"], 'Could not find endpoint "'),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_four_parts(flats, arguments, said):
    done = flats.farero("monitor", *arguments, check=False)
    assert done.returncode in {1, 2}, done.stdout
    assert said in done.stderr
    assert "where:" in done.stderr
    assert "fix:" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_records_or_baseline_the_next_command_is_named(watch):
    watched = watch("flats-new")
    early = watched.farero("monitor", "run", watched.name, check=False)
    assert "E-NO-BASELINE  flats-new has no baseline" in early.stderr
    assert "fix:   farero monitor baseline flats-new train.csv" in early.stderr
    empty = watched.folder / "empty.csv"
    empty.write_text("")
    done = watched.farero("monitor", "baseline", watched.name, str(empty), check=False)
    assert "E-BASELINE  empty.csv is empty" in done.stderr

    told = watched.farero("monitor", "baseline", watched.name, str(watched.train))
    assert "price  Fractional" in told.stdout
    assert "5,000 rows are the baseline of flats-new, in s3://" in told.stdout
    silent = watched.farero("monitor", "run", watched.name, "--last", "5", check=False)
    assert "E-NO-RECORDS  flats-new has captured nothing yet" in silent.stderr
    never = watched.farero("monitor", "show", watched.name, check=False)
    assert "E-NO-REPORT  flats-new was not judged yet" in never.stderr
