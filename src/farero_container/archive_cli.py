"""`unpack`, `inspect`, `pack` and `mend` as programs: one JSON line at the end says how it went."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from farero_container import archive
from farero_container.contract import FAILED, OK, StartUpError


def main(argv: list[str]) -> int:
    """Run one of the four; 0 if it went well, else 1 with the cause as JSON."""
    options = _parser().parse_args(argv)
    try:
        return options.run(options)
    except StartUpError as error:
        return _tell_failure(error.cause, error.message, error.fix)
    except OSError as error:
        return _tell_failure("E-DISK", f"{error.filename or ''}: {error.strerror or error}", "")


def _unpack(options: argparse.Namespace) -> int:
    print(json.dumps(asdict(archive.unpack(options.archive, options.target))))
    return OK


def _tell_failure(cause: str, message: str, fix: str) -> int:
    print(json.dumps({"cause": cause, "message": message, "fix": fix}))
    return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m farero_container")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("unpack", help="unpack an archive into a new folder")
    command.add_argument("archive", type=Path)
    command.add_argument("target", type=Path)
    command.set_defaults(run=_unpack)
    return parser
