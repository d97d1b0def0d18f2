"""What remains to be checked of a body that arrives in pieces: its hash, or the signature of each of its chunks.

Both take pieces by `feed`, hand on the payload in them, and say in `finish` whether the whole was as signed. Payload is
handed on before its chunk's signature has been seen, so nobody may keep it until `finish` has returned.

Sources: "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks (Chunked Upload)"
and "… Including Trailing Headers" (S3 API reference).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Protocol

from farero.identity.refusals import SignatureError, Style, mismatch

if TYPE_CHECKING:
    from collections.abc import Collection

#: S3 knows nothing longer in the line of a chunk: 16 hex digits, the extension and 64 hex digits.
LONGEST_LINE = 1024
MOST_TRAILERS = 16
_EMPTY_HASH = hashlib.sha256(b"").hexdigest()


class BodyCheck(Protocol):
    """A push decoder: bytes from the wire in, payload out."""

    def feed(self, piece: bytes) -> list[bytes]:
        """Take bytes from the wire and return the payload in them.

        Raises SignatureError as soon as something is not as signed.
        """
        ...

    def finish(self) -> dict[str, str]:
        """Check the whole at its end and return the trailers, names in lower case.

        Raises SignatureError if the body is not what was signed, or ended early.
        """
        ...


class HashCheck:
    """A plain body whose SHA-256 the request announced and signed."""

    def __init__(self, expected: str) -> None:
        self._expected = expected
        self._hash = hashlib.sha256()

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the piece itself."""
        self._hash.update(piece)
        return [piece] if piece else []

    def finish(self) -> dict[str, str]:
        """Compare the hash; there are no trailers."""
        check_hash(self._expected, self._hash.hexdigest())
        return {}


class ChunkSigner:
    """Signatures of chunks, each over the one before."""

    def __init__(self, *, key: bytes, timestamp: str, scope: str, seed: str) -> None:
        self._key = key
        self._head = f"{timestamp}\n{scope}\n"
        self._previous = seed

    def chunk(self, digest: str) -> str:
        """Return the signature of the next chunk, whose payload has the SHA-256 `digest`."""
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{self._head}{self._previous}\n{_EMPTY_HASH}\n{digest}"
        return self._next(text)

    def trailer(self, digest: str) -> str:
        """Return the signature of the trailers."""
        return self._next(f"AWS4-HMAC-SHA256-TRAILER\n{self._head}{self._previous}\n{digest}")

    def _next(self, text: str) -> str:
        self._previous = hmac.digest(self._key, text.encode(), "sha256").hex()
        return self._previous


class ChunkedDecoder:
    """`aws-chunked`: chunks with or without signatures, then trailers.

    signer: None for STREAMING-UNSIGNED-PAYLOAD-TRAILER. trailers: the names that `x-amz-trailer` announced.
    """

    def __init__(
        self, *, signer: ChunkSigner | None, decoded_length: int, trailers: Collection[str]
    ) -> None:
        self._signer = signer
        self._decoded_length = decoded_length
        self._announced = {name.lower() for name in trailers}
        self._received = 0
        self._line = bytearray()  # of a chunk's head or a trailer, while it is not complete
        self._left = 0  # bytes of the running chunk still to come
        self._hash = hashlib.sha256()
        self._signature = ""
        self._step = self._read_head
        self._trailers: dict[str, str] = {}
        self._signed_trailers = hashlib.sha256()
        self._trailer_signature = ""
        self._is_done = False

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the payload in `piece`."""
        payload: list[bytes] = []
        start, end = 0, len(piece)
        while start < end:
            if self._left:
                part = piece[start : start + self._left]
                self._take(part)
                payload.append(part)
                start += len(part)
                continue
            found = piece.find(b"\n", start)
            stop = end if found < 0 else found + 1
            self._line += piece[start:stop]
            start = stop
            if len(self._line) > LONGEST_LINE:
                raise _broken()
            if found >= 0:
                line = bytes(self._line)
                self._line.clear()
                if not line.endswith(b"\r\n") or self._is_done:
                    raise _broken()
                self._step(line[:-2])
        return payload

    def finish(self) -> dict[str, str]:
        """Check that everything announced has come, and the trailers' signature."""
        if not self._is_done or self._received != self._decoded_length:
            raise _incomplete()
        if set(self._trailers) != self._announced:
            raise _bad_trailer()
        if self._signer and self._announced:
            expected = self._signer.trailer(self._signed_trailers.hexdigest())
            _compare(expected, self._trailer_signature)
        return self._trailers

    def _take(self, part: bytes) -> None:
        self._left -= len(part)
        self._received += len(part)
        if self._received > self._decoded_length:
            raise _incomplete()
        if self._signer:
            self._hash.update(part)
        if not self._left:
            self._step = self._end_chunk

    def _read_head(self, line: bytes) -> None:
        size, _, extension = line.partition(b";")
        if not size or len(size) > 16 or not all(c in b"0123456789abcdefABCDEF" for c in size):
            raise _broken()
        self._left = int(size, 16)
        if self._signer:
            name, _, signature = extension.partition(b"=")
            if name != b"chunk-signature":
                raise _broken()
            self._signature = signature.decode("latin-1")
            self._hash = hashlib.sha256()
        if not self._left:
            self._check_chunk()
            self._step = self._read_trailer

    def _end_chunk(self, line: bytes) -> None:
        if line:
            raise _broken()
        self._check_chunk()
        self._step = self._read_head

    def _check_chunk(self) -> None:
        if self._signer:
            _compare(self._signer.chunk(self._hash.hexdigest()), self._signature)

    def _read_trailer(self, line: bytes) -> None:
        if not line:
            self._is_done = True
            return
        text = line.decode("latin-1")
        name, colon, value = text.partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon or not name or len(self._trailers) >= MOST_TRAILERS:
            raise _bad_trailer()
        if name == "x-amz-trailer-signature":
            self._trailer_signature = value
            return
        if name in self._trailers or self._trailer_signature:
            raise _bad_trailer()
        self._trailers[name] = value
        self._signed_trailers.update(f"{name}:{value}\n".encode("latin-1"))


def check_hash(expected: str, actual: str) -> None:
    """Raise SignatureError as S3 does if a body's SHA-256 is not the announced one."""
    if not hmac.compare_digest(expected.encode(), actual.encode()):
        raise SignatureError(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            400,
            {"ClientComputedContentSHA256": expected, "S3ComputedContentSHA256": actual},
        )


def _compare(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode("latin-1", "replace")):
        raise mismatch(Style.S3, shown={"SignatureProvided": given})


def _broken() -> SignatureError:
    return SignatureError(
        "InvalidRequest",
        "The body is not encoded as aws-chunked: a chunk's head is malformed.",
        400,
    )


def _incomplete() -> SignatureError:
    return SignatureError(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the x-amz-decoded-content-length HTTP header",
        400,
    )


def _bad_trailer() -> SignatureError:
    return SignatureError(
        "MalformedTrailerError",
        "The request contained trailing data that was not well-formed or did not conform to our published schema.",
        400,
    )
