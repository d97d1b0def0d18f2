"""Signatures of requests that are alike: those of one program differ in few headers, the moment and the body.

What such requests share is read once, by the same rules as in `sigv4.py`; each of them then costs what nobody can
share: the hash of its body, the hash of its canonical request, and one HMAC. What this accepts `sigv4.py` accepts;
what it does not is for that to say.
"""

from __future__ import annotations

import hashlib
import hmac
from binascii import hexlify
from typing import TYPE_CHECKING

from farero.identity import claims, refusals
from farero.identity.canonical import collect_headers, service_path
from farero.identity.keys import halves, signing_key
from farero.identity.refusals import Style

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from farero.identity.canonical import Message
    from farero.identity.keys import Hash
    from farero.records.identity import Credential

_WINDOW_S = refusals.WINDOW_S[Style.JSON]


class Alike:
    """What the signatures of requests share that differ in the headers `own`, in their moment and in their body.

    own: names of signed headers whose values every request brings, in the order in which `is_signed_by` wants them.
    """

    __slots__ = (
        "_canonical", "_credential", "_date", "_halves", "_region", "_service", "_to_sign", "access_key_id", "own",
    )  # fmt: skip

    def __init__(self, usual: claims.Usual, canonical: bytes, own: tuple[str, ...]) -> None:
        self.access_key_id = usual.access_key_id
        self.own = own
        self._date, self._region, self._service = usual.date, usual.region, usual.service
        self._canonical = canonical
        scope = usual.scope.encode().replace(b"%", b"%%")
        self._to_sign = b"AWS4-HMAC-SHA256\n%b\n" + scope + b"\n%b"
        #: The key that was asked for last, and what of an HMAC depends on it alone.
        self._credential: Credential | None = None
        self._halves: tuple[Hash, Hash] | None = None

    def moment_of(self, timestamp: str) -> float | None:
        """Return the seconds since 1970 of a timestamp; None if it is none, or not of the key's day."""
        moment = claims.find_moment(timestamp)
        return moment.timestamp() if moment and timestamp[:8] == self._date else None

    def is_signed_by(  # noqa: PLR0913, PLR0917 - what one signature covers
        self,
        credential: Credential,
        timestamp: bytes,
        age_s: float,
        own: Sequence[bytes],
        body: bytes,
        signature: bytes,
    ) -> bool:
        """Say whether a request with these values was signed with the key, at most five minutes from now.

        timestamp: its x-amz-date, which `moment_of` has read. own: visible ASCII.
        """
        if credential is not self._credential:
            self._credential, self._halves = credential, self._read_key(credential)
        if self._halves is None or not -_WINDOW_S <= age_s <= _WINDOW_S:
            return False
        canonical = self._canonical % (*own, hexlify(hashlib.sha256(body).digest()))
        digest = hexlify(hashlib.sha256(canonical).digest())
        inner, outer = self._halves[0].copy(), self._halves[1].copy()
        inner.update(self._to_sign % (timestamp, digest))
        outer.update(inner.digest())
        return hmac.compare_digest(hexlify(outer.digest()), signature)

    def _read_key(self, credential: Credential) -> tuple[Hash, Hash] | None:
        """Return what of the HMAC depends on the key; None for one that may not sign such requests."""
        if not credential.is_active or credential.session_token is not None:
            return None
        secret = credential.secret_access_key
        return halves(signing_key(secret, self._date, self._region, self._service))


def read(message: Message, services: Collection[str], varying: Collection[str]) -> Alike | None:
    """Return what a request that `Verifier.verify` has accepted shares with others; None if it is not a usual one.

    varying: names of headers in which the others differ.
    """
    headers = collect_headers(message)
    usual = claims.read_usual(headers.get("authorization", "")[:-64])
    if usual is None or usual.service not in services or "%" in usual.signed_headers:
        return None
    if message.query or "x-amz-security-token" in headers:
        return None
    marked = {
        name: "%b" if name in varying else value.replace("%", "%%")
        for name, value in headers.items()
    }
    lines = usual.lines(marked)
    if lines is None:
        return None
    names = usual.signed_headers.split(";")
    path = service_path(message.path).replace("%", "%%")
    canonical = f"{message.method}\n{path}\n\n{lines}\n{usual.signed_headers}\n%b"
    if not canonical.isascii():
        return None
    return Alike(usual, canonical.encode(), tuple(name for name in names if name in varying))
