"""What one header of a tar may say: names that stay below their folder, links within the archive, short records.

Pure: works on names and bytes. Facts: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import re
import tarfile
import unicodedata

from farero_container.contract import StartUpError

#: Linux's own limits of one name and, less generous, of a path.
MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_DEPTH = 255, 2048, 64
#: Records of one extended header; archivers write a dozen.
MAX_PAX_RECORDS = 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
SAFE = "Pack regular files and folders only, with relative names: farero pack DIR."
#: Types that are refused by name.
SPECIAL = {
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


class BadArchive(StartUpError):  # noqa: N818 - the archive's fault
    """The archive cannot be taken; nothing of it was kept."""


def clean(name: str) -> tuple[str, ...]:
    """Return the parts of a member's name, without `.`. Raises BadArchive if it could leave its folder."""
    if name.startswith("/"):
        raise unsafe(f"'{shown(name)}' is an absolute path")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise unsafe(f"'{shown(name)}' leaves its folder by '..'")
    if _CONTROL.search(name):
        raise unsafe(f"'{shown(name)}' has control characters in its name")
    encoded = [len(part.encode("utf-8", "surrogateescape")) for part in parts]
    if max(encoded, default=0) > MAX_NAME_BYTES or sum(encoded) + len(parts) > MAX_PATH_BYTES:
        raise unsafe(f"'{shown(name)}' is too long a name")
    if len(parts) > MAX_DEPTH:
        raise unsafe(f"'{shown(name)}' lies deeper than {MAX_DEPTH} folders")
    return parts


def link_target(path: tuple[str, ...], link: str, *, is_symbolic: bool) -> tuple[str, ...]:
    """Return the member a link names: from its own folder if symbolic, else from the archive's root."""
    if link.startswith("/"):
        raise unsafe(f"'{shown('/'.join(path))}' is a link out of the archive, to '{shown(link)}'")
    parts = list(path[:-1]) if is_symbolic else []
    for part in link.split("/"):
        if part == ".." and not parts:
            raise unsafe(
                f"'{shown('/'.join(path))}' is a link out of the archive, to '{shown(link)}'"
            )
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return tuple(parts)


def kind_of(header: tarfile.TarInfo) -> str:
    """Return `file`, `folder` or `link`, "" for what may not be in an archive."""
    if header.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE):
        return "file"
    if header.type == tarfile.DIRTYPE:
        return "folder"
    return "link" if header.type in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""


def pax_records(body: bytes) -> dict[str, str]:
    """Return the records that change what a member is called or how long it is."""
    records: dict[str, str] = {}
    body = body.rstrip(b"\0")
    at = count = 0
    while at < len(body):
        count += 1
        blank = body.find(b" ", at, at + 20)
        length = decimal(body[at:blank].decode("ascii", "replace")) if blank > at else 0
        record = body[blank + 1 : at + length]
        if count > MAX_PAX_RECORDS or not record.endswith(b"\n") or b"=" not in record:
            raise unsafe("an extended header is not readable")
        key, _, value = record[:-1].decode("utf-8", "surrogateescape").partition("=")
        if key.startswith("GNU.sparse"):
            raise unsafe("a sparse file")
        if key in ("path", "linkpath", "size"):
            records[key] = value
        at += length
    return records


def decimal(text: str) -> int:
    """Return the number. Raises BadArchive if it is none that a file can have as its size."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise unsafe(f"'{shown(text)}' is no size")
    return int(text)


def folded(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the form in which file systems that ignore case or compose accents compare names."""
    return tuple(unicodedata.normalize("NFC", part).casefold() for part in path)


def shown(name: str) -> str:
    """Return a name as one short printable line."""
    text = name.encode("utf-8", "backslashreplace").decode()
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if len(text) <= 100 else f"{text[:60]}…{text[-35:]}"


def unsafe(why: str) -> BadArchive:
    """Return the error for a member that could do harm."""
    return BadArchive("E-TAR-UNSAFE", why, fix=SAFE)
