"""`python -m farero_monitor`: a baseline, and a verdict over a window, from files."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from farero_monitor.ending import leave
from farero_monitor.errors import AnalysisError
from farero_monitor.quality import arguments as quality
from farero_monitor.words import of_environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from farero_monitor.workers import Workers


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 is fine, 1 found something critical, 2 could not be done."""
    asked = _parser().parse_args(arguments)
    try:
        return asked.do(asked)
    except AnalysisError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("farero_monitor", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="baseline|run|quality")
    baseline = commands.add_parser("baseline", help="statistics and constraints of training data")
    run = commands.add_parser("run", help="a verdict over a window, against a baseline")
    for command in (baseline, run):
        command.add_argument("data", type=Path, help="a file, or a folder of files")
        command.add_argument(
            "--format", choices=["csv", "parquet", "json", "capture"],
            help="of the data; told by the name of the file, and by the first line for .jsonl",
        )  # fmt: skip
        command.add_argument("--no-header", action="store_true", help="CSV without names")
        command.add_argument(
            "--missing", action="append", default=[], metavar="TEXT",
            help="a text that stands for a missing value, for instance NA; may be repeated",
        )  # fmt: skip
        command.add_argument("--script", type=Path, help="with a preprocess_handler")
        command.add_argument("--output", "-o", type=Path, help="folder for the files")
        command.add_argument("--workers", type=int, help="processes; by default one a core")
    baseline.add_argument("--target", metavar="COLUMN", help="with the true class or number")
    baseline.add_argument("--prediction", default="", metavar="COLUMN", help="told by the model")
    baseline.add_argument(
        "--probability", action="append", default=[], metavar="[CLASS=]COLUMN",
        help="told by the model; of more than two classes one for each, with its class",
    )  # fmt: skip
    baseline.set_defaults(do=_baseline)
    run.add_argument("--baseline", "-b", type=Path, required=True, help="folder with its files")
    run.add_argument("--since", default="", metavar="TIME", help="ISO 8601 in UTC, of captures")
    run.add_argument("--until", default="", metavar="TIME", help="the same")
    run.add_argument("--output-last", action="store_true", help="the target is the last column")
    run.add_argument("--keep", action="store_true", help="keep a profile beside each file")
    run.add_argument("--report", type=Path, help="write one HTML page")
    run.add_argument(
        "--history", type=Path, metavar="FOLDER",
        help="outputs of earlier windows: the report draws them, and a notice needs two of three",
    )  # fmt: skip
    run.add_argument(
        "--at-once", action="store_true", help="with --history: one window is enough for a notice"
    )
    run.add_argument(
        "--language", choices=["en", "es"], default=of_environment(os.environ),
        help="of the report; by default that of LANG",
    )  # fmt: skip
    run.set_defaults(do=_run)
    quality.add_to(commands)
    return parser


def _baseline(asked: argparse.Namespace) -> int:
    with _processes(asked) as pool:
        # while the others import what they need, this one does
        from farero_monitor import commands

        return commands.baseline(asked, pool)


def _run(asked: argparse.Namespace) -> int:
    with _processes(asked) as pool:
        from farero_monitor import commands

        return commands.run(asked, pool)


def _processes(asked: argparse.Namespace) -> AbstractContextManager[Workers | None]:
    """Start those that the data is worth; none yet where profiles are kept, as there may be nothing to read."""
    if getattr(asked, "keep", False):
        return nullcontext()
    from farero_monitor.beginning import load_arrow

    loading = None if asked.workers == 1 else load_arrow()
    from farero_monitor.workers import ahead

    if loading is not None:
        loading.join()  # what has threads is not forked
    return ahead(asked.data, asked.workers)


if __name__ == "__main__":
    leave(main())
