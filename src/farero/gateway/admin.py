"""/_farero: health for everyone; state and reset for the owner. /metrics: figures for Prometheus.

`GET /_farero/health` needs no signature and tells nothing but that the gateway answers.
`GET /_farero/status` describes processes and endpoints. `POST /_farero/reset` empties an ephemeral instance.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from farero.aws.wire.messages import AwsError, HttpResponse
from farero.base.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from farero.aws.wire.messages import HttpRequest
    from farero.gateway.authenticate import Authenticator
    from farero.gateway.bodies import BodyReader
    from farero.gateway.metrics import MetricsPage

PREFIX = "/_farero/"


class Admin:
    """The platform's own few pages; `pages` maps (method, name) to what answers it with plain data."""

    def __init__(
        self,
        pages: Mapping[tuple[str, str], Callable[[dict[str, str]], Any]],
        metrics: MetricsPage,
        links: Callable[[str, dict[str, str]], HttpResponse | None] = lambda _name, _query: None,
    ) -> None:
        """links: answers a GET that needs no signature, or returns None."""
        self._pages = pages
        self._metrics = metrics
        self._links = links

    def owns(self, request: HttpRequest) -> bool:
        """Say whether the request is for one of our pages; no S3 bucket may begin with an underscore."""
        return request.path.startswith(PREFIX) or self._metrics.claims(request)

    async def answer(
        self, request: HttpRequest, body: BodyReader, authenticator: Authenticator
    ) -> HttpResponse:
        """Answer one admin request."""
        if self._metrics.claims(request):
            return await self._metrics.answer(request, authenticator)
        name = request.path.removeprefix(PREFIX)
        if request.method == "GET" and name == "health":
            return _json({"status": "ok"})
        if request.method == "GET" and name.startswith("sns/"):
            answer = await asyncio.to_thread(self._links, name, _query(request.query))
            if answer is not None:
                return answer
        request = await body.read(request)
        authenticator.check_owner(request)
        page = self._pages.get((request.method, name))
        if page is None:
            raise AwsError("NotFound", f"There is no {request.method} {request.path}.", 404)
        try:
            return _json(await asyncio.to_thread(page, _query(request.query)))
        except DomainError as error:
            raise AwsError("ValidationException", str(error), 400) from error


def _json(value: object) -> HttpResponse:
    return HttpResponse(
        status=200,
        headers=[("Content-Type", "application/json"), ("Cache-Control", "no-store")],
        body=msgspec.json.encode(value) + b"\n",
    )


def _query(text: str) -> dict[str, str]:
    return dict(parse_qsl(text))
