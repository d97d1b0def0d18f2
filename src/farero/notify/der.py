"""ASN.1 DER, as much of it as an X.509 certificate of an RSA key is made of (ITU-T X.690). Pure."""

from __future__ import annotations

from base64 import encodebytes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

NULL = b"\x05\x00"


def element(tag: int, *parts: bytes) -> bytes:
    """Return tag, length and contents."""
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def sequence(*parts: bytes) -> bytes:
    """Return a SEQUENCE."""
    return element(0x30, *parts)


def integer(value: int) -> bytes:
    """Return a non-negative INTEGER."""
    return element(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def bit_string(body: bytes) -> bytes:
    """Return a BIT STRING of whole bytes."""
    return element(0x03, b"\x00", body)


def object_id(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER, e.g. `2.5.4.3`."""
    first, second, *others = (int(part) for part in dotted.split("."))
    return element(0x06, *(_base128(number) for number in (first * 40 + second, *others)))


def text(value: str) -> bytes:
    """Return a UTF8String."""
    return element(0x0C, value.encode())


def time(moment: dt.datetime) -> bytes:
    """Return a UTCTime until 2049 and a GeneralizedTime from then on (RFC 5280 4.1.2.5)."""
    if moment.year < 2050:
        return element(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
    return element(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


def pem(label: str, body: bytes) -> str:
    """Return DER as PEM text, 64 characters a line (RFC 7468)."""
    packed = encodebytes(body).replace(b"\n", b"").decode()
    lines = [packed[start : start + 64] for start in range(0, len(packed), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def _base128(number: int) -> bytes:
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(0x80 | number & 0x7F)
    return bytes(reversed(groups))
