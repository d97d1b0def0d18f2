"""Bodies in and out: pieces of half a MiB, read, hashed and written in threads.

Resident memory stays at a few pieces a request, whatever the object's size: one piece is written (or read) while the
next one is collected (or sent).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from farero.aws.wire.messages import AwsError
from farero.objects import checksums
from farero.objects.reading import PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from farero.aws.wire.messages import Value
    from farero.objects.writing import ObjectWriter

#: Largest body of one PutObject or UploadPart (S3 user guide: "Amazon S3 multipart upload limits").
LARGEST_BODY = 5 * 1024**3


async def receive(body: Value, writer: ObjectWriter) -> dict[str, str]:
    """Feed a body to `writer`; return the trailers that followed it, names in lower case.

    body: bytes, or pieces in an async iterator whose attribute `trailers`, if it has one, is filled at its end.
    """
    if isinstance(body, bytes | bytearray | str):
        await asyncio.to_thread(
            writer.write, body.encode() if isinstance(body, str) else bytes(body)
        )
        return {}
    pending: asyncio.Future[None] | None = None
    try:
        async for piece in _collect(cast("AsyncIterator[bytes]", body)):
            if pending is not None:
                await pending
            if writer.size_bytes + len(piece) > LARGEST_BODY:
                raise too_large()  # noqa: TRY301 - the running write must end first
            pending = asyncio.ensure_future(asyncio.to_thread(writer.write, piece))
        if pending is not None:
            await pending
    except BaseException:
        if pending is not None:
            # The thread still holds the file; nobody may close it before it is done.
            await asyncio.wait([pending])
        raise
    trailers: dict[str, str] = getattr(body, "trailers", None) or {}
    return {name.lower(): value for name, value in trailers.items()}


async def send(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield pieces read in threads, one ahead of what is being sent."""
    ahead = asyncio.ensure_future(asyncio.to_thread(_next, pieces))
    try:
        while piece := await ahead:
            ahead = asyncio.ensure_future(asyncio.to_thread(_next, pieces))
            yield piece
    finally:
        await asyncio.wait([ahead])
        cast("Any", pieces).close()


def trailer_checksums(trailers: dict[str, str]) -> dict[str, str]:
    """Return the checksums among trailers, by algorithm."""
    known = {f"x-amz-checksum-{name.lower()}": name for name in checksums.SIZES}
    return {known[name]: value for name, value in trailers.items() if name in known}


def too_large() -> AwsError:
    """Return the error for a body above 5 GiB."""
    return AwsError(
        "EntityTooLarge",
        "Your proposed upload exceeds the maximum allowed size",
        members={"MaxSizeAllowed": LARGEST_BODY},
    )


async def _collect(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    held: list[bytes] = []
    size = 0
    async for piece in body:
        held.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _next(pieces: Iterator[bytes]) -> bytes:
    return next(pieces, b"")
