"""What a child process may use: memory as its spec says, and no fork bombs. Used by `Children`."""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from typing import TYPE_CHECKING

from farero.compute import processes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farero.compute.children import Child
    from farero.records.compute import ProcessSpec

log = logging.getLogger(__name__)

#: Processes that one child may have before it is taken for a fork bomb.
MOST_PROCESSES = 2048


def check(children: Iterable[Child], count_at_start: int) -> None:
    """Kill what uses too much memory or too many processes.

    count_at_start: processes of the whole machine when this one began. While few have been added nobody is counted.
    """
    is_crowded = processes.count() > count_at_start + MOST_PROCESSES
    watched = {child.pid: child for child in children if child.spec.memory_bytes or is_crowded}
    if not watched:
        return
    groups: dict[int, list[processes.Running]] = defaultdict(list)
    for one in processes.scan():
        leader = one.session if one.session in watched else one.group
        groups[leader].append(one)
    for pid, child in watched.items():
        _check(child, groups[pid])


def _check(child: Child, members: list[processes.Running]) -> None:
    limit = child.spec.memory_bytes
    facts = {"name_of_process": child.spec.name, "processes": len(members)}
    if len(members) > MOST_PROCESSES:
        log.warning("too many processes; killed", extra=facts)
        processes.kill_all(child.members)
    elif limit and sum(one.resident_bytes for one in members) > limit:
        # Resident memory counts a shared page once for each user; the proportional sum is exact, but slow.
        used = sum(processes.proportional_bytes(one.pid) for one in members)
        if used > limit:
            child.out_of_memory = True
            log.warning("out of memory; killed", extra={**facts, "bytes": used, "limit": limit})
            _note_memory(child.spec, used, limit)
            processes.kill_all(child.members)


def _note_memory(spec: ProcessSpec, used: int, limit: int) -> None:
    """Leave word, for who waits for an answer and for who reads the log, why a process is about to be killed."""
    said = f"farero: killed for its memory: {used >> 20:,} MB used, {limit >> 20:,} MB allowed\n"
    with contextlib.suppress(OSError):
        if spec.memory_note is not None:
            spec.memory_note.write_text(f"{used} {limit}", encoding="ascii")
        with spec.log_path.open("a", encoding="utf-8") as file:
            file.write(said)
