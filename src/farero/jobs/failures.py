"""Why a job failed, in one sentence of AWS's form: `ClientError: …` or `AlgorithmError: …, exit code: N`. Pure."""

from __future__ import annotations

import signal
from typing import Any

#: Longest FailureReason (CreateTrainingJob API reference: 1024 characters).
LIMIT = 1024

_CLASSES = ("ClientError:", "AlgorithmError:", "InternalServerError:", "CapacityError:")
#: Causes of `failure.json` that lie in what the user gave, not in how the algorithm ran.
_CLIENT_CAUSES = ("E-HYPERPARAMETER", "E-CHANNEL", "E-DATA", "E-TAR-")

INTERNAL = (
    "InternalServerError: We encountered an internal error. Please try again. "
    "The platform's log names the cause: farero logs --platform"
)
PROCESS_LOST = (
    "InternalServerError: The platform was stopped twice while this job ran, so its process was lost twice. "
    "Create the job again under a new name."
)


def out_of_memory(instance_type: str) -> str:
    """Return the reason for a process that the memory limit ended."""
    return (
        f"AlgorithmError: OutOfMemory: the training process needed more memory than there is for {instance_type}, "
        "exit code: 137. Use less data at a time, or a machine with more memory."
    )


def download_failed(text: str) -> str:
    """Return the reason for inputs that could not be brought to the job."""
    return cut(f"ClientError: Data download failed:{text}")


def environment_failed(cause: str, detail: str, fix: str) -> str:
    """Return the reason for a Python environment that could not be made."""
    told = "" if not fix or fix in detail else f" ({fix})"
    return cut(f"ClientError: {cause}: {detail}{told}")


def exit_reason(
    exit_code: int, failure: dict[str, Any] | None, text: str, last_lines: list[str]
) -> str:
    """Return the reason for a process that ended with `exit_code`.

    failure: the container's failure.json, if it wrote one.
    text: the container's failure file, "" if there is none; it wins when it names its class itself, as AWS's
    containers do.
    last_lines: the end of the log, used when the process left no other word.
    """
    said = _said(failure, text.strip(), exit_code, last_lines)
    if said.startswith(_CLASSES):
        return _with_code(said, exit_code)
    if failure is not None and str(failure.get("cause")).startswith(_CLIENT_CAUSES):
        return cut(f"ClientError: {said}")
    return _with_code(f"AlgorithmError: {said}", exit_code)


def cut(text: str) -> str:
    """Return at most LIMIT characters."""
    return text[:LIMIT]


def _said(failure: dict[str, Any] | None, text: str, exit_code: int, last_lines: list[str]) -> str:
    if text.startswith(_CLASSES):
        return _with_place(text, failure)
    if failure is not None and failure.get("message"):
        message = _with_place(str(failure["message"]).strip(), failure)
        fix = str(failure.get("fix") or "").strip()
        return f"{message} {fix}" if fix and fix not in message else message
    if text:
        return text
    if exit_code < 0:
        return _signal_words(-exit_code)
    last = next((line for line in reversed(last_lines) if line.strip()), "")
    return last.strip() or "the process said nothing"


def _with_place(text: str, failure: dict[str, Any] | None) -> str:
    """Put `(file:line)` behind the first line, unless the text says where already."""
    file, line = (failure or {}).get("file"), (failure or {}).get("line")
    place = f"{file}:{line}" if line else str(file)
    if not file or place in text:
        return text
    head, _, rest = text.partition("\n")
    return f"{head} ({place})" + (f"\n{rest}" if rest else "")


def _with_code(text: str, exit_code: int) -> str:
    """Append the exit code as AWS does for an AlgorithmError; the code survives the cut."""
    if not text.startswith("AlgorithmError:") or "exit code:" in text:
        return cut(text)
    tail = f", exit code: {exit_code if exit_code >= 0 else 128 - exit_code}"
    return text[: LIMIT - len(tail)] + tail


def _signal_words(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if name == "SIGKILL":
        return "the training process was killed (SIGKILL); most often the machine ran out of memory"
    return f"the training process was ended by {name}"
