"""`farero inspect` and `farero pack`: what is wrong with a model.tar.gz, and how to mend it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from farero.cli.deploying import pack_archive
from farero.cli.output import fail, options, result, say


def inspect(
    archive: Annotated[Path, typer.Argument(help="A model.tar.gz.")],
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Write a mended copy beside it.")] = False,
) -> None:
    """Print what is in a model.tar.gz and whether a container will accept it."""
    _must_exist(archive)
    raise typer.Exit(_container("inspect", str(archive), *(["--json"] if options.as_json else []))
                     if not fix else _mend(archive))  # fmt: skip


def pack(
    source: Annotated[Path, typer.Argument(help="A model file, a folder, or a tar to mend.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o")] = Path("model.tar.gz"),
    code: Annotated[Path | None, typer.Option(help="inference.py or a folder with it.")] = None,
    requirements: Annotated[Path | None, typer.Option(help="requirements.txt of the code.")] = None,
    sample: Annotated[
        Path | None, typer.Option(help="Rows of the model's input: .json, .csv or .npy.")
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="SOURCE is an archive: write a mended copy.")
    ] = False,
) -> None:
    """Make a model.tar.gz that SageMaker's containers accept."""
    _must_exist(source)
    if fix:
        raise typer.Exit(_mend(source))
    report = pack_archive(source, output, code=code, requirements=requirements, sample=sample)
    result(report)
    say(
        f"wrote {output} ({output.stat().st_size / 1e6:.2f} MB, {report.get('framework') or 'unknown framework'})"
    )
    say(f"next: farero deploy {output}")


def _mend(archive: Path) -> int:
    target = archive.with_name(
        archive.name.removesuffix(".gz").removesuffix(".tar") + "-fixed.tar.gz"
    )
    code = _container("mend", str(archive), str(target))
    if code == 0:
        say(f"next: farero deploy {target}")
    return code


def _container(*argv: str) -> int:
    return subprocess.run([sys.executable, "-m", "farero_container", *argv], check=False).returncode


def _must_exist(path: Path) -> None:
    if not path.exists():
        fail("E-FILE", f"{path} does not exist", where=str(Path.cwd()), status=2)
