"""Processes that share the parts of a data set: every part's answer, in order, and what went wrong in one of them."""

import os
import signal
from pathlib import Path

import pytest

from farero_monitor.dataset import Part, Source, Task
from farero_monitor.readers.options import Options
from farero_monitor.readers.scripts import ScriptError
from farero_monitor.workers import WorkerDiedError, Workers, ahead

PARTS = 9


@pytest.fixture
def tasks(tmp_path, line):
    """Return the function that makes the tasks of a folder of captures, with a preprocessing script."""

    def make(script):
        (tmp_path / "script.py").write_text(
            f"import os\nfrom pathlib import Path\ndef preprocess_handler(record):\n{script}"
            "    return {'x': record.endpoint_input.data}\n"
        )
        made = []
        for number in range(PARTS):
            path = tmp_path / f"{number}.jsonl"
            path.write_text((line(str(number), "1") + "\n") * (number + 1))
            source = Source(path, "capture", options=Options(), script=tmp_path / "script.py")
            made.append(Task(source, [(Part(path), 100)], 100))
        return made

    return make


@pytest.mark.parametrize("processes", [2, 3, PARTS])
def test_every_part_is_answered_in_order_by_whichever_process(tasks, processes):
    with Workers(processes) as pool:
        found = [profile.rows for profile in pool.begin(tasks(""))]

    assert found == [*range(1, PARTS + 1)]


@pytest.fixture
def met(tmp_path, monkeypatch):
    """Return lines of a script that let each of two processes have begun with a part before either goes on."""
    os.mkfifo(tmp_path / "met")
    monkeypatch.setenv("TO_MEET", "1")
    return (
        f"    mode = 'r' if os.getpid() == {os.getpid()} else 'w'\n"
        f"    if os.environ.pop('TO_MEET', ''): open({str(tmp_path / 'met')!r}, mode).close()\n"
    )


def test_each_of_two_processes_gets_one_of_two_parts(tasks, met, tmp_path):
    noted = f"    (Path({str(tmp_path)!r}) / f'process-{{os.getpid()}}').touch()\n"
    with Workers(2) as pool:
        found = [profile.rows for profile in pool.begin(tasks(noted + met)[-2:])]

    assert found == [PARTS - 1, PARTS]
    assert len([*tmp_path.glob("process-*")]) == 2


@pytest.mark.parametrize(
    ("there", "error"),
    [("raise KeyError('mine')", ScriptError), ("os._exit(3)", WorkerDiedError)],
    ids=["a script fails", "a process ends"],
)
def test_what_goes_wrong_in_another_process_is_raised_here(tasks, met, there, error):
    failing = f"{met}    if os.getppid() == {os.getpid()}: {there}\n"

    with pytest.raises(error, match=r"mine|code 3"), Workers(2) as pool:
        [*pool.begin(tasks(failing))]


def test_a_process_that_died_before_its_tasks_came_is_told(tasks):
    before = {*children()}
    with Workers(2) as pool:
        (gone,) = {*children()} - before
        os.kill(gone, signal.SIGKILL)
        os.waitid(os.P_PID, gone, os.WEXITED | os.WNOWAIT)
        many = tasks("") * 2000  # more than a pipe holds

        with pytest.raises(WorkerDiedError, match="code -9"):
            [*pool.begin(many)]
    assert gone not in children()


def children():
    """Return the processes that this one has started and not cleared away."""
    return [
        int(pid)
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]


@pytest.mark.parametrize(
    ("sizes", "count", "others"),
    [
        ([16 << 20, 16 << 20], 2, True),
        ([80 << 20], 2, True),
        ([20 << 20], 2, False),
        ([1 << 20, 1 << 20], 2, False),
        ([16 << 20, 16 << 20], 1, False),
    ],
    ids=["two files", "one of many parts", "a small one", "small ones", "one process asked for"],
)
def test_processes_are_started_ahead_where_the_data_is_worth_them(tmp_path, sizes, count, others):
    for number, size in enumerate(sizes):
        with (tmp_path / f"{number}.csv").open("wb") as file:
            file.truncate(size)

    with ahead(tmp_path, count) as pool:
        assert (pool is not None) == others
