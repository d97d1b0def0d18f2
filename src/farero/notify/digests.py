"""The MD5 digests that SQS sends with every message, so that clients notice a change on the way. Pure.

Follows "Calculating the MD5 message digest for message attributes".
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def of_body(body: str) -> str:
    """Return the digest of a message's body."""
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def of_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the digest of message attributes; binary values are base64 text."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        given = attributes[name]
        is_binary = str(given["DataType"]).startswith("Binary")
        value = b64decode(given["BinaryValue"]) if is_binary else str(given["StringValue"]).encode()
        for part in (name.encode(), str(given["DataType"]).encode()):
            digest.update(len(part).to_bytes(4, "big") + part)
        digest.update(b"\x02" if is_binary else b"\x01")
        digest.update(len(value).to_bytes(4, "big") + value)
    return digest.hexdigest()
