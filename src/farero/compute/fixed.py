"""The platform's own processes: the gateways, the worker and the console. Used by the supervisor.

Each is started when it is due, and again when it has died, after a pause that grows while it dies quickly. Gateways and
the worker are forks of the supervisor, which has imported what they need: a new one is there in milliseconds, and all
of them share that memory. The console is a program of its own, as it is large and may never be wanted.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from farero.base.config import PREFIX
from farero.base.errors import Invalid
from farero.records.compute import ProcessSpec

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from farero.base.config import Settings
    from farero.compute.children import Children

    #: Program and arguments, or what a fork of the supervisor does, which returns its exit code.
    Command = tuple[str, ...] | Callable[[], int]

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
        self, settings: Settings, commands: Mapping[str, Command], children: Children
    ) -> None:
        """commands: what each is; those that listen get their socket as 3."""
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
            command = self.commands[name]
            argv, run = (("farero", name), command) if callable(command) else (command, None)
            try:
                self._children.start(
                    self._spec(name, argv),
                    passed=passed and passed.fileno(),
                    is_trusted=True,
                    run=run,
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

    def _spec(self, name: str, argv: tuple[str, ...]) -> ProcessSpec:
        env = {
            **os.environ,
            PREFIX + "DATA_DIR": str(self._settings.data_dir),
            PREFIX + "PORT": str(self.port),
            PREFIX + "PROCESS": name,
            "NOTIFY_SOCKET": str(self._settings.run_dir / "notify.sock"),
        }
        return ProcessSpec(
            name=name,
            argv=argv,
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


def fixed_commands(settings: Settings, run: Callable[[str], int]) -> dict[str, Command]:
    """Return the programs of the gateways, the worker and the console. run: be the one of that name."""
    commands: dict[str, Command] = {}
    commands |= {f"{GATEWAY}{i}": partial(run, "gateway") for i in range(settings.gateways)}
    commands["worker"] = partial(run, "worker")
    if settings.console_port:
        # -P: where we stand gives no modules
        commands[CONSOLE] = (sys.executable, "-P", "-m", "farero.console", "--fd", "3")
    return commands
