"""Request bodies: read whole up to a limit, or handed on in pieces for uploads to S3."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

from farero.aws.wire.messages import AwsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping

    from farero.aws.wire.messages import Headers, HttpRequest

    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

#: Largest body of a call that is no upload. CloudWatch's PutMetricData and Logs' batches stay below 1 MiB;
#: InvokeEndpoint's own limit (6 MiB) is checked by its room, which must see a little more than that to say so.
WHOLE_LIMIT = 16 * 1024 * 1024


class BodyReader:
    """The body of one request."""

    def __init__(self, headers: Headers, receive: Receive) -> None:
        self._headers = headers
        self._receive = receive

    async def read(self, request: HttpRequest) -> HttpRequest:
        """Return the request with its whole body.

        Raises AwsError 413 above 16 MiB, before reading when the length is announced.
        """
        announced = self._headers.get("content-length")
        if announced.isdigit() and int(announced) > WHOLE_LIMIT:
            raise _too_large(int(announced))
        pieces: list[bytes] = []
        size = 0
        async for piece in self._pieces():
            size += len(piece)
            if size > WHOLE_LIMIT:
                raise _too_large(size)
            pieces.append(piece)
        return dataclasses.replace(request, body=b"".join(pieces))

    def stream(self, request: HttpRequest) -> HttpRequest:
        """Return the request with its body as pieces, read as they are asked for."""
        return dataclasses.replace(request, stream=self._pieces())

    async def left(self) -> None:
        """Return when the caller closes the connection; call when the body has been read."""
        message = await self._receive()
        if message["type"] != "http.disconnect":
            await asyncio.Event().wait()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body"):
                return


class ClientLeft(Exception):  # noqa: N818 - an event, not a fault
    """The caller closed the connection before the body had arrived."""


def may_be_upload(request: HttpRequest) -> bool:
    """Say whether the body may belong to S3 and must not be read before the operation is known."""
    headers = request.headers
    if headers.has("x-amz-target") or request.method not in ("PUT", "POST"):
        return False
    kind = headers.get("content-type")
    if kind.startswith("multipart/form-data"):
        return True
    scope = headers.get("authorization") or request.query
    if "/s3/aws4_request" in scope or "%2Fs3%2Faws4_request" in scope:
        return True
    return "AWSAccessKeyId=" in request.query


def _too_large(size: int) -> AwsError:
    return AwsError(
        "RequestEntityTooLargeException",
        f"The body has {size:,} bytes; at most {WHOLE_LIMIT:,} are read.",
        413,
        headers=[("Connection", "close")],
    )
