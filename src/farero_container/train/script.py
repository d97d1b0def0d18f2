"""Script mode: unpack the user's code, run it with its hyperparameters as arguments, and say why it failed.

Facts: sagemaker-training-toolkit 4 (`entry_point`, `mapping.to_cmd_args`, `environment`). Output is the script's own,
unbuffered; SIGTERM is passed on; the exit code is the script's.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from farero_container import archive
from farero_container.contract import (
    OK,
    StartUpError,
    base_dir,
    model_dir,
    output_dir,
    write_failure,
)
from farero_container.train import channels, child, requirements
from farero_container.train.environment import Job, user_arguments, variables
from farero_container.train.run import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_MESSAGE_CHARS = 500
_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)')


def run() -> int:
    """Run the script that the hyperparameters name. Returns its exit code. Raises StartUpError."""
    job = Job.read(channels.hyperparameters())
    code = base_dir() / "code"
    _fetch(job, code)
    _check_program(job.program, code)
    requirements.install(code / "requirements.txt")
    for folder in (model_dir(), output_dir() / "data", output_dir() / "intermediate"):
        folder.mkdir(parents=True, exist_ok=True)
    argv = _command(job, code)
    print(f"Invoking script with the following command:\n\n{shlex.join(argv)}\n", flush=True)
    env = {
        **os.environ,
        **variables(job, code),
        "PYTHONPATH": _python_path(code),
        "PYTHONUNBUFFERED": "1",
    }
    exit_code, tail = child.run(argv, code, env)
    return OK if exit_code == 0 else _fail(exit_code, tail, argv, code)


def find_reason(stderr: str, code: Path) -> tuple[str, str, int | None]:
    """Return (message, file, line) of what ended a script: its last exception, else its last line."""
    lines = stderr.splitlines()
    frames = [(n, found) for n, line in enumerate(lines) if (found := _FRAME.match(line))]
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    if not frames:
        return last, "", None
    after = lines[frames[-1][0] + 1 :]
    message = next((line.strip() for line in after if line.strip() and not line[0].isspace()), last)
    first = max(
        (n for n, line in enumerate(lines) if line.startswith("Traceback (most")), default=0
    )
    for number, found in reversed(frames):
        path = _in_code(found["file"], code)
        if path and number >= first:
            return message, path, int(found["line"])
    return message, "", None


def _in_code(name: str, code: Path) -> str:
    path = (code / name).resolve()
    root = code.resolve()
    return (
        str(path.relative_to(root))
        if path.is_relative_to(root) and "site-packages" not in path.parts
        else ""
    )


def _fetch(job: Job, code: Path) -> None:
    """Put the user's code into `code`: an archive or a folder that the platform brought, or a local path."""
    local = job.submit_directory.removeprefix("file://")
    source = os.environ.get("FARERO_SOURCE_ARCHIVE", "") or (local if Path(local).exists() else "")
    if not source and code.is_dir():
        return
    if not source:
        raise StartUpError("E-CLIENT", f"the code at '{job.submit_directory}' was not brought to this container",
                           fix="Set the hyperparameter sagemaker_submit_directory to an s3:// URI.")  # fmt: skip
    if Path(source).is_dir():
        if Path(source).resolve() != code.resolve():
            shutil.rmtree(code, ignore_errors=True)
            shutil.copytree(source, code)
        return
    shutil.rmtree(code, ignore_errors=True)
    try:
        archive.unpack(Path(source), code)
    except archive.BadArchive as error:
        raise StartUpError(
            "E-ARCHIVE", f"sourcedir.tar.gz: {error.cause}: {error.message}", fix=error.fix
        ) from error
    except OSError as error:
        raise StartUpError(
            "E-DISK", f"sourcedir.tar.gz could not be unpacked: {error.strerror or error}"
        ) from error


def _check_program(program: str, code: Path) -> None:
    path = code / program
    if path.is_file() and path.resolve().is_relative_to(code.resolve()):
        return
    held = sorted(str(p.relative_to(code)) for p in code.rglob("*") if p.is_file())
    raise StartUpError(
        "E-CLIENT", f"No such file: '{program}' in sourcedir.tar.gz, which holds {', '.join(held[:10])}",
        fix="entry_point is a path within source_dir.",
    )  # fmt: skip


def _command(job: Job, code: Path) -> list[str]:
    arguments = user_arguments(job.hyperparameters)
    if job.program.endswith(".py"):
        return [sys.executable, "-u", job.program, *arguments]
    if job.program.endswith(".sh"):
        return [shutil.which("bash") or "/bin/sh", job.program, *arguments]
    (code / job.program).chmod(0o755)
    return [str(code / job.program), *arguments]


def _python_path(code: Path) -> str:
    found = [str(code), os.environ.get(requirements.FOLDER, ""), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(filter(None, found))


def _fail(exit_code: int, tail: str, argv: Sequence[str], code: Path) -> int:
    message, file, line = find_reason(tail, code)
    if exit_code < 0:
        message = message or f"killed by {signal.Signals(-exit_code).name}"
        exit_code = 128 - exit_code
    message = message[:MAX_MESSAGE_CHARS]
    command = shlex.join(argv)[:MAX_MESSAGE_CHARS]
    write_text(
        f'AlgorithmError: ExecuteUserScriptError:\nExitCode {exit_code}\nErrorMessage "{message}"\n'
        f'Command "{command}", exit code: {exit_code}'
    )
    write_failure(
        "E-SCRIPT", message or f"the script ended with exit code {exit_code}", file=file, line=line
    )
    return exit_code
