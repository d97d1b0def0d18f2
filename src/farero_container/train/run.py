"""The `train` program: a user's script if one is named, else the image's built-in algorithm; and how it failed."""

from __future__ import annotations

import sys
import traceback

from farero_container.contract import (
    FAILED,
    OK,
    StartUpError,
    framework,
    output_dir,
    user_frame,
    write_failure,
)
from farero_container.train import channels

#: FailureReason's own limit is 1024 characters; a little more helps whoever reads the file itself.
MAX_FAILURE_CHARS = 4096


def main() -> int:
    """Train. Returns the exit code; a failure is told in output/failure and output/failure.json."""
    try:
        if "sagemaker_program" in channels.hyperparameters():
            from farero_container.train import script  # needs no NumPy

            return script.run()
        _check_algorithm()
        from farero_container.train.algorithms import xgboost  # heavy

        xgboost.silence()
        xgboost.train()
    except StartUpError as error:
        return fail(error)
    except Exception as error:  # noqa: BLE001 - the container's last step: every end has a reason
        traceback.print_exc()
        file, line = user_frame(error.__traceback__)
        words = f"{type(error).__name__}: {error}"
        return fail(StartUpError("E-ALGORITHM", words, file=file, line=line))
    return OK


def _check_algorithm() -> None:
    if framework() not in ("", "xgboost"):
        raise StartUpError(
            "E-HYPERPARAMETER",
            f"Missing required hyperparameter: sagemaker_program (the script that {framework()} runs)",
            fix="Give the estimator entry_point='train.py'.",
        )


def fail(error: StartUpError) -> int:
    """Write why, in AWS's form, and return the exit code."""
    kind = "AlgorithmError" if error.cause == "E-ALGORITHM" else "ClientError"
    text = f"{kind}: {error.message}"
    if error.fix:
        text += f" ({error.fix.rstrip('.')})"
    write_text(text)
    write_failure(error.cause, error.message, file=error.file, line=error.line, fix=error.fix)
    return FAILED


def write_text(text: str) -> None:
    """Write output/failure, which becomes the job's FailureReason."""
    try:
        output_dir().mkdir(parents=True, exist_ok=True)
        (output_dir() / "failure").write_text(
            text[:MAX_FAILURE_CHARS], encoding="utf-8", errors="replace"
        )
    except OSError as error:
        print(f"farero: could not write output/failure: {error}", file=sys.stderr, flush=True)
