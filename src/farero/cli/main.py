"""The `farero` command: parse, one call, print. Flags that every command takes may stand anywhere.

Only the module of the command that is asked for is imported; help and typing mistakes need them all.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from farero.cli.output import INTERRUPTED, options

if TYPE_CHECKING:
    from collections.abc import Sequence

FLAGS = {"--json", "--quiet", "-q", "--yes", "-y", "--aws"}
VALUES = {"--profile", "--region", "--data-dir"}
#: Name → module in this folder; its `app` holds the commands.
GROUPS = {
    "capture": "capturing",
    "alarm": "alarms",
    "dashboard": "dashboards",
    "monitor": "monitor",
}
#: Name → module in this folder and function, in the order of the help.
COMMANDS = {
    "up": "server.up", "down": "server.down", "status": "server.status", "doctor": "server.doctor",
    "env": "environment.env", "deploy": "deploying.deploy", "invoke": "deploying.invoke",
    "ls": "looking.ls", "show": "looking.show", "rm": "looking.rm", "logs": "looking.logs",
    "inspect": "archives.inspect", "pack": "archives.pack", "try": "story.try_it", "open": "opening.open_console",
    "run": "environment.run",
}  # fmt: skip
#: What follows these is somebody else's command line.
_FOREIGN = {"ignore_unknown_options": True, "allow_interspersed_args": False}


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


def build(only: str | None = None) -> typer.Typer:
    """Return the command line; only: name of the one command or group that is needed, None for all."""
    app = typer.Typer(
        cls=AnyOrder,
        callback=common,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="Put a trained model into production and keep watch over it, on your own machine.",
        epilog="First steps: farero up -d, then farero try. Exit codes: 0 ok, 1 failed, 2 wrong usage, "
        "3 not running, 4 denied, 130 interrupted.",
    )
    for name in [only] if only else (*GROUPS, *COMMANDS):
        if name in GROUPS:
            app.add_typer(_find(f"{GROUPS[name]}.app"), name=name)
        else:
            foreign = _FOREIGN if name == "run" else None
            app.command(name, context_settings=foreign)(_find(COMMANDS[name]))
    return app


def _find(place: str) -> Any:
    module, _, attribute = place.partition(".")
    return getattr(import_module(f"farero.cli.{module}"), attribute)


def _command(args: Sequence[str]) -> str | None:
    """Return the command or group that `args` begin with after the common flags, None if there is none of that name."""
    words = iter(args)
    for word in words:
        if word in VALUES:
            next(words, None)
        elif not word.startswith("-"):
            return word if word in GROUPS or word in COMMANDS else None
    return None


def main() -> None:
    """Run the command line; never shows a traceback for Ctrl-C."""
    try:
        build(_command(common_first(sys.argv[1:])))()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
