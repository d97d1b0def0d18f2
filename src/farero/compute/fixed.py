"""The platform's own processes: the gateways, the worker and the console. Used by the supervisor.

Each is started when it is due, and again when it has died, after a pause that grows while it dies quickly.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import TYPE_CHECKING

from farero.base.config import PREFIX
from farero.base.errors import Invalid
from farero.records.compute import ProcessSpec

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from farero.base.config import Settings
    from farero.compute.children import Children

log = logging.getLogger(__name__)

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.05, 5.0
#: The longest pause of one that had been ready: its start works, and callers wait for it.
READY_BACKOFF_S = 0.5
#: A child that lived as long starts again at once when it dies.
QUICK_DEATH_S = 5.0
#: What the names of the gateways begin with.
GATEWAY = "gateway-"
#: Started by the first connection to its port; the only one that readiness does not wait for.
CONSOLE = "console"


class FixedChildren:
    """What the supervisor starts of its own accord, by name; names not among `commands` are the worker's affair."""

    def __init__(
        self, settings: Settings, commands: Mapping[str, tuple[str, ...]], children: Children
    ) -> None:
        """commands: program and arguments of each; those that listen get their socket as 3."""
        self.commands = commands
        #: What the gateways listen on, and the console; they outlive every child.
        self.listening: socket.socket | None = None
        self.console: socket.socket | None = None
        self.port = settings.port
        #: When each that is down starts again (monotonic).
        self.due = dict.fromkeys(commands.keys() - {CONSOLE}, 0.0)
        self._settings = settings
        self._children = children
        self._born: dict[str, float] = {}
        #: How long the next pause of each is.
        self._backoff: dict[str, float] = {}
        self._ready: set[str] = set()

    @property
    def is_ready(self) -> bool:
        """Whether all have said that they are ready, and none has died since."""
        return self._ready.issuperset(self.commands.keys() - {CONSOLE})

    def start_due(self) -> None:
        """Start what is due. Raises Invalid if one cannot be started that never ran."""
        for name in [name for name, due in self.due.items() if due <= time.monotonic()]:
            del self.due[name]
            self._born[name] = time.monotonic()
            passed = self.listening if name.startswith(GATEWAY) else None
            passed = self.console if name == CONSOLE else passed
            try:
                self._children.start(
                    self._spec(name), passed=passed and passed.fileno(), is_trusted=True
                )
            except (OSError, Invalid) as error:
                if name not in self._backoff:  # it never ran: a mistake of the user's
                    raise Invalid(f"cannot start {name}: {error}") from error
                self._schedule(name, error)

    def note_ready(self, pid: int) -> None:
        """Hear that a process is ready; one that is none of these does not count."""
        self._ready |= {name for name in self.commands if self._children.status(name).pid == pid}

    def ended(self, name: str, exit_code: int | None) -> None:
        """Hear that one has died, and start it again after a pause."""
        served = name in self._ready or name == CONSOLE
        self._ready.discard(name)
        self._schedule(name, f"code {exit_code}", served=served)

    def _spec(self, name: str) -> ProcessSpec:
        env = {
            **os.environ,
            PREFIX + "DATA_DIR": str(self._settings.data_dir),
            PREFIX + "PORT": str(self.port),
            PREFIX + "PROCESS": name,
            "NOTIFY_SOCKET": str(self._settings.run_dir / "notify.sock"),
        }
        return ProcessSpec(
            name=name,
            argv=self.commands[name],
            env=env,
            cwd=self._settings.data_dir,
            log_path=self._settings.logs_dir / f"{name}.log",
        )

    def _schedule(self, name: str, why: object, *, served: bool = False) -> None:
        """Start a process again after a pause that grows. served: it had been ready, so its start works."""
        wait = self._backoff.get(name, FIRST_BACKOFF_S)
        if served:
            is_quick = time.monotonic() - self._born[name] < QUICK_DEATH_S
            wait = min(wait, READY_BACKOFF_S) if is_quick else FIRST_BACKOFF_S
        self.due[name] = time.monotonic() + wait
        self._backoff[name] = min(wait * 2, LONGEST_BACKOFF_S)
        log.warning("%s ended (%s); again in %.2f s", name, why, wait)


def fixed_commands(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return the programs of the gateways, the worker and the console."""
    python = (sys.executable, "-P", "-m")  # -P: where we stand gives no modules
    gateway = (*python, "farero.processes", "gateway", "--fd", "3")
    commands: dict[str, tuple[str, ...]] = {}
    commands |= {f"{GATEWAY}{i}": gateway for i in range(settings.gateways)}
    commands["worker"] = (*python, "farero.processes", "worker")
    if settings.console_port:
        commands[CONSOLE] = (*python, "farero.console", "--fd", "3")
    return commands
