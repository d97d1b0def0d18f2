"""`make bench-serving` reads wrk and writes its tables rightly; the servers themselves are run by hand."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks" / "serving"
#: What wrk 4.1.0 printed with the benchmark's script: a second of four connections, one answer of 88 a 500.
RECORDED = """\
Running 1s test @ http://127.0.0.1:8123/bad
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    44.62ms    9.60ms  51.95ms   95.45%
    Req/Sec    87.40     17.78   121.00     80.00%
  88 requests in 1.01s, 10.16KB read
  Non-2xx or 3xx responses: 1
Requests/sec:     87.27
Transfer/sec:     10.08KB
window: requests=88 duration_us=1008412 bytes=10407 p50_us=47496 p99_us=51946 max_us=51946 connect=0 read=0 \
write=0 status=1 timeout=0
"""


@pytest.fixture(scope="module")
def load():
    """The module that drives wrk."""
    return SimpleNamespace(**runpy.run_path(str(FOLDER / "load.py")))


@pytest.fixture(scope="module")
def table():
    """The module that writes tables."""
    return SimpleNamespace(**runpy.run_path(str(FOLDER / "table.py")))


@pytest.fixture
def results(table):
    """Three rounds of two servers; the second round was a slow one for both."""
    made = table.Results(
        labels={"farero": "Farero, default engine", "fastapi": "FastAPI, 2 workers"}
    )
    for server, rates in {
        "farero": (30_000, 20_000, 32_000),
        "fastapi": (3_000, 2_500, 3_000),
    }.items():
        made.points["a", server, 64] = [
            table.Point(rate=rate, p50_ms=2.0, p99_ms=5.0, cpu_us=1e6 / rate) for rate in rates
        ]
    return made


def test_a_window_is_read_from_what_wrk_printed(load):
    window = load.read_window(RECORDED.replace("status=1", "status=0"), cpu_s=0.0088)

    assert window == load.Window(
        rate=pytest.approx(87.266), p50_ms=47.496, p99_ms=51.946, cpu_us=pytest.approx(100)
    )


def test_a_window_with_one_error_is_no_figure(load):
    with pytest.raises(load.Failed, match="1 of status errors in 88 requests"):
        load.read_window(RECORDED, cpu_s=1)


@pytest.mark.parametrize(
    "said", ["unable to connect to 127.0.0.1:1 Connection refused\n", RECORDED.replace("status=1", "status=0").replace("requests=88", "requests=0")],
    ids=["wrk cannot connect", "no answer"],
)  # fmt: skip
def test_a_window_without_answers_is_no_figure(load, said):
    with pytest.raises(load.Failed):
        load.read_window(said, cpu_s=0)


@pytest.mark.parametrize(
    ("stolen", "chosen"),
    [((0.5, 0.01, 0.0, 0.0), 0.01), ((0.5, 0.3, 0.2, 0.4), 0.2), ((0.02,), 0.02)],
    ids=["until it is quiet", "not for ever", "at once"],
)
def test_a_window_that_others_disturb_is_measured_again(
    load, tmp_path, monkeypatch, stolen, chosen
):
    wrk = tmp_path / "wrk"
    wrk.write_text(f"#!/bin/sh\ncat <<'END'\n{RECORDED.replace('status=1', 'status=0')}END\n")
    wrk.chmod(0o700)
    # before and after each window, of a hundred seconds
    moments = [moment for share in stolen for moment in ((0.0, 0.0), (100 * share, 100.0))]
    told = iter(moments)
    monkeypatch.setitem(load.measure.__globals__, "cores_seconds", lambda: next(told))
    target = load.Target(url="http://127.0.0.1:1/", body=b"{}", headers=dict, pid=os.getpid())

    window = load.measure(wrk, target, connections=4, seconds=1)

    assert window.stolen == chosen
    assert window.p50_ms == 47.496


def test_what_the_host_takes_is_a_part_of_all_the_time_there_was(load):
    stolen, of_all = load.cores_seconds()

    assert 0 <= stolen < of_all


def test_quotes_of_a_signature_reach_wrk_escaped(load):
    script = load.lua(b'{"inputs": [[1.5]]}', {"X-Made": 'a "b" \\ c'})

    assert 'wrk.body = "{\\"inputs\\": [[1.5]]}"' in script
    assert 'wrk.headers["X-Made"] = "a \\"b\\" \\\\ c"' in script


def test_a_server_is_its_process_and_all_below_it(load):
    inner = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", outer], stdout=subprocess.PIPE, text=True
    ) as child:
        grandchild = int(child.stdout.readline())
        try:
            family = load.tree(child.pid)

            assert {child.pid, grandchild} <= set(family)
            assert os.getpid() not in family
            assert load.memory_mb(family) > load.memory_mb([grandchild]) > 0
            assert set(load.cpu_seconds(family)) == set(family)
        finally:
            os.kill(grandchild, 9)
            child.wait()


def test_ratios_are_taken_round_by_round_and_held_against_their_floors(table, results):
    found = {one.what: one for one in table.verdicts(results)}
    best = found["a, Farero, 64 connections: req/s / the best peer (FastAPI)"]
    fastapi = found["a, Farero, 64 connections: req/s / FastAPI"]

    assert best.values == fastapi.values == [10, 8, pytest.approx(32 / 3)]
    assert (best.floor, best.is_met) == ("at least 3.5", True)
    assert not found["b, Farero, 64 connections: req/s / the best peer"].is_met


def test_a_goal_that_is_missed_or_not_measured_says_so(table, results):
    results.points["a", "fastapi", 64] = [
        table.Point(rate=point.rate * 3, p50_ms=1, p99_ms=2, cpu_us=1)
        for point in results.points["a", "fastapi", 64]
    ]
    lines = table.goals(results)

    assert (
        "| a, Farero, 64 connections: req/s / FastAPI | at least 8 | 3.33 [2.67..3.56] | **no** |"
        in lines
    )
    assert "| an idle endpoint more, MB | at most 30 | - | not measured |" in lines


def test_hello_is_no_peer(table, results):
    results.points["a", "hello", 64] = [table.Point(rate=40_000, p50_ms=1, p99_ms=2, cpu_us=20)]

    assert results.best("a", 64) == "fastapi"
    assert results.best("c", 64) is None


def test_the_quickest_server_comes_first_with_its_spread(table, results):
    results.memory["a", "farero"] = [101, 99, 100]
    lines = table.servers(results, "a")

    assert lines[2:] == [
        "| Farero, default engine | 30,000 [20,000..32,000] (2.00 / 5.00) | 33 [31..50] | 100 [99..101] | - |",
        "| FastAPI, 2 workers | 3,000 [2,500..3,000] (2.00 / 5.00) | 333 [333..400] | - | - |",
    ]


def test_only_what_stands_between_the_markers_is_replaced(table):
    page = f"# Before\n{table.BEGIN}\nold\n{table.END}\n\n## After\n"
    made = table.put_between(page, "new\n")

    assert made == f"# Before\n{table.BEGIN}\nnew\n{table.END}\n\n## After\n"
    assert table.put_between(made, "new") == made
    with pytest.raises(ValueError, match="the page has no"):
        table.put_between("# Nothing\n", "new")


def test_the_page_has_the_markers(table):
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")

    assert table.put_between(text, "new").count("new\n") >= 1


def test_the_command_says_its_flags():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serving", "--help"],
        check=True, cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip

    assert "--rounds" in done.stdout
