"""Checksums of bytes as S3 names and writes them (S3 user guide: "Checking object integrity").

A digest is base64 of the big-endian value. A composite checksum of a multipart object is the checksum of its parts' raw
checksums followed by `-N`; a full-object one equals the checksum of the whole, put together from the parts' CRCs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any, Protocol

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import ModuleType

#: Every algorithm that S3 clients name, with the bytes of its value.
SIZES = {
    "CRC32": 4,
    "CRC32C": 4,
    "CRC64NVME": 8,
    "SHA1": 20,
    "SHA256": 32,
    "SHA512": 64,
    "MD5": 16,
    "XXHASH64": 8,
    "XXHASH3": 8,
    "XXHASH128": 16,
}
#: Those whose value for a whole follows from the values of its parts; only they can be full-object checksums.
CRCS = ("CRC32", "CRC32C", "CRC64NVME")
#: What S3 computes when the client names no algorithm.
DEFAULT = "CRC64NVME"

_HASH: dict[str, Callable[[], Digest]] = {
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
    "XXHASH64": lambda: _Xxhash(_crt().XXHash.new_xxhash64()),
    "XXHASH3": lambda: _Xxhash(_crt().XXHash.new_xxhash3_64()),
    "XXHASH128": lambda: _Xxhash(_crt().XXHash.new_xxhash3_128()),
}


class Digest(Protocol):
    """A checksum in the making."""

    def update(self, data: bytes, /) -> object:
        """Take more bytes."""
        ...

    def digest(self) -> bytes:
        """Return the value so far."""
        ...


def _crt() -> ModuleType:
    """Return the library of 12 MB that few processes need, imported on first use."""
    # typed inline, no marker file
    from awscrt import checksums  # pyright: ignore[reportMissingTypeStubs]

    return checksums


class _Crc:
    def __init__(self, algorithm: str) -> None:
        self._function: Callable[[bytes, int], int] = getattr(_crt(), algorithm.lower())
        self._size = SIZES[algorithm]
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


class _Xxhash:
    def __init__(self, native: Any) -> None:
        self._native = native
        self._final = b""

    def update(self, data: bytes, /) -> None:
        self._native.update(data)

    def digest(self) -> bytes:
        self._final = self._final or self._native.finalize()  # it can be asked only once
        return self._final


def new(algorithm: str) -> Digest:
    """Begin a checksum. Raises Invalid for an unknown algorithm."""
    if algorithm in CRCS:
        return _Crc(algorithm)
    if algorithm in _HASH:
        return _HASH[algorithm]()
    raise Invalid(f"'{algorithm}' is no checksum algorithm; use one of {', '.join(SIZES)}")


def md5() -> Digest:
    """Begin the MD5 that an etag is made of."""
    return hashlib.md5(usedforsecurity=False)


def opaque_etag(file_id: str) -> str:
    """Return an etag that says nothing of the bytes, in the form that S3 gives those that are no MD5."""
    digest = hashlib.md5(bytes.fromhex(file_id), usedforsecurity=False)
    return f"{digest.hexdigest()}-1"


def encode(value: bytes) -> str:
    """Return a checksum as headers carry it."""
    return base64.b64encode(value).decode()


def decode(text: str, size_bytes: int) -> bytes | None:
    """Return the bytes of a base64 value, or None if it is not base64 of that many bytes."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if len(value) == size_bytes else None


def of_bytes(algorithm: str, data: bytes) -> str:
    """Return the checksum of `data`, base64."""
    digest = new(algorithm)
    digest.update(data)
    return encode(digest.digest())


def composite(algorithm: str, parts: Sequence[str]) -> str:
    """Return the checksum of the parts' checksums, with `-N` for N parts."""
    raw = b"".join(base64.b64decode(part) for part in parts)
    return f"{of_bytes(algorithm, raw)}-{len(parts)}"


def full_object(algorithm: str, parts: Iterable[tuple[str, int]]) -> str:
    """Return the checksum of the whole from (checksum, size in bytes) of its stretches; CRCs only."""
    combine: Callable[[int, int, int], int] = getattr(_crt(), f"combine_{algorithm.lower()}")
    value = 0
    for text, size_bytes in parts:
        value = combine(value, int.from_bytes(base64.b64decode(text), "big"), size_bytes)
    return encode(value.to_bytes(SIZES[algorithm], "big"))


def multipart_etag(etags: Sequence[str]) -> str:
    """Return MD5 of the parts' MD5 values and `-N`, as S3 makes a multipart object's etag."""
    digest = hashlib.md5(b"".join(bytes.fromhex(etag) for etag in etags), usedforsecurity=False)
    return f"{digest.hexdigest()}-{len(etags)}"
