"""What went wrong with a container → one coded cause, in the user's words. Pure.

A FailureReason begins with AWS's own sentence, so that programs which look for it find it, then names the cause, the
place in the user's code, what to do, and the last lines of the log.
"""

from __future__ import annotations

import dataclasses
import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from farero.records.compute import ProcessStatus

#: Longest FailureReason (DescribeEndpoint API reference: 1024 characters).
LIMIT = 1024
#: As many deaths end a fleet that is not in service yet; of a replica that was ready, those within this time.
MOST_DEATHS = 5
DEATHS_WITHIN_S = 60.0

#: Cause → what to do about it; the container's own advice goes first.
ADVICE: Mapping[str, str] = {
    "E-IMPORT": "Add the package to code/requirements.txt, or the file to code/.",
    "E-SYNTAX": "Correct the line; the image's Python must be able to read the file.",
    "E-MODEL-FN": "Correct model_fn: it takes model_dir and returns the model.",
    "E-MODEL-LOAD": "Save the model anew with the framework version that the image names.",
    "E-NO-MODEL-FILE": "Put the model file at the root of model.tar.gz: farero inspect shows what is there.",
    "E-NO-SCRIPT": "Put the file that SAGEMAKER_PROGRAM names into code/ of model.tar.gz.",
    "E-NO-FRAMEWORK": "farero doctor shows which frameworks there are.",
    "E-TAR-EMPTY": "Pack the model's files: farero pack DIR.",
    "E-TAR-GZIP": "Pack it with: farero pack DIR, or: tar -czf model.tar.gz -C DIR .",
    "E-TAR-TRUNCATED": "The upload broke off or the file was cut; pack and upload it again.",
    "E-TAR-UNSAFE": "Pack regular files and folders only, with relative names.",
    "E-TAR-BOMB": "Pack fewer or smaller files; the limits are in docs/reference.",
    "E-TAR-LAYOUT": "Move the files up to the archive's root; farero inspect --fix does it.",
    "E-MODEL-DATA": "Upload the archive again, or create a model that names one that exists.",
    "E-INTEGRITY": "Create a new model for the new file; a model stands for the file it was created with.",
    "E-REQ-INSTALL": "Correct code/requirements.txt; each line must install with pip.",
    "E-REQ-TIMEOUT": "Pin exact versions in code/requirements.txt, so that pip need not search.",
    "E-ENV-OFFLINE": "Connect once to the package index, or install the framework beside Farero.",
    "E-ENV-INSTALL": "farero doctor shows which environments there are.",
    "E-ENV-TIMEOUT": "Try again; what was downloaded is kept.",
    "E-OOM": "Use a smaller model, fewer workers, or more memory (MemorySizeInMB of a serverless variant).",
    "E-SEGFAULT": "Native code crashed: save the model with the library version that runs here.",
    "E-SIGNAL": "Look for who ended it: the machine's own log, or another program.",
    "E-HANG": (
        "Look at where it stood, in the log; SAGEMAKER_MODEL_SERVER_TIMEOUT of the model's Environment says how many "
        "seconds one request may take."
    ),
    "E-EXIT": "Start-up code called exit, or a child failed; the log's last lines are below.",
    "E-PING-TIMEOUT": (
        "Load less in model_fn, or raise ContainerStartupHealthCheckTimeoutInSeconds of the variant."
    ),
    "E-PING-STATUS": "Let /ping answer 200 once the model is loaded.",
    "E-IMAGE": "Use one of SageMaker's xgboost, scikit-learn or pytorch images.",
    "E-HANDLER-ARITY": "Give the function the parameters of the contract.",
    "E-PICKLE-VERSION": "Save the model with the version that runs here, or name the image of its version.",
    "E-TORCHSCRIPT": "Save it with torch.jit.script(model).save(...), or bring code/inference.py with model_fn.",
    "E-CRASH-LOOP": "It starts and then dies again and again; the log's last lines say why.",
    "E-DISK": "Free some disk space; farero doctor shows what takes it.",
}
#: Trying again may help: the process died of something that need not happen again.
TRANSIENT = frozenset({"E-EXIT", "E-SIGNAL", "E-SEGFAULT", "E-HANG", "E-DISK", "E-CRASH-LOOP"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One cause."""

    cause: str
    message: str
    fix: str = ""
    #: File in the user's words, e.g. `code/inference.py`, and its line.
    file: str = ""
    line: int | None = None

    @property
    def is_final(self) -> bool:
        """Say whether starting again would fail in the same way."""
        return self.cause not in TRANSIENT

    def __str__(self) -> str:
        place = f"{self.file} line {self.line}: " if self.file and self.line else ""
        if self.file and not self.line:
            place = f"{self.file}: "
        fix = self.fix or ADVICE.get(self.cause, "")
        message = self.message.strip().rstrip(".")
        return f"Cause {self.cause}: {place}{message}. {fix}".rstrip()


class StartFailed(Exception):  # noqa: N818 - carries what happened
    """A replica cannot be started."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(str(failure))


def failure_reason(failure: Failure, variant: str, log_lines: Sequence[str] = ()) -> str:
    """Return the text for FailureReason: AWS's sentence, the cause, what to do, as much of the log as fits."""
    head = (
        f"The primary container for production variant {variant} did not pass the ping health check. "
        f"Please check CloudWatch logs for this endpoint. {failure}"
    )
    # The container says its failure in the log as well; once is enough.
    said = failure.message.partition("\n")[0].rstrip(".")
    lines = [line.strip() for line in log_lines if line.strip() and said not in line]
    label = " Last log lines: "
    room = LIMIT - len(head) - len(label)
    kept: list[str] = []
    for line in reversed(lines):
        if len(line) + 3 > room:
            break
        room -= len(line) + 3
        kept.insert(0, line)
    if kept:
        return head + label + " | ".join(kept)
    return head[:LIMIT]


def from_report(report: Mapping[str, Any]) -> Failure:
    """Return what a container's failure.json, or the unpacking of an archive, says."""
    line = report.get("line")
    return Failure(
        cause=str(report.get("cause") or "E-EXIT"),
        message=str(report.get("message") or "the container gave no reason"),
        fix=str(report.get("fix") or ""),
        file=str(report.get("file") or ""),
        line=line if isinstance(line, int) else None,
    )


def from_exit(
    status: ProcessStatus,
    report: Mapping[str, Any] | None,
    log_lines: Sequence[str],
    *,
    has_served: bool = False,
) -> Failure:
    """Say why a process ended: its own report first, then how it ended, then what its log shows."""
    if report is not None:
        return from_report(report)
    if status.out_of_memory:
        return Failure(
            cause="E-OOM", message="the model process passed its memory limit and was ended"
        )
    code = status.exit_code
    if code is not None and code < 0:
        return _from_signal(-code)
    found = from_log(log_lines)
    if found is not None:
        return found
    when = "" if has_served else " before it was ready"
    return Failure(cause="E-EXIT", message=f"the model process exited with code {code}{when}")


_LOG_SIGNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("E-IMPORT", re.compile(r"(?:ModuleNotFoundError|ImportError): (.*)")),
    ("E-SYNTAX", re.compile(r"((?:SyntaxError|IndentationError|TabError): .*)")),
    ("E-DISK", re.compile(r"(.*(?:No space left on device|Disk quota exceeded).*)")),
    (
        "E-OOM",
        re.compile(r"^(MemoryError.*|.*(?:std::bad_alloc|DefaultCPUAllocator: can't allocate).*)"),
    ),
)
_PLACE = re.compile(r'File "(?:.*/)?(code/[^"]+)", line (\d+)')


def from_log(lines: Sequence[str]) -> Failure | None:
    """Find a cause in the last lines of a log, for programs that do not report one themselves."""
    for cause, pattern in _LOG_SIGNS:
        for index in range(len(lines) - 1, -1, -1):
            if found := pattern.search(lines[index]):
                failure = Failure(cause=cause, message=found[1].strip())
                return _with_place(failure, lines[:index])
    return None


def crash_loop(count: int, seconds: float, last: Failure) -> Failure:
    """Return the cause of a container that became ready and died, again and again."""
    return Failure(
        cause="E-CRASH-LOOP",
        message=f"it died {count} times within {seconds:.0f} s, last of {last.cause} ({last.message})",
    )


def repeated(failure: Failure, count: int, seconds: float) -> Failure:
    """Return the failure with how often it was seen."""
    return dataclasses.replace(
        failure, message=f"{failure.message.rstrip('.')} ({count} times within {seconds:.0f} s)"
    )


def ping_timed_out(seconds: float) -> Failure:
    """Return the cause of a container that did not answer /ping."""
    return Failure(cause="E-PING-TIMEOUT", message=f"/ping gave no answer within {seconds:.0f} s")


def went_silent(seconds: float) -> Failure:
    """Return the cause of a container in service that answers nothing any more."""
    return Failure(
        cause="E-HANG", message=f"it was in service and left /ping unanswered for {seconds:.0f} s"
    )


def ping_refused(status: int, seconds: float) -> Failure:
    """Return the cause of a container whose /ping answered, but not with 200."""
    return Failure(
        cause="E-PING-STATUS", message=f"/ping answered {status} instead of 200 for {seconds:.0f} s"
    )


def no_model_data(uri: str) -> Failure:
    """Return the cause for model data that has gone."""
    return Failure(cause="E-MODEL-DATA", message=f"Could not find model data at {uri}")


def changed_model_data(uri: str, was: str, found: str) -> Failure:
    """Return the cause for model data that is not what the model was created with."""
    return Failure(
        cause="E-INTEGRITY",
        message=f"{uri} has changed since CreateModel (ETag {was}, now {found})",
    )


def _from_signal(number: int) -> Failure:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT"):
        return Failure(cause="E-SEGFAULT", message=f"the model process crashed with {name}")
    return Failure(cause="E-SIGNAL", message=f"the model process was ended by {name}")


def _with_place(failure: Failure, lines: Sequence[str]) -> Failure:
    for line in reversed(lines):
        if found := _PLACE.search(line):
            return dataclasses.replace(failure, file=found[1], line=int(found[2]))
    return failure
