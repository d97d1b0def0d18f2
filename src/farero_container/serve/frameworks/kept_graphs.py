"""Proven graphs, kept beside a model's files and found again by all that went into them; which engine serves, told.

The folder FARERO_ACCELERATED_DIR belongs to the platform: nothing that comes in a model archive can lie there, and who
can write into it can change the unpacked model files beside it, too.
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

FOLDER = "FARERO_ACCELERATED_DIR"
#: Bytes of the digest before a kept graph.
_DIGEST = 32


def place_of(path: Path, *parts: str, beside: bytes = b"") -> Path | None:
    """Return where the graph of a model file is kept; None without a folder for it.

    parts: whatever else a graph depends on, besides the versions of ONNX Runtime and NumPy. beside: the content of
    another file that it depends on.
    """
    folder = os.environ.get(FOLDER)
    if not folder or os.environ.get(VARIABLE) != "onnx":
        return None
    names = (parts[0], version_of("onnxruntime"), *parts[1:], np.__version__, platform.machine())
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update("\0".join(names).encode())
    if beside:
        digest.update(hashlib.sha256(beside).digest())
    return Path(folder) / f"{digest.hexdigest()}.onnx"


def read(place: Path | None) -> bytes | None:
    """Return the graph that is kept there, whole; None if there is none."""
    try:
        data = place.read_bytes() if place is not None else b""
    except OSError:
        return None
    digest, graph = data[:_DIGEST], data[_DIGEST:]
    return graph if graph and hashlib.sha256(graph).digest() == digest else None


def keep(place: Path | None, graph: bytes) -> None:
    """Keep a graph; what goes wrong is said in the log."""
    if place is None:
        return
    new = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        new.write_bytes(hashlib.sha256(graph).digest() + graph)
        new.replace(place)
    except OSError as error:
        print(f"farero: the graph could not be kept, later starts prove it again: {error}", flush=True)  # fmt: skip
        new.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(place: Path | None) -> Generator[None]:
    """Be the only process that makes the graph of this place; one of many where nothing can be locked."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            if place is not None:
                place.parent.mkdir(mode=0o700, exist_ok=True)
                lock = held.enter_context(place.with_suffix(".lock").open("wb"))
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def tell(engine: str, text: str) -> None:
    """Say which engine serves: in the log, and in output/engine.json for the platform."""
    print(f"farero: {text}", flush=True)
    report = {"engine": engine, "version": version_of(engine), "text": text}
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
