"""What a requirements.txt asks for, whether that is there already, and which line pip complains about.

The file format is pip's ("Requirements File Format"); names and versions follow the packaging specifications, read
with the copy of `packaging` that pip carries, so that no dependency is added.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.utils import NormalizedName

_COMMENT = re.compile(r"(^|\s+)#.*$")
_INCLUDE = re.compile(r"^(?:-r|-c|--requirement|--constraint)[=\s]*(\S+)$")
#: How pip names a line: in a chain of requirements, and of the file itself.
_CHAINED = re.compile(r"-r (?P<path>.+?) \(line (?P<number>\d+)\)")
_DIRECT = re.compile(r"\(from line (?P<number>\d+) of (?P<path>.+?)\)")
#: Where pip names the package, most telling first.
_NAMES = (
    re.compile(r"No matching distribution found for ([A-Za-z0-9._-]+)"),
    re.compile(r"Could not find a version that satisfies the requirement ([A-Za-z0-9._-]+)"),
    re.compile(r"Cannot install (?:-r \S+ \(line \d+\) and )?([A-Za-z0-9._-]+)"),
    re.compile(
        r"Failed (?:building wheel|to build)(?: for)?(?: installable wheels for some)? '?([A-Za-z0-9._-]+)"
    ),
)
_STARTED = ("Collecting ", "Processing ", "Obtaining ", "Downloading ")
_LAST_OF_BUILD = re.compile(r"^\s*(\S.*)\n\s*\[end of output\]", re.MULTILINE)
_STEP = re.compile(r"^\s*\u00d7 (.+?)\.?$", re.MULTILINE)
_CONFLICT = re.compile(r"^The conflict is caused by:\n((?:[ \t]+.+\n?)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One requirement or option."""

    #: Of its first line in the file, from 1.
    number: int
    text: str
    #: What it asks for; None for an option, a URL or a path.
    wanted: Requirement | None
    #: The file, relative to the folder of the first one.
    file: str = "requirements.txt"


class BadInclude(Exception):  # noqa: N818 - said as it is
    """A line includes a file that is not there, or none of the user's; `line` is that line."""

    def __init__(self, line: Line, why: str) -> None:
        self.line = line
        super().__init__(why)


def read(path: Path) -> list[Line]:
    """Return the lines that mean something, those of included files after the line that includes them.

    Comments go, continued lines are joined. Raises BadInclude.
    """
    lines: list[Line] = []
    _collect(path, path.parent.resolve(), lines, set())
    return lines


def fingerprint(lines: Sequence[Line], folder: Path) -> str:
    """Return what decides the result: the lines, and the content of what they name below `folder`."""
    parts: list[str] = []
    for line in lines:
        parts.append(line.text)
        # A line that pip takes for a path: it begins with one, perhaps after -e, and extras may follow.
        name = re.sub(r"^(-e|--editable)[=\s]+", "", line.text).partition("[")[0].strip()
        if line.wanted is None and not _INCLUDE.match(line.text) and not name.startswith("-"):
            parts += _contents(folder / name)
    return "\n".join(parts)


def is_editable(line: Line) -> bool:
    """Say whether the line has pip point to a folder instead of copying it."""
    return re.match(r"(-e|--editable)[=\s]", line.text) is not None


def are_satisfied(lines: Sequence[Line], search: Sequence[str]) -> bool:
    """Say whether every line is met by a distribution in `search`; no for what cannot be told cheaply.

    search: folders as in sys.path.
    """
    versions = {
        canonicalize_name(one.metadata["Name"]): one.version
        for one in metadata.distributions(path=list(search))
        if one.metadata["Name"]
    }
    return all(_is_met(line.wanted, versions) for line in lines)


def explain(lines: Sequence[Line], output: str, path: Path) -> tuple[Line | None, str]:
    """Return the line of `path` that pip's output blames, None if none can be told, and what pip says of it."""
    start = re.search(r"^ERROR: ", output, re.MULTILINE)
    errors = output[start.start() :] if start else ""
    blamed = (
        _blamed_by_number(lines, errors, path)
        or _blamed_by_name(lines, errors)
        or _last_started(lines, output, path)
    )
    return blamed, _message(lines, output, errors, path)


def _logical(text: str) -> Iterator[tuple[int, str]]:
    start, joined = 0, ""
    for number, raw in enumerate(text.splitlines(), 1):
        start = start or number
        if raw.endswith("\\") and not raw.lstrip().startswith("#"):
            joined += raw[:-1] + " "
            continue
        yield start, _COMMENT.sub("", joined + raw).strip()
        start, joined = 0, ""
    if joined:
        yield start, _COMMENT.sub("", joined).strip()


def canonicalize_name(name: str) -> NormalizedName:
    """Return a package's name as all its spellings are compared."""
    from pip._vendor.packaging import utils  # start-up time: few models bring requirements

    return utils.canonicalize_name(name)


def _wanted(line: str) -> Requirement | None:
    from pip._vendor.packaging.requirements import InvalidRequirement, Requirement

    try:
        # Options of one requirement (--hash=…) follow it after a blank.
        return Requirement(re.split(r"\s+--", line, maxsplit=1)[0])
    except InvalidRequirement:
        return None


def _collect(path: Path, folder: Path, lines: list[Line], seen: set[Path]) -> None:
    seen.add(path.resolve())
    file = os.path.relpath(path.resolve(), folder)
    for number, text in _logical(path.read_text(encoding="utf-8-sig", errors="replace")):
        if not text:
            continue
        line = Line(number=number, text=text, wanted=_wanted(text), file=file)
        lines.append(line)
        found = _INCLUDE.match(text)
        if found is None or found[1].startswith(("http://", "https://")):
            continue
        included = (path.parent / found[1].strip("'\"")).resolve()
        # pip runs with the platform's rights: it must quote no file in an error that the user did not bring.
        if not included.is_relative_to(folder):
            raise BadInclude(line, f"{found[1]} lies outside of the folder of requirements.txt")
        if not included.is_file():
            raise BadInclude(line, f"there is no file {found[1]} beside {file}")
        if included not in seen:
            _collect(included, folder, lines, seen)


def _contents(path: Path) -> Iterator[str]:
    if path.is_file():
        yield hashlib.sha256(path.read_bytes()).hexdigest()
    elif path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield f"{file.relative_to(path)} {hashlib.sha256(file.read_bytes()).hexdigest()}"


def _is_met(wanted: Requirement | None, versions: Mapping[NormalizedName, str]) -> bool:
    if wanted is None or wanted.url or wanted.extras:
        return False
    if wanted.marker is not None and not wanted.marker.evaluate():
        return True
    found = versions.get(canonicalize_name(wanted.name))
    return found is not None and wanted.specifier.contains(found, prereleases=True)


def _message(lines: Sequence[Line], output: str, errors: str, path: Path) -> str:
    """Choose what says most: pip starts with the telling error and ends with a general one."""
    if not errors:
        # pip before 25 tells of a build that failed in words of its own.
        what, why = _STEP.search(output), _LAST_OF_BUILD.search(output)
        if what and why:
            return f"{what[1]}: {why[1]}"
        return next((line for line in reversed(output.splitlines()) if line.strip()), "pip failed")
    said = errors.splitlines()[0].removeprefix("ERROR: ")
    if found := _CONFLICT.search(errors):
        said += " " + "; ".join(line.strip() for line in found[1].splitlines())
    elif "build" in said and (found := _LAST_OF_BUILD.search(output)):
        said += f": {found[1]}"

    def in_words(match: re.Match[str]) -> str:
        line = _at(lines, match, path)
        return line.text if line else match[0]

    return _CHAINED.sub(in_words, said)


def _blamed_by_number(lines: Sequence[Line], errors: str, path: Path) -> Line | None:
    found = _DIRECT.search(errors) or _CHAINED.search(errors)
    return _at(lines, found, path) if found else None


def _blamed_by_name(lines: Sequence[Line], errors: str) -> Line | None:
    for pattern in _NAMES:
        if found := pattern.search(errors):
            name = canonicalize_name(found[1])
            for line in lines:
                if line.wanted and canonicalize_name(line.wanted.name) == name:
                    return line
    return None


def _last_started(lines: Sequence[Line], output: str, path: Path) -> Line | None:
    for line in reversed(output.splitlines()):
        if line.startswith(_STARTED) and (found := _CHAINED.search(line)):
            return _at(lines, found, path)
    return None


def _at(lines: Sequence[Line], place: re.Match[str], path: Path) -> Line | None:
    """Return the line that pip means, be it in an included file."""
    file = os.path.relpath(os.path.realpath(path.parent / place["path"]), path.parent.resolve())
    number = int(place["number"])
    there = (line for line in reversed(lines) if line.file == file)
    return next((line for line in there if line.number <= number), None)
