"""Whose processes are whose, and how much memory there is for all."""

import os

import pytest

from farero.compute import processes, usage


def running(pid, group, session):
    return processes.Running(pid, 1, group, session, 1000, 0.5)


def test_processes_belong_to_the_leader_of_their_session_or_group():
    table = [running(10, 10, 10), running(11, 11, 10), running(12, 10, 9), running(20, 20, 20)]

    found = usage.by_leader(table, {10}, {})

    assert {leader: [one.pid for one in some] for leader, some in found.items()} == {
        10: [10, 11, 12]
    }


def test_what_left_session_and_group_is_found_in_the_namespace_made_for_its_leader():
    own = processes.mount_namespace()
    table = [running(os.getpid(), 5, 5), running(2**22 + 1, 6, 6)]

    found = usage.by_leader(table, {77}, {own: 77})

    assert [one.pid for one in found[77]] == [os.getpid()]


@pytest.mark.parametrize(("text", "is_less"), [("1000000\n", True), ("max\n", False)])
def test_a_platform_in_a_container_has_the_memory_of_the_container(tmp_path, text, is_less):
    path = tmp_path / "memory.max"
    path.write_text(text)
    machine = usage.machine_memory_bytes(())

    found = usage.machine_memory_bytes([str(tmp_path / "none"), str(path)])

    assert found == (1_000_000 if is_less else machine)
    assert machine > 100_000_000
