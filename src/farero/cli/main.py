"""The `farero` command: parse, one call, print. Flags that every command takes may stand anywhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from farero.cli import (
    alarms,
    archives,
    capturing,
    dashboards,
    deploying,
    environment,
    looking,
    monitor,
    opening,
    server,
    story,
)
from farero.cli.output import INTERRUPTED, options

if TYPE_CHECKING:
    from collections.abc import Sequence

FLAGS = {"--json", "--quiet", "-q", "--yes", "-y", "--aws"}
VALUES = {"--profile", "--region", "--data-dir"}


class AnyOrder(TyperGroup):
    """Moves the common flags in front of the command, so that `farero ls --json` is `farero --json ls`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # pyright: ignore[reportIncompatibleMethodOverride] - typer names its context differently
        """Parse after sorting."""
        return super().parse_args(ctx, common_first(args))


def common_first(args: Sequence[str]) -> list[str]:
    """Return args with the common flags first; what follows `run` or `--` belongs to somebody else."""
    front: list[str] = []
    rest: list[str] = []
    queue = list(args)
    while queue:
        arg = queue.pop(0)
        if arg == "--" or (rest and rest[0] == "run" and len(rest) > 1):
            rest += [arg, *queue]
            break
        if arg in FLAGS or (arg.split("=", 1)[0] in VALUES and "=" in arg):
            front.append(arg)
        elif arg in VALUES and queue:
            front += [arg, queue.pop(0)]
        else:
            rest.append(arg)
    return front + rest


app = typer.Typer(
    cls=AnyOrder,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Put a trained model into production and keep watch over it, on your own machine.",
    epilog="First steps: farero up -d, then farero try. Exit codes: 0 ok, 1 failed, 2 wrong usage, "
    "3 not running, 4 denied, 130 interrupted.",
)
app.add_typer(capturing.app, name="capture")
app.add_typer(alarms.app, name="alarm")
app.add_typer(dashboards.app, name="dashboard")
app.add_typer(monitor.app, name="monitor")
for command in (
    server.up, server.down, server.status, server.doctor,
    environment.env, deploying.deploy, deploying.invoke,
    looking.ls, looking.show, looking.rm, looking.logs,
    archives.inspect, archives.pack,
):  # fmt: skip
    app.command()(command)
app.command("try")(story.try_it)
app.command("open")(opening.open_console)
app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(
    environment.run
)


@app.callback()
def common(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Answer every question with yes.")
    ] = False,
    aws: Annotated[
        bool, typer.Option("--aws", help="Aim at AWS itself instead of Farero.")
    ] = False,
    profile: Annotated[str | None, typer.Option(help="AWS profile (with --aws).")] = None,
    region: Annotated[str | None, typer.Option(help="Region.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where Farero keeps its data.")] = None,
) -> None:
    """Take the flags that every command has."""
    options.as_json, options.quiet, options.yes, options.aws = as_json, quiet, yes, aws
    options.profile, options.region, options.data_dir = profile, region, data_dir


def main() -> None:
    """Run the command line; never shows a traceback for Ctrl-C."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
