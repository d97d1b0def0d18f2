"""The process seam: run a spec somewhere, say how it is, stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farero.records.compute import ProcessSpec, ProcessStatus, ProcessUsage, Zygote


class Compute(Protocol):
    """Where processes run. Every implementation passes `tests/contracts/test_compute.py`."""

    def start(self, spec: ProcessSpec) -> ProcessStatus:
        """Start `spec` unless a process of that name runs already; return how it is."""
        ...

    def status(self, name: str) -> ProcessStatus:
        """Say how the process called `name` is; state `unknown` if there is none."""
        ...

    def list(self, prefix: str = "") -> list[ProcessStatus]:
        """Return every process whose name begins with `prefix`, exited ones included."""
        ...

    def stop(self, name: str, *, grace_s: float | None = None) -> None:
        """Ask the process to end (SIGTERM to its group), kill it after the grace; return at once."""
        ...

    def forget(self, name: str) -> None:
        """Drop what is remembered of a process that has exited."""
        ...

    def keep(self, zygotes: Iterable[Zygote]) -> None:
        """Have these ready to fork from, now and until told otherwise, and end all others.

        Where processes cannot be forked from others this does nothing.
        """
        ...

    def usage(self, prefix: str = "") -> list[ProcessUsage]:
        """Return what each running process whose name begins with `prefix` takes, its descendants included."""
        ...
