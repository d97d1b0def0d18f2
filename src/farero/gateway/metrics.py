"""`GET /metrics` for Prometheus: bearer token, or the owner's signature.

The path is also that of an S3 bucket named `metrics`. A request signed as AWS signs, with a query, or to a bucket's
own host is S3's; what is left has no business with S3, which answers nobody without a signature.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from typing import TYPE_CHECKING

from farero.aws.wire.messages import HttpResponse
from farero.gateway.levels import levels
from farero.telemetry.exposition import OPENMETRICS, PROMETHEUS, expose

if TYPE_CHECKING:
    from pathlib import Path

    from farero.aws.wire.messages import HttpRequest
    from farero.gateway.authenticate import Authenticator
    from farero.gateway.levels import Parts
    from farero.telemetry.totals import Totals

PATH = "/metrics"
#: Named to whoever shows no token, so without saying where the data directory is.
FILE = "keys/metrics-token in Farero's data directory"
_PLAIN_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)
#: The scope of a signature for the platform's own pages: `Credential=KEY/DATE/REGION/farero/aws4_request`.
_OWN_SCOPE = "/farero/aws4_request"


class MetricsPage:
    """What this platform tells Prometheus."""

    def __init__(self, parts: Parts, totals: Totals, token_file: Path) -> None:
        self._parts = parts
        self._totals = totals
        self._token_file = token_file

    def claims(self, request: HttpRequest) -> bool:
        """Say whether the request is for this page."""
        if request.path != PATH or request.method != "GET" or request.query:
            return False
        signature = request.headers.get("authorization")
        is_aws = signature.startswith("AWS") and _OWN_SCOPE not in signature
        return not is_aws and _PLAIN_HOST.fullmatch(request.headers.get("host")) is not None

    async def answer(self, request: HttpRequest, authenticator: Authenticator) -> HttpResponse:
        """Return all figures in the format that was asked for. Raises AwsError for a bad signature."""
        if request.headers.get("authorization").startswith("AWS"):
            authenticator.check_owner(request)
        elif refusal := self._refusal(request.headers.get("authorization")):
            return refusal
        is_openmetrics = wants_openmetrics(request.headers.get("accept"))
        page = await asyncio.to_thread(self._page, is_openmetrics=is_openmetrics)
        kind = OPENMETRICS if is_openmetrics else PROMETHEUS
        return HttpResponse(
            status=200, headers=[("Content-Type", kind), ("Cache-Control", "no-store")], body=page
        )

    def _refusal(self, authorization: str) -> HttpResponse | None:
        kind, _, given = authorization.partition(" ")
        if kind.lower() != "bearer":
            return _unauthorized(
                f"Show the token of {FILE}: Authorization: Bearer TOKEN (Prometheus: "
                "authorization.credentials_file), or sign as the owner for the service farero."
            )
        try:
            token = self._token_file.read_bytes().strip()
        except FileNotFoundError:
            token = b""
        if not token:
            return _unauthorized(f"{FILE} is missing; `farero up` makes it anew.")
        if not hmac.compare_digest(token, given.strip().encode()):
            return _unauthorized(f"The token is not the one of {FILE}.")
        return None

    def _page(self, *, is_openmetrics: bool) -> bytes:
        figures = self._totals.read_all()
        figures.gauges.update(levels(self._parts))
        return expose(figures, is_openmetrics=is_openmetrics)


def wants_openmetrics(accept: str) -> bool:
    """Say whether OpenMetrics is accepted no less than plain text is."""
    wishes: dict[str, float] = {}
    for one in accept.lower().split(","):
        name, *parameters = (part.strip() for part in one.split(";"))
        given = dict(part.split("=", 1) for part in parameters if "=" in part)
        version = given.get("version", "1.0.0")
        try:
            weight = float(given.get("q", "1"))
        except ValueError:
            weight = 0.0
        is_known = name != "application/openmetrics-text" or version == "1.0.0"
        if is_known:
            wishes[name] = max(weight, wishes.get(name, 0.0))
    openmetrics = wishes.get("application/openmetrics-text", 0.0)
    return openmetrics > 0 and openmetrics >= wishes.get("text/plain", 0.0)


def _unauthorized(cause: str) -> HttpResponse:
    return HttpResponse(
        status=401,
        headers=[
            ("Content-Type", "text/plain; charset=utf-8"),
            ("WWW-Authenticate", 'Bearer realm="farero"'),
        ],
        body=f"{cause}\n".encode(),
    )
