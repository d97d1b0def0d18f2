"""Finding the key that a request names, and deriving signing keys from it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from farero.identity import refusals
from farero.records.identity import Credential

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection

    from farero.identity.refusals import Style

#: Looks a key up by its id; must not block for long, as every request passes here.
Finder = Callable[[str], Credential | None]


class Hash(Protocol):
    """What `hashlib` makes."""

    def copy(self) -> Self: ...  # noqa: D102 - hashlib's

    def update(self, data: bytes, /) -> None: ...  # noqa: D102

    def digest(self) -> bytes: ...  # noqa: D102

    def hexdigest(self) -> str: ...  # noqa: D102


class Rules(NamedTuple):
    """What the target of a request demands of its signature."""

    style: Style
    #: Signing names that the target accepts, e.g. `{"sagemaker"}`; the region is free.
    services: Collection[str]
    now: dt.datetime
    #: The bucket that the host name gave, for Version 2, which signs it as part of the path.
    bucket: str = ""


def get_credential(
    find: Finder, access_key_id: str, token: str | None, style: Style, now: dt.datetime
) -> Credential:
    """Return the key `access_key_id`, whose session token must be `token`.

    Raises SignatureError if there is no such active key, the token is another one, or the key has ended.
    """
    credential = find(access_key_id)
    if credential is None or not credential.is_active:
        raise refusals.unknown_key(style, access_key_id)
    wanted = credential.session_token
    if wanted is not None or token is not None:
        if wanted is None or token is None or not same_text(wanted, token):
            raise refusals.wrong_token(style)
        if credential.expires_at is not None and now >= credential.expires_at:
            raise refusals.expired_token(style)
    return credential


def same_text(expected: str, given: str) -> bool:
    """Compare in a time that does not tell where the texts differ."""
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))


@lru_cache(maxsize=512)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """Derive the key for one day, region and service; bounded, so that odd regions cannot fill memory."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def hmac_sha256(key: bytes, data: bytes) -> str:
    """Return HMAC-SHA256 in hex; the half of it that depends on the key alone is kept (RFC 2104, section 4)."""
    if len(key) > 64:
        return hmac.digest(key, data, "sha256").hex()
    inner, outer = halves(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(data)
    outer.update(inner.digest())
    return outer.hexdigest()


@lru_cache(maxsize=512)
def halves(key: bytes) -> tuple[Hash, Hash]:
    """Return the beginnings of HMAC-SHA256's two hashes, to be copied; key: at most 64 bytes."""
    block = key.ljust(64, b"\0")
    return hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))


_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
