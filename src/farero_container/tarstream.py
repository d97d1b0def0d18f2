"""Read a tar.gz from strangers, member by member: names checked, sizes limited, nothing written.

Only regular files, directories and links within the archive come out; anything else is refused. GNU long names and PAX
`path`, `linkpath` and `size` are understood, other PAX records are passed over, as are macOS's `._*` files.
"""

from __future__ import annotations

import contextlib
import gzip
import tarfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from farero_container.tarheaders import (
    SAFE,
    SPECIAL,
    BadArchive,
    clean,
    decimal,
    folded,
    kind_of,
    link_target,
    pax_records,
    shown,
    unsafe,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

BLOCK = 512
CHUNK = 1 << 20
MAX_HEADER_BYTES = 1 << 20
_PACK = "Pack it with: farero pack DIR, or: tar -czf model.tar.gz -C DIR ."
_AGAIN = "The upload broke off or the file was cut; pack and upload it again."
_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"\x80": "a pickle",
    b"\x89HDF": "an HDF5 file",
    b"<": "a text in XML or HTML",
    b"{": "a JSON text",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much an archive may hold."""

    #: Times its own size that an archive may hold, beyond `ratio_from_bytes`; holds for what was read so far too.
    ratio: int = 200
    ratio_from_bytes: int = 100_000_000
    total_bytes: int = 20_000_000_000
    #: Files, folders and links together.
    files: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member, with a name that is safe to create below a folder."""

    path: tuple[str, ...]
    #: `file`, `folder` or `link`.
    kind: str
    size_bytes: int = 0
    is_executable: bool = False
    #: The member that a link stands for.
    target: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The path in one piece."""
        return "/".join(self.path)


class TarStream:
    """An open archive. `entries` yields its members; `chunks` reads the one that came last."""

    def __init__(self, archive: Path, limits: Limits, *, allow_plain: bool = False) -> None:
        self._archive = archive
        self._limits = limits
        self._allow_plain = allow_plain
        self._size = archive.stat().st_size
        self._most_bytes = max(limits.ratio_from_bytes, limits.ratio * self._size)
        # What may come out before anything went in to match it: a model may well begin with zeros.
        self._spare_bytes = max(limits.ratio_from_bytes, self._most_bytes // 10)
        self._position = 0
        self._left = 0
        self._is_gzip = True
        self._file: IO[bytes]
        self._stream: IO[bytes] | gzip.GzipFile
        #: Comparable form of each name → (the name itself, its kind).
        self._seen: dict[tuple[str, ...], tuple[tuple[str, ...], str]] = {}
        #: The folder of the member before, whose own folders need no second look.
        self._last_folder: tuple[str, ...] = ()

    def entries(self) -> Generator[Entry]:
        """Yield the members in their order. Raises BadArchive."""
        with (
            self._archive.open("rb") as self._file,
            contextlib.closing(self._open()) as self._stream,
        ):
            found = False
            for header, name, link in self._headers():
                found = True
                entry = self._entry(header, name, link)
                has_data = header.type in tarfile.REGULAR_TYPES
                self._left = header.size if has_data else 0
                if entry is not None:
                    yield entry
                for _ in self.chunks():
                    pass
                self._take(-header.size % BLOCK if has_data else 0)
            if not found:
                raise BadArchive("E-TAR-EMPTY", "the archive holds no files", fix=_PACK)
            self._drain()

    def chunks(self) -> Iterator[bytes]:
        """Yield what is left of the current member's content."""
        while self._left:
            chunk = self._take(min(self._left, CHUNK))
            self._left -= len(chunk)
            yield chunk

    def _open(self) -> IO[bytes] | gzip.GzipFile:
        magic = self._file.read(BLOCK)
        self._file.seek(0)
        if not magic:
            raise BadArchive("E-TAR-EMPTY", "the archive is a file of 0 bytes", fix=_PACK)
        if magic.startswith(b"\x1f\x8b"):
            return gzip.GzipFile(fileobj=self._file, mode="rb")
        self._is_gzip = False
        is_tar = magic[257:262] == b"ustar"
        if is_tar and self._allow_plain:
            return self._file
        found = next((what for sign, what in _OTHER_FORMATS.items() if magic.startswith(sign)), "")
        if is_tar:
            found = "a tar file without compression, which SageMaker does not take"
        raise BadArchive(
            "E-TAR-GZIP", f"the archive is not gzip{': it is ' + found if found else ''}", fix=_PACK
        )

    def _headers(self) -> Iterator[tuple[tarfile.TarInfo, str, str]]:
        """Yield the members' headers with the full names that extended headers before them gave."""
        longer: dict[str, str] = {}
        count = 0
        while (header := self._header()) is not None:
            count += 1
            if count > 2 * self._limits.files:
                raise self._bomb(f"the archive holds more than {self._limits.files:,} files")
            if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
                key = "path" if header.type == tarfile.GNUTYPE_LONGNAME else "linkpath"
                longer[key] = self._body(header).rstrip(b"\0").decode("utf-8", "surrogateescape")
            elif header.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                longer |= pax_records(self._body(header))
            elif header.type == tarfile.XGLTYPE:
                if pax_records(self._body(header)):
                    raise unsafe("a global header renames its members")
            else:
                if "size" in longer:
                    header.size = decimal(longer["size"])
                yield (
                    header,
                    longer.get("path", header.name),
                    longer.get("linkpath", header.linkname),
                )
                longer = {}
        if longer:
            raise self._damaged("a long name has no file")

    def _header(self) -> tarfile.TarInfo | None:
        at = self._position
        block = self._read(BLOCK)
        if not block.strip(b"\0") and (block or self._is_gzip):
            return None
        if len(block) < BLOCK:
            raise self._damaged("it ends early")
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError, OverflowError) as error:
            if at == 0:
                raise BadArchive(
                    "E-TAR-GZIP", "what the gzip file holds is not a tar archive", fix=_PACK
                ) from error
            raise self._damaged("a header is not readable") from error
        if header.size < 0:
            raise self._damaged("a size is negative")
        return header

    def _body(self, header: tarfile.TarInfo) -> bytes:
        """Read an extended header."""
        if header.size > MAX_HEADER_BYTES:
            raise BadArchive("E-TAR-BOMB", f"a header of {header.size:,} bytes", fix=SAFE)
        return self._take(header.size + -header.size % BLOCK)[: header.size]

    def _entry(self, header: tarfile.TarInfo, name: str, link: str) -> Entry | None:
        kind = kind_of(header)
        if not kind:
            raise unsafe(f"'{shown(name)}' is {SPECIAL.get(header.type, 'no regular file')}")
        path = clean(name)
        if not path and kind == "folder":
            return None
        if not path:
            raise unsafe(f"'{shown(name)}' is no file name")
        if path[-1].startswith("._") or path[-1] == ".DS_Store":
            return None
        if kind == "folder" and self._is_folder(path):
            return None
        target: tuple[str, ...] = ()
        if kind == "link":
            target = link_target(path, link, is_symbolic=header.type == tarfile.SYMTYPE)
        self._remember(path, kind)
        if kind == "file" and header.size > min(self._limits.total_bytes, self._most_bytes):
            raise self._bomb(
                f"'{shown(name)}' alone has {header.size:,} bytes, in an archive of {self._size:,}"
            )
        return Entry(
            path=path, kind=kind, size_bytes=header.size if kind == "file" else 0,
            is_executable=bool(header.mode & 0o100), target=target,
        )  # fmt: skip

    def _is_folder(self, path: tuple[str, ...]) -> bool:
        return self._seen.get(folded(path)) == (path, "folder")

    def _remember(self, path: tuple[str, ...], kind: str) -> None:
        key = folded(path)
        if path[:-1] != self._last_folder:
            self._remember_folders(path, key)
            self._last_folder = path[:-1]
        known, known_kind = self._seen.setdefault(key, (path, ""))
        if known_kind:
            why = (
                "is in the archive twice"
                if known == path
                else f"and '{shown('/'.join(known))}' differ in case only"
            )
            raise unsafe(f"'{shown('/'.join(path))}' {why}")
        self._seen[key] = (path, kind)
        if len(self._seen) > self._limits.files:
            raise self._bomb(f"the archive holds more than {self._limits.files:,} files")

    def _remember_folders(self, path: tuple[str, ...], key: tuple[str, ...]) -> None:
        for depth in range(1, len(path)):
            above = path[:depth]
            known, kind = self._seen.setdefault(key[:depth], (above, "folder"))
            if kind != "folder":
                raise unsafe(
                    f"'{shown('/'.join(path))}' lies below '{shown('/'.join(known))}', which is no folder"
                )
            if known != above:
                raise unsafe(
                    f"'{shown('/'.join(above))}' and '{shown('/'.join(known))}' differ in case only"
                )

    def _read(self, size: int) -> bytes:
        """Read up to `size` bytes, fewer only at the end."""
        try:
            data = self._stream.read(size)
        except EOFError as error:
            raise self._damaged("it ends early") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            if self._position == 0:
                raise BadArchive(
                    "E-TAR-GZIP", f"the gzip file is damaged: {error}", fix=_PACK
                ) from error
            raise self._damaged(str(error)) from error
        self._position += len(data)
        if self._position > self._limits.total_bytes + self._limits.files * 4 * BLOCK:
            raise self._bomb(f"the archive holds more than {self._limits.total_bytes:,} bytes")
        taken = self._file.tell()
        if (
            self._position > self._spare_bytes + self._limits.ratio * taken
            or self._position > self._most_bytes
        ):
            raise self._bomb(
                f"{taken:,} bytes grew to more than {self._position:,}, over {self._limits.ratio}:1"
            )
        return data

    def _take(self, size: int) -> bytes:
        """Read exactly `size` bytes."""
        data = self._read(size)
        if len(data) < size:
            raise self._damaged("it ends early")
        return data

    def _drain(self) -> None:
        """Read to the end, so that gzip compares its checksum."""
        while self._read(CHUNK):
            pass

    def _damaged(self, why: str) -> BadArchive:
        return BadArchive(
            "E-TAR-TRUNCATED",
            f"the archive is cut off or damaged: {why} (after {self._position:,} bytes unpacked)", fix=_AGAIN,
        )  # fmt: skip

    def _bomb(self, why: str) -> BadArchive:
        return BadArchive("E-TAR-BOMB", why, fix="Pack fewer or smaller files.")
