"""`unpack`, `inspect`, `pack` and `mend` as programs: one JSON line at the end says how it went."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from farero_container import archive, archive_packing
from farero_container.contract import FAILED, OK, StartUpError

#: Files of a longer list are counted only.
MAX_SHOWN = 40


def main(argv: list[str]) -> int:
    """Run one of the four; 0 if it went well, else 1 with the cause as JSON."""
    options = _parser().parse_args(argv)
    # As an exception, so that a half-filled folder is removed on the way out.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        return options.run(options)
    except StartUpError as error:
        if options.run is _inspect and not options.json:
            print(f"{error.cause}  {_printable(error.message)}\n         fix: {error.fix}")
            return FAILED
        return _tell_failure(error.cause, error.message, error.fix)
    except OSError as error:
        return _tell_failure("E-DISK", f"{error.filename or ''}: {error.strerror or error}", "")


def _unpack(options: argparse.Namespace) -> int:
    print(json.dumps(asdict(archive.unpack(options.archive, options.target))))
    return OK


def _inspect(options: argparse.Namespace) -> int:
    found = archive_packing.inspect(options.archive)
    if options.json:
        print(json.dumps(asdict(found)))
    else:
        print(_picture(options.archive, found))
    return OK if found.is_fit else FAILED


def _pack(options: argparse.Namespace) -> int:
    report = archive_packing.pack(
        options.source, options.out, code=options.code, requirements=options.requirements, sample=options.sample
    )  # fmt: skip
    print(json.dumps(asdict(report)))
    return OK


def _mend(options: argparse.Namespace) -> int:
    print(json.dumps(asdict(archive_packing.mend(options.archive, options.out))))
    return OK


def _picture(path: Path, found: archive_packing.Inspection) -> str:
    """Return the tree with a verdict per rule."""
    kind = found.framework or "framework unknown"
    lines = [f"{path.name}  {found.bytes:,} bytes  {kind}  sha256 {found.sha256[:16]}"]
    shown = sorted(found.files)[:MAX_SHOWN]
    lines += [f"  {found.files[name]:>14,}  {_printable(name)}" for name in shown]
    if len(found.files) > len(shown):
        lines.append(f"  and {len(found.files) - len(shown):,} more")
    for verdict in found.verdicts:
        lines.append(f"{verdict.level:<8} {verdict.rule}: {_printable(verdict.message)}")
        if verdict.fix:
            lines.append(f"         fix: {verdict.fix}")
    if not found.is_fit:
        lines.append("E-TAR-LAYOUT: the archive would not be served as it is")
    return "\n".join(lines)


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name)


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
    command = commands.add_parser(
        "inspect", help="show what an archive holds and what is wrong with it"
    )
    command.add_argument("archive", type=Path)
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=_inspect)
    command = commands.add_parser(
        "pack", help="make an archive from a model file, a folder or an archive"
    )
    command.add_argument("source", type=Path)
    command.add_argument("out", type=Path)
    command.add_argument("--code", type=Path)
    command.add_argument("--requirements", type=Path)
    command.add_argument("--sample", type=Path)
    command.set_defaults(run=_pack)
    command = commands.add_parser(
        "mend", help="write a copy of an archive with every file where it belongs"
    )
    command.add_argument("archive", type=Path)
    command.add_argument("out", type=Path)
    command.set_defaults(run=_mend)
    return parser
