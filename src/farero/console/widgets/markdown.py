"""Markdown as text widgets have it, read into plain parts. Nothing of it is ever HTML.

Known are headings, paragraphs, lists, quotes, rules, tables, code, bold, italics, links and AWS's buttons. Everything
else, tags included, stays the text it is. Links lead to http and https alone. Reading takes time that grows with the
text and no faster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

#: More than this is cut off.
LONGEST = 50_000
_HEADING = re.compile(r"(#{1,6})[ \t]+(.*)")
_BULLET = re.compile(r"[ \t]{0,12}(?:[-*+]|(\d{1,9})[.)])[ \t]+(.*)")
_RULE = re.compile(r"[ ]{0,3}(?:-{3,}|\*{3,}|_{3,})[ \t]*")
_DASHES = frozenset(" |:-")
_INLINE = re.compile(
    r"`(?P<code>[^`\n]{1,2000})`"
    r"|\*\*(?P<bold>[^*\n]{1,2000})\*\*|__(?P<bold2>[^_\n]{1,2000})__"
    r"|(?<![\w*])\*(?P<slant>[^*\s][^*\n]{0,500})\*(?!\w)|(?<!\w)_(?P<slant2>[^_\s][^_\n]{0,500})_(?!\w)"
    r"|!?\[(?P<text>[^\[\]\n]{0,500})\]\((?P<address>[^()\s]{1,2000})\)"
)


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text in one style."""

    text: str
    #: "", "bold", "slant", "code", "link" or "button".
    style: str = ""
    #: Where a link leads.
    address: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, paragraph, item, quote, rule, row of a table or piece of code."""

    #: "heading", "text", "item", "number", "quote", "rule", "code", "head" or "row".
    kind: str
    #: One list of spans a cell; everything but tables has one cell.
    cells: list[list[Span]] = field(default_factory=list[list[Span]])
    #: Of a heading 1 to 6, of a numbered item its number.
    level: int = 0


def read(text: str) -> list[Block]:
    """Return the blocks of a text, in order."""
    lines = text[:LONGEST].replace("\r\n", "\n").replace("\t", "    ").split("\n")
    blocks: list[Block] = []
    waiting: list[str] = []

    def flush() -> None:
        if waiting:
            blocks.append(Block("text", [spans(" ".join(waiting))]))
            waiting.clear()

    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        bare = line.strip()
        if bare.startswith("```"):
            flush()
            inside: list[str] = []
            while at < len(lines) and not lines[at].strip().startswith("```"):
                inside.append(lines[at])
                at += 1
            at += 1
            blocks.append(Block("code", [[Span("\n".join(inside), "code")]]))
        elif found := _block(line):
            flush()
            blocks.append(found)
        elif "|" in bare and at < len(lines) and "-" in lines[at] and _DASHES.issuperset(lines[at]):
            flush()
            blocks.append(_row("head", bare))
            at += 1
            while at < len(lines) and "|" in lines[at]:
                blocks.append(_row("row", lines[at].strip()))
                at += 1
        elif bare:
            waiting.append(bare)
        else:
            flush()
    flush()
    return blocks


def spans(text: str) -> list[Span]:
    """Return a line in its styles."""
    return [one for one in _spans(text) if one.text]


def safe_address(address: str) -> str:
    """Return an address if it is http or https with a host, else ""."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    is_plain = all(sign > " " and sign not in "\"'<>\\`\x7f" for sign in address)
    return address if is_plain and parts.scheme in ("http", "https") and parts.hostname else ""


def _block(line: str) -> Block | None:
    bare = line.strip()
    if _RULE.fullmatch(line):
        return Block("rule")
    if found := _HEADING.fullmatch(bare):
        text = found[2].rstrip("# ")
        return Block("heading", [spans(text)], len(found[1]))
    if found := _BULLET.fullmatch(line):
        kind = "number" if found[1] else "item"
        return Block(kind, [spans(found[2])], int(found[1] or 0))
    if bare.startswith(">"):
        return Block("quote", [spans(bare.lstrip("> "))])
    return None


def _row(kind: str, line: str) -> Block:
    cells = line.removeprefix("|").removesuffix("|").split("|")
    return Block(kind, [spans(cell.strip()) for cell in cells[:50]])


def _spans(text: str) -> Iterator[Span]:
    done = 0
    for found in _INLINE.finditer(text):
        yield Span(text[done : found.start()])
        done = found.end()
        if found["code"]:
            yield Span(found["code"], "code")
        elif bold := found["bold"] or found["bold2"]:
            yield Span(bold, "bold")
        elif slant := found["slant"] or found["slant2"]:
            yield Span(slant, "slant")
        elif (address := safe_address(found["address"])) and not found[0].startswith("!"):
            yield _link(found["text"], address)
        else:
            yield Span(found[0])
    yield Span(text[done:])


def _link(text: str, address: str) -> Span:
    if text.startswith("button:"):
        return Span(
            text.removeprefix("button:").removeprefix("primary:") or address, "button", address
        )
    return Span(text or address, "link", address)
