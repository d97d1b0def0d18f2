"""Canonical forms of a request's parts, as Signature Version 4 and S3's Version 2 want them.

Text stands for the bytes on the wire, one character a byte (ISO 8859-1), as HTTP servers hand it on.

Sources: "Create a signed AWS API request" (IAM user guide); "Authenticating Requests: Using the Authorization Header"
(S3 API reference) for the differences of S3: its path is encoded once and not normalised.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
#: ASCII white space only: ISO 8859-1's no-break space may be the second byte of a UTF-8 letter.
_SPACES = re.compile(r"[ \t\n\r\f\v]+")
_SIGNATURE_PARAMETERS = frozenset(
    f"x-amz-{name}"
    for name in (
        "algorithm", "credential", "date", "expires", "signedheaders", "signature", "security-token",
        "content-sha256",
    )
)  # fmt: skip
_BLANKS = " \t\n\r\f\v"


class Message(NamedTuple):
    """The parts of a request that a signature covers; a tuple, because every request makes one."""

    method: str
    #: Path and query as they stood in the request line.
    path: str
    query: str
    #: Names in lower case, in the order received.
    headers: Sequence[tuple[str, str]]
    #: None when the body comes in pieces later.
    body: bytes | None


def to_bytes(text: str) -> bytes:
    """Return the bytes on the wire that `text` stands for."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:  # text of a caller that had decoded it
        return text.encode()


def collect_headers(message: Message) -> dict[str, str]:
    """Join values of one name by commas, in order, and trim and single their blanks."""
    values: dict[str, str] = dict(message.headers)
    if len(values) == len(message.headers) and _are_plain(" ".join(values.values())):
        return values
    values = {}
    for name, value in message.headers:
        text = value
        if "  " in text or text[:1] == " " or text[-1:] == " " or not text.isprintable():
            text = _SPACES.sub(" ", text).strip(_BLANKS)
        values[name] = f"{values[name]},{text}" if name in values else text
    return values


def _are_plain(joined: str) -> bool:
    """Say whether values, joined by a blank, hold no blank that would be trimmed or made single."""
    if "  " in joined or joined[:1] == " " or joined[-1:] == " " or "\t" in joined:
        return False
    return not ("\r" in joined or "\n" in joined or "\f" in joined or "\v" in joined)


@lru_cache(maxsize=512)
def service_path(path: str) -> str:
    """Return the path of every service but S3: normalised, then encoded a second time."""
    if _PLAIN_PATH.fullmatch(path):
        return path
    return quote(to_bytes(normalise_path(path)), safe="/~")


def normalise_path(path: str) -> str:
    """Remove `.`, `..` and empty segments (RFC 3986, 6.2.2.3); a final slash stays."""
    if not path:
        return "/"
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if kept:
                kept.pop()
        elif part and part != ".":
            kept.append(part)
    ends_open = path.endswith("/") and bool(kept)
    return "/" + "/".join(kept) + ("/" if ends_open else "")


def s3_paths(path: str) -> Iterator[str]:
    """Yield the path as it came, then decoded and encoded once as S3 does it.

    Both name the same object; clients differ in which characters of a key they leave unencoded.
    """
    yield path or "/"
    again = quote(unquote_to_bytes(to_bytes(path)), safe="/~")
    if again != path and path:
        yield again


def canonical_queries(query: str, *, without: str = "") -> Iterator[str]:
    """Yield the query sorted with every part encoded anew, then sorted as it came and as it came, where that differs.

    without: a parameter to leave out, i.e. the signature itself.
    """
    if not query:
        yield ""
        return
    pairs = [(n, v) for n, _, v in (part.partition("=") for part in query.split("&") if part)]
    if without:
        pairs = [(n, v) for n, v in pairs if n != without]
    encoded = "&".join(f"{n}={v}" for n, v in sorted((_again(n), _again(v)) for n, v in pairs))
    yield encoded
    as_sent = "&".join(f"{n}={v}" for n, v in sorted(pairs))
    if as_sent != encoded:
        yield as_sent
    if not without and query not in (encoded, as_sent):
        yield query  # curl 7.88 signs the query neither sorted nor encoded; every byte is covered all the same


def hoisted_headers(message: Message) -> list[tuple[str, str]]:
    """Return the headers that a presigned URL of S3 carries as parameters and the request does not repeat.

    Clients that presign move `x-amz-…` headers, and in Version 2 content-type and content-md5, into the query, where
    the signature covers them.
    """
    sent = {name for name, _ in message.headers}
    found: dict[str, str] = {}
    for name, value in query_pairs(message.query):
        lower = name.lower()
        is_header = lower.startswith("x-amz-") and lower not in _SIGNATURE_PARAMETERS
        is_old = name in ("content-type", "content-md5")
        if (is_header or is_old) and lower not in sent and value.isprintable():
            found.setdefault(lower, value)
    return list(found.items())


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Split a query into decoded pairs, in order."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return [(_decoded(name), _decoded(value)) for name, _, value in pairs]


def _again(text: str) -> str:
    if text.isalnum() and text.isascii():
        return text
    return quote(unquote_to_bytes(to_bytes(text.replace("+", " "))), safe="-_.~")


def _decoded(text: str) -> str:
    return unquote_to_bytes(to_bytes(text.replace("+", " "))).decode("utf-8", "replace")
