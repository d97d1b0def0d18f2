"""Signing a request that Farero itself sends to its gateway, with nothing but the standard library.

Source: "Create a signed AWS API request" (IAM user guide).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from farero.identity.canonical import canonical_queries, service_path
from farero.identity.keys import hmac_sha256, signing_key

if TYPE_CHECKING:
    import datetime as dt

_SIGNED = "host;x-amz-date"


def sign(
    method: str, url: str, key: tuple[str, str], *, scope: tuple[str, str], now: dt.datetime
) -> dict[str, str]:
    """Return the headers that sign a request without a body by Version 4.

    key: access key id and secret. scope: region and service. now: in UTC.
    """
    parts = urlsplit(url)
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    region, service = scope
    covered = "\n".join(
        (
            method, service_path(parts.path), next(canonical_queries(parts.query)),
            f"host:{parts.netloc}", f"x-amz-date:{moment}", "", _SIGNED, hashlib.sha256(b"").hexdigest(),
        )
    )  # fmt: skip
    place = f"{moment[:8]}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(covered.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{moment}\n{place}\n{digest}"
    signature = hmac_sha256(signing_key(key[1], moment[:8], region, service), text.encode())
    claim = f"Credential={key[0]}/{place}, SignedHeaders={_SIGNED}, Signature={signature}"
    return {"X-Amz-Date": moment, "Authorization": f"AWS4-HMAC-SHA256 {claim}"}
