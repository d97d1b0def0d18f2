"""What `python -m farero_monitor quality` can be asked; the command itself is imported when it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farero_monitor.words import of_environment

if TYPE_CHECKING:
    import argparse

    from farero_monitor.quality.sources import Problem

#: The problem types by their short names.
SHORT: dict[str, Problem] = {
    "regression": "Regression",
    "binary": "BinaryClassification",
    "multiclass": "MulticlassClassification",
}


def add_to(commands: Any) -> None:
    """Add the command to a parser's commands."""
    told = "how good the model is, from predictions and labels"
    command: argparse.ArgumentParser = commands.add_parser("quality", help=told, description=told)
    command.add_argument(
        "data",
        type=Path,
        help="predictions: a file or a folder; captures, CSV, JSON lines, Parquet",
    )
    command.add_argument(
        "--truth", type=Path,
        help="labels, where they are not in the data: SageMaker's ground truth, or a table with an id",
    )  # fmt: skip
    command.add_argument(
        "--problem", choices=[*SHORT, *SHORT.values()], help="a baseline tells it",
    )  # fmt: skip
    command.add_argument(
        "--prediction",
        default="",
        metavar="COLUMN",
        help="name, index or JSONPath; of captures 0 by default",
    )
    command.add_argument(
        "--probability",
        default="",
        metavar="COLUMN",
        help="of the positive label; of several classes all, as 0-2 or CLASS=COLUMN,CLASS=COLUMN",
    )
    command.add_argument(
        "--threshold", type=float, default=0.5, help="above it a probability is positive"
    )
    command.add_argument(
        "--label", default="", metavar="COLUMN", help="the true one; `label` by default"
    )
    command.add_argument(
        "--id", default="id", metavar="COLUMN", help="in both tables; `id` by default"
    )
    command.add_argument(
        "--positive", default="", metavar="LABEL", help="where the labels do not tell it"
    )
    command.add_argument(
        "--baseline", "-b", type=Path, help="folder or constraints.json to compare with"
    )
    command.add_argument("--output", "-o", type=Path, help="folder for the files")
    command.add_argument(
        "--format", choices=["csv", "parquet", "json", "capture"], help="of the data"
    )
    command.add_argument("--no-header", action="store_true", help="CSV without names")
    command.add_argument("--script", type=Path, help="with a preprocess_handler, for captures")
    command.add_argument("--since", default="", metavar="TIME", help="ISO 8601 in UTC, of captures")
    command.add_argument("--until", default="", metavar="TIME", help="the same")
    command.add_argument(
        "--history",
        type=Path,
        metavar="FOLDER",
        help="outputs of earlier windows: the page draws them",
    )
    command.add_argument(
        "--language", choices=["en", "es"], default=of_environment(os.environ),
        help="of the page; by default that of LANG",
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="print the report instead of a table")
    command.set_defaults(do=_run)


def _run(asked: argparse.Namespace) -> int:
    # a run of another kind takes less time than these imports
    from farero_monitor.quality.command import run

    return run(asked)
