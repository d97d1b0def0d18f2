"""requirements.txt of a training script: nothing to do where the platform has installed it, else pip does."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from farero_container.contract import StartUpError

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^]]*\])?\s*(==\s*([^\s;,]+)\s*)?")


def install(path: Path) -> None:
    """Install what is missing. Raises StartUpError with pip's last word."""
    if not path.is_file() or not missing(path.read_text(encoding="utf-8", errors="replace")):
        return
    argv = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "-r", str(path)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, errors="replace")
    print(done.stdout, done.stderr, sep="", flush=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [
            done.stderr.strip()[-300:]
        ]
        raise StartUpError("E-REQ-INSTALL", f"requirements.txt could not be installed: {said[0]}",
                           file="requirements.txt", fix="Correct or remove the line that pip names.")  # fmt: skip


def missing(text: str) -> list[str]:
    """Return the lines whose package is absent or of another `==` version; of ranges the platform took care."""
    return [
        line
        for line in map(str.strip, text.splitlines())
        if line and line[0] != "#" and not _is_installed(line)
    ]


def _is_installed(line: str) -> bool:
    found = _NAME.match(line)
    if not found or "://" in line:
        return False
    try:
        version = importlib.metadata.version(found[1])
    except importlib.metadata.PackageNotFoundError:
        return False
    return found[4] is None or version == found[4] or version.startswith(found[4].removesuffix("*"))
