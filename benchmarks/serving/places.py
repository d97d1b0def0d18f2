"""Where the benchmark keeps what it makes once: environments of the peers, PyTorch, wrk. Nothing in the repository.

Each peer has an environment of its own, named by its pins, so changed pins make a new one. PyTorch is installed once
and the peers that need it look into its folder. `python -m benchmarks.serving.places` makes all of them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "farero" / "bench-serving"
TORCH = ("torch==2.13.0", "numpy==2.4.6")
XGBOOST = ("xgboost-cpu==3.2.0", "numpy==2.4.6")
#: What each peer's environment holds; the newest that Python 3.11 got when the table was designed.
PINS = {
    "fastapi": ("fastapi==0.165.0", "uvicorn[standard]==0.54.0", *XGBOOST),
    "torchserve": ("torchserve==0.12.0", "torch-model-archiver==0.12.0", "pyyaml", "requests",
                   "setuptools<81", *XGBOOST),
    # uvloop from 0.22 on makes its parallel workers crash in a loop.
    "mlserver": ("mlserver==1.7.1", "mlserver-xgboost==1.7.1", "uvloop==0.21.0", "xgboost==3.2.0",
                 "numpy==2.4.6"),
    "bentoml": ("bentoml==1.4.39", *XGBOOST),
    "litserve": ("litserve==0.2.19", *XGBOOST),
}  # fmt: skip
DONE = "pins.txt"
WRK = "wrk 4.1.0"


class Missing(Exception):  # noqa: N818 - said to the user as it stands
    """Something the benchmark needs is not here and cannot be had."""


def main() -> int:
    """Make all environments and find wrk; say where they are."""
    print(wrk(), flush=True)
    for name in PINS:
        print(python(name, with_torch=name != "litserve"), flush=True)
    return 0


def python(name: str, *, with_torch: bool = False) -> Path:
    """Return the Python of a peer's environment, made on first need. Raises Missing."""
    made = _environment(name, PINS[name])
    if with_torch:
        _look_into(made, torch())
    return made / "bin" / "python"


def torch() -> Path:
    """Return the environment that holds PyTorch; by pip, whose configuration may know a build without CUDA."""
    return _environment("torch", TORCH, by_pip=True)


def wrk() -> Path:
    """Return the load generator: the one that is installed, or Debian's package unpacked in the cache."""
    if found := shutil.which("wrk"):
        return Path(found)
    folder = CACHE / "wrk"
    program = folder / "wrk"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _run("apt-get", "download", "-q", "wrk", "libluajit-5.1-2", cwd=folder)
            for package in folder.glob("*.deb"):
                _run("dpkg", "-x", str(package), str(folder), cwd=folder)
            libraries = next(folder.glob("usr/lib/*/libluajit*")).parent
        except (Missing, FileNotFoundError, StopIteration) as error:
            raise Missing(
                "wrk, the load generator, is not here and could not be fetched with `apt-get download wrk` "
                f"({error}). Install it: apt-get install wrk (Debian, Ubuntu), brew install wrk (macOS), or from its "
                "sources; any 4.x that stands on PATH is taken."
            ) from error
        line = f'LD_LIBRARY_PATH="{libraries}" exec "{folder}/usr/bin/wrk" "$@"'
        program.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        program.chmod(0o755)
    return program


def _environment(name: str, pins: tuple[str, ...], *, by_pip: bool = False) -> Path:
    digest = hashlib.sha256("\n".join([sys.version, *pins]).encode()).hexdigest()[:10]
    folder = CACHE / f"{name}-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / DONE).exists():
            return folder
        print(f"installing {' '.join(pins)} into {folder} …", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
        inside = str(folder / "bin" / "python")
        if by_pip:
            _run(sys.executable, "-m", "pip", "--python", inside, "install", "-q", *pins)
        else:
            _run(sys.executable, "-m", "uv", "pip", "install", "-q", "--python", inside, *pins)
        (folder / DONE).write_text("\n".join(pins) + "\n", encoding="utf-8")
    return folder


def _look_into(folder: Path, other: Path) -> None:
    """Let an environment find another one's packages, after its own."""
    line = f"import site; site.addsitedir({str(packages(other))!r})\n"
    (packages(folder) / "farero_torch.pth").write_text(line, encoding="utf-8")


def packages(folder: Path) -> Path:
    """Return the folder of an environment's packages."""
    return next((folder / "lib").glob("python*/site-packages"))


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(
        command, check=False, cwd=cwd, stdout=sys.stderr, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise Missing(f"{' '.join(command[:4])} … failed: {done.stderr.strip()[-600:]}")


if __name__ == "__main__":
    sys.exit(main())
