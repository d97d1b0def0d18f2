"""The signature that SNS puts under a message, with a key and a certificate of our own.

The key is made when the first message is signed or the certificate is first asked for, and kept in `keys/`, mode 0600.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import secrets
import threading
from base64 import b64encode
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from farero.notify import der, rsa

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from farero.base.clock import Clock

FILE = "sns-signing.json"
NAME = "Farero SNS"
VALID_FOR = dt.timedelta(days=3650)
_SHA256_RSA = "1.2.840.113549.1.1.11"
_RSA = "1.2.840.113549.1.1.1"
_COMMON_NAME = "2.5.4.3"
#: What is signed, in this order ("Verifying the signatures of Amazon SNS messages").
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
}  # fmt: skip
_SIGNED["UnsubscribeConfirmation"] = _SIGNED["SubscriptionConfirmation"]


class Kept(msgspec.Struct, frozen=True):
    """The file: numbers in hexadecimal, the certificate as PEM."""

    n: str
    d: str
    p: str
    q: str
    certificate: str

    @property
    def key(self) -> rsa.Key:
        """The key itself."""
        return rsa.Key(n=int(self.n, 16), d=int(self.d, 16), p=int(self.p, 16), q=int(self.q, 16))


class Signer:
    """Signs envelopes and shows the certificate."""

    def __init__(self, keys_dir: Path, clock: Clock) -> None:
        self._path = keys_dir / FILE
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: Kept | None = None
        self._sign = lru_cache(maxsize=64)(self._sign_text)

    def signature(self, envelope: Mapping[str, str], version: str) -> str:
        """Return the base64 signature of an envelope; version: `1` (SHA-1) or `2` (SHA-256)."""
        return self._sign(text_to_sign(envelope), "sha256" if version == "2" else "sha1")

    def certificate(self) -> str:
        """Return the certificate as PEM."""
        return self._get().certificate

    def certificate_name(self) -> str:
        """Return the last part of SigningCertURL, which changes with the certificate."""
        digest = hashlib.sha256(self.certificate().encode()).hexdigest()
        return f"SimpleNotificationService-{digest[:32]}.pem"

    def _sign_text(self, text: str, digest: str) -> str:
        return b64encode(rsa.sign(self._get().key, text.encode(), digest)).decode()

    def _get(self) -> Kept:
        with self._lock:
            if self._kept is None:
                self._kept = _read(self._path) or _keep_first(self._path, self._make())
            return self._kept

    def _make(self) -> Kept:
        key = rsa.make_key()
        certificate = make_certificate(key, self._clock.now())
        return Kept(
            n=f"{key.n:x}",
            d=f"{key.d:x}",
            p=f"{key.p:x}",
            q=f"{key.q:x}",
            certificate=certificate,
        )


def text_to_sign(envelope: Mapping[str, str]) -> str:
    """Return what is signed of an envelope: names and values, a line each."""
    names = _SIGNED[envelope["Type"]]
    return "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope)


def make_certificate(key: rsa.Key, now: dt.datetime) -> str:
    """Return a certificate of the key's public half, signed by itself, as PEM (RFC 5280)."""
    algorithm = der.sequence(der.object_id(_SHA256_RSA), der.NULL)
    common_name = der.sequence(der.object_id(_COMMON_NAME), der.text(NAME))
    name = der.sequence(der.element(0x31, common_name))
    public = der.sequence(der.integer(key.n), der.integer(rsa.EXPONENT))
    start = now.replace(microsecond=0) - dt.timedelta(days=1)
    body = der.sequence(
        der.element(0xA0, der.integer(2)),  # version 3
        der.integer(secrets.randbits(120) | 1),
        algorithm,
        name,
        der.sequence(der.time(start), der.time(start + VALID_FOR)),
        name,
        der.sequence(der.sequence(der.object_id(_RSA), der.NULL), der.bit_string(public)),
    )
    signature = rsa.sign(key, body, "sha256")
    return der.pem("CERTIFICATE", der.sequence(body, algorithm, der.bit_string(signature)))


def _read(path: Path) -> Kept | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return None


def _keep_first(path: Path, made: Kept) -> Kept:
    """Write the file unless another process was first; return what it holds."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(made))
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(partial, path)
    partial.unlink()
    return _read(path) or made
