"""`farero env` and `farero run`: the variables that make AWS code reach Farero instead of AWS."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farero.cli.output import INTERRUPTED, WRONG_USAGE, fail, options, result
from farero.cli.session import owner_key, settings
from farero.shim import shim_dir

if TYPE_CHECKING:
    from collections.abc import Sequence

PROFILE = "farero"
#: What would win over AWS_PROFILE (botocore looks at the environment's keys first).
IN_THE_WAY = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class Shell(StrEnum):
    """Shells whose syntax we print."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"
    powershell = "powershell"


def exports() -> dict[str, str]:
    """Return the variables and their values."""
    others = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    shim = str(shim_dir())
    paths = [shim, *[p for p in others if p != shim]]
    return {
        "AWS_ENDPOINT_URL": settings().url,
        "AWS_PROFILE": options.profile or PROFILE,
        "AWS_REGION": settings().region,
        "AWS_DEFAULT_REGION": settings().region,
        # Else botocore asks `stream-localhost` for a live tail of logs, which no resolver knows.
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "FARERO_SHIM": os.environ.get("FARERO_SHIM", "1"),
        "PYTHONPATH": os.pathsep.join(paths),
    }


def env(
    shell: Annotated[Shell, typer.Option(help="Syntax to print.")] = Shell.bash,
    *,
    unset: Annotated[bool, typer.Option("--unset", help="Print what undoes it.")] = False,
) -> None:
    """Print the exports for this shell: eval "$(farero env)"."""
    owner_key()
    values = exports()
    stale = [name for name in IN_THE_WAY if name in os.environ]
    if options.as_json:
        result({"set": {} if unset else values, "unset": list(values) if unset else stale})
        return
    lines = [_unset(shell, name) for name in (values if unset else stale)]
    if unset and (own := _own_pythonpath()):
        lines.append(_set(shell, "PYTHONPATH", own))
    if not unset:
        lines += [_set(shell, name, value) for name, value in values.items()]
        lines.append(_comment(shell))
    sys.stdout.write("\n".join(lines) + "\n")


def _own_pythonpath() -> str:
    """The user's part of PYTHONPATH, which `--unset` leaves as it was."""
    parts = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(p for p in parts if p and p != str(shim_dir()))


def _set(shell: Shell, name: str, value: str) -> str:
    if shell is Shell.fish:
        return f"set -gx {name} {shlex.quote(value)};"
    if shell is Shell.powershell:
        return f"$env:{name} = '" + value.replace("'", "''") + "'"
    return f"export {name}={shlex.quote(value)}"


def _unset(shell: Shell, name: str) -> str:
    if shell is Shell.fish:
        return f"set -e {name};"
    if shell is Shell.powershell:
        return f"Remove-Item Env:{name} -ErrorAction SilentlyContinue"
    return f"unset {name}"


def _comment(shell: Shell) -> str:
    how = {
        Shell.fish: "farero env --shell fish | source",
        Shell.powershell: "farero env --shell powershell | Invoke-Expression",
    }.get(shell, 'eval "$(farero env)"')
    return f"# Run this to use it:  {how}"


def run(
    command: Annotated[
        list[str], typer.Argument(help="A script, a notebook, or a command with its arguments.")
    ],
) -> None:
    """Run a script, notebook or command with AWS's variables pointing at Farero."""
    owner_key()
    environ = {k: v for k, v in os.environ.items() if k not in IN_THE_WAY} | exports()
    try:
        process = subprocess.Popen(_argv(command), env=environ)
    except OSError as error:
        fail("E-COMMAND", f"cannot run '{command[0]}': {error.strerror}", where=str(Path.cwd()),
             fix="farero run SCRIPT.py, or a command that is on PATH", status=WRONG_USAGE)  # fmt: skip
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(code if code >= 0 else 128 - code)


def _argv(command: Sequence[str]) -> list[str]:
    first = Path(command[0])
    if first.suffix == ".py":
        _must_exist(first)
        return [_python(), *command]
    if first.suffix == ".ipynb":
        _must_exist(first)
        _must_have_jupyter()
        return [
            _python(), "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute",
            "--stdout", *command,
        ]  # fmt: skip
    return list(command)


def _must_have_jupyter() -> None:
    probe = [_python(), "-c", "import nbconvert, jupyter_core"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        fail("E-JUPYTER", "running a notebook needs Jupyter, which is not installed",
             where=_python(), fix=f"{_python()} -m pip install jupyter")  # fmt: skip


def _must_exist(path: Path) -> None:
    if not path.exists():
        fail("E-FILE", f"{path} does not exist", where=str(Path.cwd()),
             fix="give a path that exists: ls", status=WRONG_USAGE)  # fmt: skip


def _python() -> str:
    """The user's own Python: that of the active virtual environment, else the one on PATH."""
    active = os.environ.get("VIRTUAL_ENV")
    if active:
        return str(Path(active) / "bin" / "python")
    return sys.executable
