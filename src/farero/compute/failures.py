"""Why a Python environment could not be made, in the user's words: what pip said becomes a cause, a line and a fix."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from farero.base.errors import Invalid
from farero.compute import requirements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.compute.pip import PipFailed


class EnvironmentFailed(Invalid):
    """A Python environment could not be made; `cause` is a code of the platform's failure pages."""

    def __init__(
        self, detail: str, *, cause: str, file: str = "", line: int | None = None, fix: str = ""
    ) -> None:
        self.cause = cause
        #: requirements.txt or the file it includes, with which `detail` begins; "" if none is to blame.
        self.file = file
        #: Line of the file, from 1; None if no single line is to blame.
        self.line = line
        #: What the user can do about it.
        self.fix = fix
        super().__init__(detail)


def of_framework(
    name: str, install: Sequence[str], error: PipFailed, limit_s: float
) -> EnvironmentFailed:
    """Say why the environment of framework `name`, made of `install`, could not be made."""
    command = " ".join([sys.executable, "-m pip install", *(f"'{one}'" for one in install)])
    if error.is_offline:
        detail = f"framework {name} is not installed and the package index cannot be reached"
        return EnvironmentFailed(
            f"{detail}; with a network, run: {command}", cause="E-ENV-OFFLINE", fix=command
        )
    if error.timed_out:
        detail = f"installing {name} took over {limit_s:.0f} s"
        return EnvironmentFailed(detail, cause="E-ENV-TIMEOUT", fix=command)
    _, message = requirements.explain([], error.output, Path())
    return EnvironmentFailed(
        f"cannot install {name}: {message}", cause="E-ENV-INSTALL", fix=command
    )


def of_include(error: requirements.BadInclude) -> EnvironmentFailed:
    """Say which line includes a file that cannot be read."""
    return _of_line(
        error.line, str(error), "E-REQ-INSTALL", "pack the file beside requirements.txt"
    )


def of_requirements(
    lines: Sequence[requirements.Line], error: PipFailed, *, path: Path, limit_s: float
) -> EnvironmentFailed:
    """Say why the requirements in `path` could not be installed, and which of `lines` is to blame."""
    line, message = requirements.explain(lines, error.output, path)
    if error.timed_out:
        detail = f"installing took over {limit_s:.0f} s"
        return _of_line(line, detail, "E-REQ-TIMEOUT", "pin versions that have wheels")
    if error.is_offline:
        detail = f"the package index cannot be reached: {message}"
        fix = "connect to the network once, or put the packages beside the code"
        return _of_line(line, detail, "E-ENV-OFFLINE", fix)
    fix = f"try it: {sys.executable} -m pip download -r requirements.txt"
    return _of_line(line, message, "E-REQ-INSTALL", fix)


def _of_line(
    line: requirements.Line | None, detail: str, cause: str, fix: str
) -> EnvironmentFailed:
    file = line.file if line else "requirements.txt"
    where = f"{file} line {line.number} ({line.text})" if line else file
    number = line.number if line else None
    return EnvironmentFailed(f"{where}: {detail}", cause=cause, file=file, line=number, fix=fix)
