"""What to run and how it goes: the whole input and output of the process seam."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Zygote:
    """A process that has imported what others of its kind begin with, and from which they are forked."""

    #: Unique; two that would import the same in the same Python have one name, e.g. `zygote/xgboost-1f09ab`.
    name: str
    argv: tuple[str, ...]
    #: The whole environment of the process.
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    log_path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """What to run; plain data, so that it can cross a socket as JSON."""

    #: Unique name of the run, e.g. `endpoint/iris/AllTraffic/7f3a9c`; starting it twice is one start.
    name: str
    argv: tuple[str, ...]
    #: The whole environment of the process; nothing is inherited.
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    cwd: Path
    #: Folder that shall appear as /opt/ml where the host allows; None for none.
    opt_ml: Path | None = None
    #: Standard output and error are appended here.
    log_path: Path
    #: Address space is not limited, resident memory is; None for no limit.
    memory_bytes: int | None = None
    #: File that is written before the process is killed for its memory: bytes used, a space, bytes allowed.
    memory_note: Path | None = None
    #: A line sent to the worker's wake socket when the process ends, e.g. `endpoint.reconcile iris`.
    wake: str = ""
    #: Seconds between SIGTERM and SIGKILL on stop.
    grace_s: float = 30.0
    #: Where the process may be forked from, in place of running `argv` anew; it does what `argv` would do.
    zygote: Zygote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """How one process is."""

    name: str
    #: `running`, `exited`, or `unknown` (never started, or started before the supervisor was).
    state: str
    pid: int | None = None
    #: Exit code; negative is the number of the signal that ended it.
    exit_code: int | None = None
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    #: The memory limit ended it.
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessUsage:
    """What a running process and all that it has started take of the machine."""

    name: str
    at: dt.datetime
    started_at: dt.datetime
    #: Processor time since the start, summed over cores; that of processes which have ended is included.
    cpu_s: float
    #: Resident memory; pages shared with other processes count by share.
    memory_bytes: int
    #: The process's own limit, else what the machine has.
    memory_limit_bytes: int
    #: The disk on which its files lie.
    disk_used_bytes: int
    disk_size_bytes: int
