"""requirements.txt of a training script: nothing to do where the platform has installed it, else pip or uv does."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING

from farero_container.contract import StartUpError
from farero_container.train import child

if TYPE_CHECKING:
    from pathlib import Path

#: `installed` where the platform has done all that requirements.txt asks for.
DONE = "FARERO_REQUIREMENTS"
#: Names the folder to install into; without it packages go beside those of this Python.
FOLDER = "FARERO_REQUIREMENTS_DIR"
_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^]]*\])?\s*(==\s*([^\s;,]+)\s*)?")


def install(path: Path) -> None:
    """Install what is missing. Raises StartUpError with the installer's last word."""
    if os.environ.get(DONE) == "installed":
        return
    if not path.is_file() or not missing(path.read_text(encoding="utf-8", errors="replace")):
        return
    argv = command(path, os.environ.get(FOLDER, ""))
    print(f"Installing dependencies with: {' '.join(argv)}", flush=True)
    exit_code, said = child.run(argv, path.parent, os.environ)
    if exit_code:
        raise StartUpError("E-REQ-INSTALL", f"requirements.txt could not be installed: {_reason(said)}",
                           file="requirements.txt", fix="Correct or remove the line that is named.")  # fmt: skip


def command(path: Path, folder: str) -> list[str]:
    """Return what installs `path`: pip of this Python, or uv where it has none. Raises StartUpError."""
    into = ["--target", folder] if folder else []
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
        return [*pip, *into, "-r", str(path)]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable, *into, "-r", str(path)]
    raise StartUpError("E-REQ-INSTALL", f"{sys.executable} has no pip to install requirements.txt with",
                       file="requirements.txt", fix="python -m ensurepip, or install uv.")  # fmt: skip


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
    wanted = found[4]
    if wanted and wanted.endswith(".*"):
        return version.startswith(wanted[:-1])
    return wanted is None or version == wanted


def _reason(said: str) -> str:
    """Return the first error that pip or uv names, else the last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else "no reason was given"
    return next((line for line in lines if line.lower().startswith(("error", "\u00d7 "))), last)
