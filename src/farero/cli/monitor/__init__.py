"""`farero monitor`: a baseline, runs, schedules, labels. The analyzer is a child process; files lie in S3."""

from __future__ import annotations

import typer

from farero.cli.monitor import adding, baselines, clarify, labels, looking, quality, runs, schedules

app = typer.Typer(no_args_is_help=True, help="Compare what was captured with the training data.")
for command in (
    baselines.baseline, runs.run, labels.label, quality.quality, clarify.bias, clarify.explain,
    looking.show, looking.report, looking.ls, adding.add, schedules.stop, schedules.start, schedules.rm,
):  # fmt: skip
    app.command()(command)
