"""AWS's two files of profiles: one section of them is ours, every other line stays as it is."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_HEADER = re.compile(r"\s*\[\s*(?P<name>[^\]]*?)\s*\]")
_OPTION = re.compile(r"(?P<name>[^\s=:#;\[][^=:]*?)\s*[=:]")


def put_section(text: str, section: str, values: Mapping[str, str | None]) -> str:
    """Return `text` with `values` in `[section]`; None takes an option away.

    Options of the section that are not named stay, as do comments, blank lines and all other sections.
    """
    lines = text.removesuffix("\n").split("\n") if text else []
    start = next((i for i, line in enumerate(lines) if _section(line) == section), None)
    if start is None:
        gap = [""] if lines and lines[-1].strip() else []
        return _joined([*lines, *gap, f"[{section}]", *_options(values)])
    end = next(
        (i for i in range(start + 1, len(lines)) if _section(lines[i]) is not None), len(lines)
    )
    kept: list[str] = []
    is_ours = False
    for line in lines[start + 1 : end]:
        found = _OPTION.match(line)
        if found:
            is_ours = found["name"].lower() in values
        elif not line[:1].isspace():
            is_ours = False  # an indented line goes on with the option above it
        if not is_ours:
            kept.append(line)
    tail: list[str] = []
    while kept and not kept[-1].strip():
        tail.append(kept.pop())
    return _joined([*lines[: start + 1], *_options(values), *kept, *tail, *lines[end:]])


def update_file(path: Path, section: str, values: Mapping[str, str | None]) -> bool:
    """Put a section into a file that only its owner may read; say whether anything had to be written."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    new = put_section(text, section, values)
    if new == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_secret(path, new)
    return True


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all; a link stays a link."""
    real = path.resolve()
    partial = real.with_name(f".{real.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(real)


def _section(line: str) -> str | None:
    found = _HEADER.match(line)
    return " ".join(found["name"].split()) if found else None


def _options(values: Mapping[str, str | None]) -> list[str]:
    return [f"{name} = {value}" for name, value in values.items() if value is not None]


def _joined(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
