"""What is read from the process table."""

import os
import socket
import subprocess
import sys

from farero.compute import processes


def test_this_process_is_found_with_its_parent_group_and_memory():
    found = processes.find(os.getpid())

    assert found[:4] == (os.getpid(), os.getppid(), os.getpgrp(), os.getsid(0))
    assert found.resident_bytes > 1_000_000


def test_a_name_with_brackets_and_blanks_does_not_confuse(tmp_path):
    program = tmp_path / ") R (1 2"
    program.symlink_to("/bin/sleep")

    with subprocess.Popen([program, "60"]) as process:
        found = processes.find(process.pid)
        process.kill()

    assert (found.pid, found.parent) == (process.pid, os.getpid())


def test_a_zombie_is_not_among_the_living(wait_for):
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        process.kill()

        wait_for(lambda: processes.find(process.pid) is None)
        assert process.pid not in {one.pid for one in processes.scan()}


def test_shared_pages_count_by_share():
    assert (
        0
        < processes.proportional_bytes(os.getpid())
        <= processes.find(os.getpid()).resident_bytes * 1.1
    )
    assert processes.proportional_bytes(2**22 + 1) == 0


def test_the_holder_of_a_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        assert processes.port_holder(port).endswith(f"(pid {os.getpid()})")
    assert processes.port_holder(port) == ""


def test_kill_all_ends_what_forks_while_it_is_killed(wait_for):
    busy = (
        "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n"  # nobody else would end it
        "  if os.fork() == 0: os._exit(0)\n  os.waitpid(-1, 0)"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", busy], start_new_session=True
    ) as process:
        wait_for(lambda: len(processes.of_leaders({process.pid}, set())) > 1)

        processes.kill_all(lambda: processes.of_leaders({process.pid}, set()))

        assert process.wait(60) == -9
        assert processes.of_leaders({process.pid}, set()) == []
