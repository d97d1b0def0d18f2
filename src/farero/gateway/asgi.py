"""The ASGI app that answers every AWS request: identify → authenticate → read → call → write.

The steps stand in this order in `Gateway.answer`. What AWS knows as an error leaves as AWS writes it; anything else
is logged with the request id and leaves as InternalFailure, without a word about our insides.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, cast

from farero.aws.wire import protocol
from farero.aws.wire.messages import AwsError, Headers, HttpRequest, HttpResponse, Value
from farero.base import ids
from farero.base.context import Context
from farero.base.errors import DomainError
from farero.gateway.authenticate import principal_of
from farero.gateway.bodies import BodyReader, ClientLeft, may_be_upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping

    from farero.aws.wire.protocol import Target
    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.base.context import Principal
    from farero.gateway.admin import Admin
    from farero.gateway.authenticate import Authenticator
    from farero.records.identity import Credential

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger(__name__)

SUPPORTED_PAGE = "docs/supported.md"
#: A whole Host header of ours; `*.localhost` are S3's bucket names. Letters of any case (RFC 3986 3.2.2).
LOCAL_HOST = re.compile(
    r"(([a-z0-9._-]+\.)?localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE
)


class Gateway:
    """One host for all services; `rooms` maps botocore's service names to room objects."""

    def __init__(
        self,
        *,
        rooms: Mapping[str, object],
        authenticator: Authenticator,
        admin: Admin,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._rooms = rooms
        self._authenticator = authenticator
        self._admin = admin
        self._settings = settings
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await _refuse_lifespan(receive, send)
            return
        request = _request_of(scope)
        body = BodyReader(request.headers, receive)
        response = await self.answer(request, body)
        await send_response(response, send, body, is_head=request.method == "HEAD")

    async def answer(self, request: HttpRequest, body: BodyReader) -> HttpResponse:
        """Answer one request; never raises."""
        received = self._clock.monotonic()
        request_id = ids.request_id()
        target: Target | None = None
        try:
            _check_host(request)
            if self._admin.owns(request):
                return await self._admin.answer(request, body, self._authenticator)
            is_read = not may_be_upload(request)
            if is_read:
                request = await body.read(request)
            target = protocol.identify(request)
            if not is_read:
                request = (
                    body.stream(request)
                    if target.service == "s3" and target.streams_in
                    else await body.read(request)
                )
            principal, request = self._authenticator.check(request, target)
            params = protocol.read(target, request)
            operation = self._find_operation(target)
            protocol.validate(target, params)
            ctx = self._context(request_id, principal, received, request.base_url)
            result = await self._call(operation, ctx, params, target)
            return protocol.write(target, result, request_id)
        except Exception as error:  # noqa: BLE001 - logged there
            said = _said(error, request_id, request.path)
            return protocol.write_error(target, said, request_id, request=request)

    async def go_on(
        self,
        target: Target,
        credential: Credential,
        received: float,
        operation: Callable[[Context], Awaitable[dict[str, Value]]],
    ) -> HttpResponse:
        """Answer a request that another path has authenticated, read and begun; never raises."""
        request_id = ids.request_id()
        ctx = self._context(request_id, principal_of(credential), received)
        try:
            return protocol.write(target, await operation(ctx), request_id)
        except Exception as error:  # noqa: BLE001 - logged there
            return protocol.write_error(
                target, _said(error, request_id, target.operation_name), request_id
            )

    def _context(
        self, request_id: str, principal: Principal, received: float, base_url: str = ""
    ) -> Context:
        return Context(
            account=self._settings.account,
            region=self._settings.region,
            request_id=request_id,
            now=self._clock.now(),
            principal=principal,
            base_url=base_url,
            received=received,
        )

    def _find_operation(self, target: Target) -> Callable[..., Any]:
        room = self._rooms.get(target.service)
        found = None
        if room is not None:
            finder = getattr(room, "find_operation", None)
            found = (
                finder(target.python_name)
                if finder is not None
                else getattr(room, target.python_name, None)
            )
        if found is None:
            raise AwsError(
                "NotImplemented",
                f"{target.service}:{target.operation_name} is not there yet. "
                f"{SUPPORTED_PAGE} lists what is.",
                501,
            )
        return found

    async def _call(
        self, operation: Callable[..., Any], ctx: Context, params: dict[str, Value], target: Target
    ) -> dict[str, Value]:
        try:
            if inspect.iscoroutinefunction(operation):
                result = await operation(ctx, params)
            else:
                result = await asyncio.to_thread(operation, ctx, params)
        except DomainError as error:
            raise self._in_aws_words(error, target) from error
        return result if result is not None else {}

    def _in_aws_words(self, error: DomainError, target: Target) -> AwsError:
        table: Mapping[type[DomainError], tuple[str, int]] = getattr(
            self._rooms[target.service], "errors", {}
        )
        code, status = table.get(type(error), ("ValidationException", 400))
        return AwsError(code, str(error), status)


def _said(error: Exception, request_id: str, path: str) -> AwsError:
    """Return what the caller is told of an error; one of ours is logged."""
    if isinstance(error, AwsError):
        return error
    if isinstance(error, ClientLeft):  # nobody reads this answer
        return AwsError("RequestTimeout", "The connection ended before the body did.", 400)
    log.error("request failed", exc_info=error, extra={"request_id": request_id, "path": path})
    return AwsError(
        "InternalFailure",
        f"Farero met an error of its own; its log has the details under request id {request_id}.",
        500,
    )


def _request_of(scope: Scope) -> HttpRequest:
    headers = Headers([(n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"]])
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    return HttpRequest(
        method=scope["method"],
        path=raw_path.partition(b"?")[0].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        base_url=f"{scope.get('scheme', 'http')}://{headers.get('host', 'localhost')}",
    )


def _check_host(request: HttpRequest) -> None:
    """Refuse names that are not ours, so that a web page cannot reach us by rebinding its DNS name (R16)."""
    host = request.headers.get("host")
    if LOCAL_HOST.fullmatch(host):
        return
    raise AwsError(
        "MisdirectedRequest",
        f"Host '{host}' is not served here; use http://localhost or http://127.0.0.1.",
        421,
    )


async def send_response(
    response: HttpResponse, send: Send, body: BodyReader, *, is_head: bool = False
) -> None:
    """Send an answer by ASGI."""
    headers = [(n.lower().encode("latin-1"), header_bytes(v)) for n, v in response.headers]
    if response.stream is None and not any(n == b"content-length" for n, _ in headers):
        headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.stream is None or is_head:
        await send({"type": "http.response.body", "body": b"" if is_head else response.body})
        return
    sending = asyncio.create_task(_send_pieces(response.stream, send))
    leaving = asyncio.create_task(body.left())
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Nobody reads on: what makes the pieces is stopped too.
        is_cut = sending.cancel()
        leaving.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)
    if not is_cut:
        sending.result()


async def _send_pieces(stream: AsyncIterator[bytes], send: Send) -> None:
    try:
        async for piece in stream:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        if isinstance(stream, AsyncGenerator):
            await cast("AsyncGenerator[bytes, None]", stream).aclose()


def header_bytes(value: str) -> bytes:
    """Return a header's value as it goes over the wire."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8")


async def _refuse_lifespan(receive: Receive, send: Send) -> None:
    message = await receive()
    if message["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
