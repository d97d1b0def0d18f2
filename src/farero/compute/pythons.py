"""Environments as the domain asks for them: a framework or a requirements.txt in, the path of a Python out."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from farero.base.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from farero.compute.environments import Environment, Environments


def _quiet(_line: str) -> None:
    """Take a line of progress that nobody wants to see."""


class Pythons:
    """Remembers which environment each Python that it gave out belongs to."""

    def __init__(self, environments: Environments) -> None:
        self._environments = environments
        self._known: dict[Path, Environment] = {}
        self._lock = threading.Lock()

    def ensure(
        self, framework: str, version: str, on_progress: Callable[[str], None] | None = None
    ) -> Path:
        """Return the Python that has the framework, making it on first need."""
        return self._remember(self._environments.ensure(framework, version, on_progress or _quiet))

    def requirements(
        self, python: Path, file: Path, on_progress: Callable[[str], None] | None = None
    ) -> Path:
        """Return a Python that has the packages of a requirements.txt besides those of `python`.

        Raises NotFound if `python` did not come from here.
        """
        with self._lock:
            base = self._known.get(python)
        if base is None:
            raise NotFound("environment", str(python))
        return self._remember(self._environments.requirements(base, file, on_progress or _quiet))

    def container_path(self) -> Path:
        """Return the folder to put on PYTHONPATH, holding farero_container alone."""
        return self._environments.container_path()

    def monitor_path(self) -> Path:
        """Return the folder to put on PYTHONPATH, holding farero_monitor alone."""
        return self._environments.monitor_path()

    def _remember(self, environment: Environment) -> Path:
        with self._lock:
            self._known[environment.python] = environment
        return environment.python
