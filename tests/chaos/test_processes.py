"""Kill the supervisor's parts at any moment: nothing is orphaned, nothing is lost that it holds."""

import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest
from tests.chaos.conftest import A_SECOND, KILLS, is_alive

from farero.base.errors import NotReady
from farero.compute import lifeline, watch
from farero.records.compute import ProcessSpec

FAMILY = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
name = sys.argv[1]
def note(who):
    with open(f"pids/{name}-{who}.new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(f"pids/{name}-{who}.new", f"pids/{name}-{who}")
if os.fork() == 0:
    note("child")
    if os.fork() == 0:
        os.setsid()
        note("grandchild")
    time.sleep(600)
note("leader")
time.sleep(600)
"""


def family(tmp_path, name):
    return ProcessSpec(
        name=name,
        argv=(sys.executable, "-I", "-S", "-c", FAMILY, name),
        cwd=tmp_path,
        log_path=tmp_path / "log",
    )


def pids_in(folder):
    return {int(one.read_text()) for one in folder.iterdir() if one.suffix != ".new"}


def lifeline_of(supervisor):
    children = Path(f"/proc/{supervisor.process.pid}/task/{supervisor.process.pid}/children")
    for pid in children.read_text().split():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            if Path(f"/proc/{pid}/comm").read_text().strip() == lifeline.NAME:
                return int(pid)
    return None


@pytest.fixture
def pids(tmp_path):
    folder = tmp_path / "pids"
    folder.mkdir()
    return folder


def all_gone(folder, level):
    """Say whether all are gone; without a namespace those that left their session cannot be found."""
    try:
        notes = {one.name: one.read_text() for one in folder.iterdir()}
    except FileNotFoundError:  # one that still lives has just renamed its note
        return False
    # one killed early wrote none
    left = {name for name, pid in notes.items() if pid and is_alive(int(pid))}
    return not {name for name in left if level != "process" or "grandchild" not in name}


def test_no_child_or_grandchild_is_alive_a_second_after_the_supervisor_was_killed(
    supervisor, tmp_path, pids, wait_for
):
    level = supervisor.control.info()["isolation"]
    for name in ("a", "b", "c"):
        supervisor.compute.start(family(tmp_path, name))
    wait_for(lambda: len(pids_in(pids)) == 9)

    supervisor.process.kill()

    wait_for(lambda: all_gone(pids, level), seconds=A_SECOND)


def test_so_too_when_the_lifeline_was_killed_before(supervisor, tmp_path, pids, wait_for):
    level = supervisor.control.info()["isolation"]
    supervisor.compute.start(family(tmp_path, "a"))
    wait_for(lambda: len(pids_in(pids)) == 3)
    first = wait_for(lambda: lifeline_of(supervisor))

    os.kill(first, signal.SIGKILL)
    wait_for(lambda: lifeline_of(supervisor) not in (None, first))
    supervisor.process.kill()

    wait_for(lambda: all_gone(pids, level), seconds=A_SECOND)


def test_the_lifeline_is_a_small_program_of_its_own(supervisor, wait_for):
    def command():
        return Path(f"/proc/{lifeline_of(supervisor)}/cmdline").read_text().split("\0")

    wait_for(lambda: lifeline_of(supervisor))
    assert command()[1:-1] == ["-I", "-S", watch.__file__]


def test_processes_go_on_while_the_lifeline_dies_and_new_ones_start(
    supervisor, tmp_path, pids, wait_for
):
    supervisor.compute.start(family(tmp_path, "a"))

    os.kill(wait_for(lambda: lifeline_of(supervisor)), signal.SIGKILL)
    supervisor.compute.start(family(tmp_path, "b"))

    wait_for(lambda: len(pids_in(pids)) == 6)
    assert [one.state for one in supervisor.compute.list()] == ["running", "running"]


@pytest.mark.chaos
@pytest.mark.parametrize("round_", range(KILLS))
def test_killed_at_a_random_moment_while_processes_start_it_leaves_nothing(
    supervisor, tmp_path, pids, wait_for, chance, round_
):
    level = supervisor.control.info()["isolation"]
    moment = chance.uniform(0.0, 0.15)
    killer = os.fork()
    if killer == 0:
        signal.sigtimedwait([signal.SIGUSR1], moment)
        os.kill(supervisor.process.pid, signal.SIGKILL)
        os._exit(0)

    for number in range(10):
        try:
            supervisor.compute.start(family(tmp_path, f"p{number}"))
        except NotReady:
            break
    os.waitpid(killer, 0)
    supervisor.process.wait()

    wait_for(lambda: all_gone(pids, level), seconds=A_SECOND)


def test_a_full_restart_after_a_kill_takes_over_the_data_directory(supervisor, wait_for):
    supervisor.process.kill()
    supervisor.process.wait()

    again = type(supervisor)(supervisor.data_dir)
    wait_for(again.control.answers)

    assert again.control.info()["pid"] == again.process.pid
    again.stop()
