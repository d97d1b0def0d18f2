"""The container contract: paths below /opt/ml, variables, ports, exit codes, and how a failure is told.

SageMaker's own ("Use Your Own Inference Code", "Use Your Own Training Algorithms"), with one addition: everything
below /opt/ml is looked for in SAGEMAKER_BASE_DIR, so that a container runs as a plain process too.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

DEFAULT_PORT = 8080
#: SageMaker's real-time limit for one request.
MAX_BODY_BYTES = 6_291_456
OK, FAILED = 0, 1
#: Set to `onnx` in a model's environment, it asks for a quicker engine than the framework.
ACCELERATE = "FARERO_ACCELERATE"


class StartUpError(Exception):
    """The container cannot start; carries a coded cause and what to do about it."""

    def __init__(
        self, cause: str, message: str, *, file: str = "", line: int | None = None, fix: str = ""
    ) -> None:
        self.cause = cause
        self.message = message
        self.file = file
        self.line = line
        self.fix = fix
        super().__init__(f"{cause}: {message}")


def base_dir() -> Path:
    """Return what stands for /opt/ml."""
    return Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


def model_dir() -> Path:
    """Return the folder of the model's files."""
    return base_dir() / "model"


def output_dir() -> Path:
    """Return the folder of `failure`, `failure.json` and `data`."""
    return base_dir() / "output"


def framework() -> str:
    """Return the framework that the image's name asked for, e.g. `xgboost`."""
    return os.environ.get("FARERO_FRAMEWORK", "")


def framework_version() -> str:
    """Return the version that the image's tag asked for, e.g. `1.0-1`."""
    return os.environ.get("FARERO_FRAMEWORK_VERSION", "")


def write_failure(
    cause: str, message: str, *, file: str = "", line: int | None = None, fix: str = ""
) -> None:
    """Write output/failure.json for the platform and a line for the log."""
    report = {"cause": cause, "message": message, "file": file, "line": line, "fix": fix}
    folder = output_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "failure.json").write_text(json.dumps(report), encoding="utf-8")
    except OSError as error:
        print(f"farero: could not write failure.json: {error}", file=sys.stderr, flush=True)
    place = f"{file} line {line}: " if file and line else ""
    print(f"farero: {cause} {place}{message} {fix}".rstrip(), file=sys.stderr, flush=True)


def user_frame(trace: TracebackType | None) -> tuple[str, int | None]:
    """Return the innermost place of a traceback that lies in the user's code, e.g. ("code/inference.py", 3)."""
    return user_place(traceback.extract_tb(trace))


def user_place(stack: traceback.StackSummary) -> tuple[str, int | None]:
    """Return the innermost place of a stack that lies in the user's code."""
    roots = [base_dir() / "model", base_dir(), Path.cwd()]
    for frame in reversed(stack):
        path = Path(frame.filename)
        for root in roots:
            for form in (root, root.resolve()):
                if path.is_relative_to(form) and "site-packages" not in path.parts:
                    return str(path.relative_to(form)), frame.lineno
    return "", None
