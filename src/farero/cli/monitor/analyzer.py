"""The analyzer as a child process: what to call it with, and what it said."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING

from farero.cli.output import fail

if TYPE_CHECKING:
    from collections.abc import Sequence

NEEDED = ("numpy", "pyarrow", "datasketches", "msgspec")


def needs_analyzer() -> None:
    """End the command if the analyzer's packages are not installed."""
    if missing := missing_packages():
        fail("E-EXTRA", f"the analyzer needs {', '.join(missing)}", where=sys.executable,
             fix="pip install 'farero[monitor]'")  # fmt: skip


def missing_packages() -> list[str]:
    """Return which of the analyzer's packages are not installed."""
    return [name for name in NEEDED if not importlib.util.find_spec(name)]


def analyze(arguments: Sequence[str]) -> tuple[int, str]:
    """Run the analyzer; return its exit code and what it printed, or what it said went wrong.

    0: done. 1: done, and something critical was found. Others: it could not be done.
    """
    done = subprocess.run(
        [sys.executable, "-m", "farero_monitor", *arguments],
        capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    if done.returncode in {0, 1} and not done.stderr.startswith("Traceback"):
        return done.returncode, done.stdout.rstrip()
    told = done.stderr.strip()
    if told.startswith("Traceback"):
        told = told.splitlines()[-1]
    elif "error: " in told:
        told = told.partition("error: ")[2]
    code = done.returncode if done.returncode not in {0, 1} else 2
    return code, told or f"the analyzer ended with {done.returncode}"
