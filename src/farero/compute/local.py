"""Processes as children of the supervisor: the default implementation of the process seam."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.compute import usage
from farero.compute.control import Control, spec_to_wire, status_from_wire, zygote_to_wire

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from farero.records.compute import ProcessSpec, ProcessStatus, ProcessUsage, Zygote


class LocalCompute:
    """Asks the supervisor over its control socket; any thread may call.

    Raises NotReady from every method while no supervisor answers.
    """

    def __init__(self, socket_path: Path) -> None:
        self._control = Control(socket_path)

    def start(self, spec: ProcessSpec) -> ProcessStatus:
        """Start `spec` unless a process of that name runs already; return how it is.

        A program that cannot be run is `exited` with code 127 and says why in its log.
        """
        return status_from_wire(self._control.call("start", spec=spec_to_wire(spec)))

    def status(self, name: str) -> ProcessStatus:
        """Say how the process called `name` is; state `unknown` if there is none."""
        return status_from_wire(self._control.call("status", name=name))

    def list(self, prefix: str = "") -> list[ProcessStatus]:
        """Return every process whose name begins with `prefix`, exited ones included."""
        return [status_from_wire(one) for one in self._control.call("list", prefix=prefix)]

    def stop(self, name: str, *, grace_s: float | None = None) -> None:
        """Ask the process to end (SIGTERM to its group), kill it after the grace; return at once.

        grace_s: None means the spec's own. Stopping what does not run does nothing.
        """
        self._control.call("stop", name=name, grace_s=grace_s)

    def forget(self, name: str) -> None:
        """Drop what is remembered of a process; of one that still runs, as soon as it ends."""
        self._control.call("forget", name=name)

    def keep(self, zygotes: Iterable[Zygote]) -> None:
        """Have these ready to fork from, now and until told otherwise, and end all others."""
        self._control.call("keep", zygotes=[zygote_to_wire(one) for one in zygotes])

    def usage(self, prefix: str = "") -> list[ProcessUsage]:
        """Return what each running process whose name begins with `prefix` takes, its descendants included.

        The supervisor only names them; the process table is read here, so that it waits for nothing.
        """
        return usage.measure(self._control.call("leaders", prefix=prefix))
