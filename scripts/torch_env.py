"""Make the environment in which tests and the ECG journey run PyTorch; print the path of its Python.

It is made once, as ~/.cache/farero-dev/venvs/torch-<version>, by plain venv and pip: pip's own configuration decides
where the wheel comes from, and so whether it is the build for the CPU alone. On Linux the public index's default build
brings several gigabytes of CUDA along.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "farero-dev" / "venvs"
VERSION = "2.13.0"
#: As `compute/environments.py` has them for accelerated networks.
PINS = (
    f"torch=={VERSION}", "numpy", "uvloop>=0.21,<1", "pysimdjson>=7,<8", "onnxruntime>=1.20,<2",
)  # fmt: skip
DONE = "farero-pins.txt"


def main() -> int:
    """Make it if it is missing; print its Python."""
    print(ensure(), flush=True)
    return 0


def ensure() -> Path:
    """Return the Python of the environment, making it on first need; others wait for the one that makes it."""
    folder = CACHE / f"torch-{VERSION}"
    python = folder / "bin" / "python"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "torch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pins = "\n".join(PINS) + "\n"
        is_made = (folder / DONE).exists()
        if is_made and (folder / DONE).read_text(encoding="utf-8") == pins:
            return python
        print(f"installing {' '.join(PINS)} into {folder} …", file=sys.stderr, flush=True)
        if not is_made:  # other pins are added to what is there: PyTorch is large
            shutil.rmtree(folder, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(folder))
        _run(str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *PINS)
        (folder / DONE).write_text(pins, encoding="utf-8")
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
