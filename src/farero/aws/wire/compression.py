"""Compressed request bodies: clients gzip large calls where the model allows it (CloudWatch's PutMetricData)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from farero.aws.wire.scalars import Malformed

if TYPE_CHECKING:
    from farero.aws.wire.messages import HttpRequest

#: Largest body after inflation; ten times what PutMetricData may hold.
MAX_PLAIN_BYTES = 16 * 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS


def plain_body(request: HttpRequest) -> bytes:
    """Return the body, inflated if Content-Encoding says gzip; raise Malformed if that fails or grows too large."""
    if request.headers.get("content-encoding").strip().lower() != "gzip":
        return request.body
    inflater = zlib.decompressobj(_GZIP)
    try:
        body = inflater.decompress(request.body, MAX_PLAIN_BYTES)
    except zlib.error as error:
        raise Malformed("The request body is not valid gzip") from error
    if not inflater.eof:
        raise Malformed("The request body is cut off or too large when inflated")
    return body
