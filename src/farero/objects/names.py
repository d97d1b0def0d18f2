"""Rules for the names of buckets and keys (S3 user guide: "Bucket naming rules", "Naming Amazon S3 objects")."""

from __future__ import annotations

import ipaddress
import re

from farero.base.errors import Invalid
from farero.objects.errors import InvalidBucketName, KeyTooLong

LONGEST_KEY = 1024

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FORBIDDEN_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_FORBIDDEN_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def check_bucket_name(name: str) -> None:
    """Raise InvalidBucketName unless a bucket may be called so."""
    if _BUCKET.fullmatch(name) is None or ".." in name or _is_address(name):
        raise InvalidBucketName(name)
    if name.startswith(_FORBIDDEN_STARTS) or name.endswith(_FORBIDDEN_ENDS):
        raise InvalidBucketName(name)


def check_key(key: str) -> None:
    """Raise KeyTooLong above 1024 UTF-8 bytes, Invalid for an empty key, NUL, or text that is no Unicode."""
    if not key:
        raise Invalid("an object's key has at least one character")
    try:
        size_bytes = len(key.encode())
    except UnicodeEncodeError as error:
        raise Invalid("an object's key is valid UTF-8") from error
    if size_bytes > LONGEST_KEY:
        raise KeyTooLong(size_bytes)
    if "\0" in key:
        raise Invalid("an object's key holds no NUL character")


def successor(text: str) -> str | None:
    """Return the smallest text after every text that begins with `text`; None if there is none.

    By code point, which is the order of UTF-8 bytes.
    """
    for length in range(len(text), 0, -1):
        last = ord(text[length - 1])
        if last < 0x10FFFF:
            following = 0xE000 if last == 0xD7FF else last + 1  # surrogates are no characters
            return text[: length - 1] + chr(following)
    return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True
