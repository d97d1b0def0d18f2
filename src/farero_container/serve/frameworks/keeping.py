"""What was made of a model file, kept beside it and found again by all that went into it; which engine serves, told.

The folder FARERO_KEPT_DIR belongs to the platform: nothing that comes in a model archive can lie there, and who can
write into it can change the unpacked model files beside it, too.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from farero_container.contract import ACCELERATE as VARIABLE
from farero_container.contract import output_dir

if TYPE_CHECKING:
    from collections.abc import Generator

FOLDER = "FARERO_KEPT_DIR"
#: Bytes of the digest before what is kept.
_DIGEST = 32


def place_of(path: Path, *parts: str, beside: bytes = b"") -> Path | None:
    """Return where something made of a model file is kept; None without a folder for it.

    parts: whatever else it depends on. beside: the content of another file that it depends on.
    """
    folder = os.environ.get(FOLDER)
    if not folder:
        return None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update("\0".join(parts).encode())
    if beside:
        digest.update(hashlib.sha256(beside).digest())
    return Path(folder) / digest.hexdigest()


def place_of_proof(path: Path, *parts: str, beside: bytes = b"") -> Path | None:
    """Return where a proven form is kept; None without a folder for it, or if nobody asked for acceleration.

    parts, beside: as `place_of` has them, besides the versions of ONNX Runtime and NumPy.
    """
    if os.environ.get(VARIABLE) != "onnx":
        return None
    versions = (version_of("onnxruntime"), np.__version__, platform.machine())
    place = place_of(path, *parts, *versions, beside=beside)
    return place.with_suffix(".proven") if place else None


def read(place: Path | None) -> bytes | None:
    """Return what is kept there, whole; None if there is nothing."""
    try:
        data = place.read_bytes() if place is not None else b""
    except OSError:
        return None
    digest, kept = data[:_DIGEST], data[_DIGEST:]
    return kept if kept and hashlib.sha256(kept).digest() == digest else None


def keep(place: Path | None, made: bytes) -> None:
    """Keep what was made; what goes wrong is said in the log."""
    if place is None:
        return
    new = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        new.write_bytes(hashlib.sha256(made).digest() + made)
        new.replace(place)
    except OSError as error:
        print(f"farero: nothing could be kept for later starts: {error}", flush=True)
        with contextlib.suppress(OSError):
            new.unlink()


@contextlib.contextmanager
def alone(place: Path | None) -> Generator[None]:
    """Be the only process that makes what is kept in this place; one of many where nothing can be locked."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            if place is not None:
                place.parent.mkdir(mode=0o700, exist_ok=True)
                lock = held.enter_context(place.with_suffix(".lock").open("wb"))
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def tell(engine: str, text: str, version: str = "") -> None:
    """Say which engine serves: in the log, and in output/engine.json for the platform.

    version: of an engine that is no distribution.
    """
    print(f"farero: {text}", flush=True)
    report = {"engine": engine, "version": version or version_of(engine), "text": text}
    with contextlib.suppress(OSError):  # a container without an output folder has its log
        output_dir().mkdir(parents=True, exist_ok=True)
        (output_dir() / "engine.json").write_text(json.dumps(report), encoding="utf-8")


def version_of(distribution: str) -> str:
    """Return the version that is installed; empty for none."""
    from importlib import metadata  # 10 ms; not for models that nobody wants to accelerate

    names = ("xgboost-cpu", "xgboost") if distribution == "xgboost" else (distribution,)
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return ""
