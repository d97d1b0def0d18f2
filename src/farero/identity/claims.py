"""What a request says about its Version 4 signature: read from the header or the query, in AWS's terms."""

from __future__ import annotations

import datetime as dt
import re
from email.utils import parsedate_to_datetime
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from farero.identity import refusals
from farero.identity.refusals import Style

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ALGORITHM = "AWS4-HMAC-SHA256"
LONGEST_PRESIGNED_S = 604_800

#: An Authorization header as all clients write it, up to the signature, and the signature.
_BEGINNING = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request, *"
    r"SignedHeaders=([^,\s]+), *Signature="
)
#: A client begins its headers alike all day; longer ones are not kept.
_LONGEST_KEPT = 1024
_TIMESTAMP = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_PARAMETERS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)


class Claim(NamedTuple):
    """Whose key, for which day, region and service, over which headers."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: str
    signature: str

    @property
    def scope(self) -> str:
        """Return the credential scope."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def read_header(authorization: str, style: Style, headers: Mapping[str, str]) -> Claim:
    """Read an Authorization header; raise SignatureError when something is missing from it."""
    usual, signature = read_usual(authorization[:-64]), authorization[-64:]
    if usual and signature.isalnum():
        return Claim(*usual.parts, signature)
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        if algorithm.startswith("AWS4-"):
            detail = f"Unsupported AWS 'algorithm': '{algorithm}'. Only {ALGORITHM} is accepted."
            raise refusals.malformed(style, detail)
        raise refusals.unsigned(style)
    parts: dict[str, str] = {}
    for piece in rest.split(","):
        name, equals, value = piece.strip().partition("=")
        if not equals or not value or name in parts:
            detail = f"'{piece.strip()}' not a valid key=value pair (missing equal-sign) in Authorization header."
            raise refusals.malformed(style, detail, authorization)
        parts[name] = value
    names = ("Credential", "Signature", "SignedHeaders")
    missing = [f"Authorization header requires '{n}' parameter." for n in names if n not in parts]
    if "x-amz-date" not in headers and "date" not in headers:
        missing.append(_NO_DATE)
    if missing:
        raise refusals.malformed(style, " ".join(missing), authorization)
    credential = _read_credential(parts["Credential"], style)
    return Claim(*credential, parts["SignedHeaders"], parts["Signature"])


_NO_DATE = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."


def _read_credential(text: str, style: Style) -> tuple[str, str, str, str]:
    parts = text.split("/")
    if len(parts) != 5 or not all(parts):
        detail = (
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{text}'"
        )
        raise refusals.malformed(style, detail)
    if parts[4] != "aws4_request":
        detail = f"Credential should be scoped with a valid terminator: 'aws4_request', not '{parts[4]}'."
        if style is Style.S3:
            raise refusals.malformed(style, detail)
        raise refusals.mismatch(style, detail)
    return parts[0], parts[1], parts[2], parts[3]


def is_presigned(parameters: Mapping[str, str]) -> bool:
    """Say whether a query carries any part of a Version 4 signature."""
    return "X-Amz-Algorithm" in parameters or "X-Amz-Signature" in parameters


def read_query(
    pairs: list[tuple[str, str]], style: Style
) -> tuple[Claim, str, dt.datetime, int | None]:
    """Read a presigned query: claim, timestamp, its moment, and for how many seconds it is good (None: not said).

    Raises SignatureError when a parameter is missing, repeated or malformed.
    """
    given = [(name, value) for name, value in pairs if name in _PARAMETERS]
    parameters = dict(given)
    required = _PARAMETERS if style is Style.S3 else _PARAMETERS[:-1]
    if len(parameters) != len(given) or any(not parameters.get(name) for name in required):
        raise _incomplete_query(style, parameters)
    if parameters["X-Amz-Algorithm"] != ALGORITHM:
        raise _bad_query(style, f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    if style is Style.S3 and parameters["X-Amz-Credential"].count("/") != 4:
        raise refusals.malformed_query(
            "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        )
    signed_at = find_moment(parameters["X-Amz-Date"])
    if signed_at is None:
        raise _bad_query(
            style, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        )
    span_s = (
        _read_span(parameters["X-Amz-Expires"], style) if "X-Amz-Expires" in parameters else None
    )
    credential = _read_credential(parameters["X-Amz-Credential"], style)
    claim = Claim(*credential, parameters["X-Amz-SignedHeaders"], parameters["X-Amz-Signature"])
    return claim, parameters["X-Amz-Date"], signed_at, span_s


def _read_span(text: str, style: Style) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise _bad_query(style, "X-Amz-Expires should be a number")
    if text.startswith("-"):
        raise _bad_query(style, "X-Amz-Expires must be non-negative")
    if len(digits) > 9 or int(digits) > LONGEST_PRESIGNED_S:
        raise _bad_query(
            style,
            f"X-Amz-Expires must be less than a week (in seconds) that is {LONGEST_PRESIGNED_S}",
        )
    return int(digits)


def _bad_query(style: Style, detail: str) -> refusals.SignatureError:
    return (
        refusals.malformed_query(detail) if style is Style.S3 else refusals.malformed(style, detail)
    )


def _incomplete_query(style: Style, given: Mapping[str, str]) -> refusals.SignatureError:
    if style is Style.S3:
        return refusals.malformed_query(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    missing = [n for n in _PARAMETERS[:-1] if not given.get(n)]
    detail = " ".join(f"AWS query-string parameters must include '{n}'." for n in missing)
    return refusals.malformed(style, f"{detail} Re-examine the query-string parameters.".strip())


def read_moment(
    headers: Mapping[str, str], style: Style, authorization: str
) -> tuple[str, dt.datetime]:
    """Return when the request says it was signed, as the signature has it and as a time."""
    text = headers.get("x-amz-date")
    if text is not None:
        moment = find_moment(text)
        if moment is not None:
            return text, moment
        raise _bad_date(style, f"Date must be in ISO-8601 'basic format'. Got '{text}'.")
    date = headers.get("date")
    if date is None:
        if style is Style.S3:
            raise refusals.SignatureError(
                "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
            )
        raise refusals.malformed(style, _NO_DATE, authorization)
    moment = find_moment(date)
    if moment is None:
        try:
            moment = parsedate_to_datetime(date).astimezone(dt.UTC)
        except ValueError as error:
            raise _bad_date(style, f"Date header is not a date. Got '{date}'.") from error
    return refusals.basic_time(moment), moment


def _bad_date(style: Style, detail: str) -> refusals.SignatureError:
    if style is Style.S3:
        return refusals.SignatureError(
            "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
        )
    return refusals.malformed(style, detail)


@lru_cache(maxsize=256)
def find_moment(text: str) -> dt.datetime | None:
    """Read `20260105T100000Z`, or return None when it is something else."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        return None
    try:
        return dt.datetime(*map(int, found.groups()), tzinfo=dt.UTC)  # pyright: ignore[reportArgumentType] - six numbers
    except ValueError:
        return None


def check_scope(claim: Claim, style: Style, services: Collection[str], timestamp: str) -> None:
    """Raise SignatureError unless the key is scoped to the target and to the day of the request."""
    if claim.service not in services:
        name = min(services)
        if style is Style.S3:
            detail = f'incorrect service "{claim.service}". This endpoint belongs to "{name}".'
            raise refusals.malformed(style, detail)
        raise refusals.mismatch(
            style, f"Credential should be scoped to correct service: '{name}'. "
        )
    if not timestamp.startswith(claim.date):
        day = timestamp[:8]
        if style is Style.S3:
            detail = f'Invalid credential date "{claim.date}". This date is not the same as X-Amz-Date: "{day}".'
            raise refusals.malformed(style, detail)
        detail = (
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{claim.date}' != '{day}', from '{timestamp}'."
        )
        raise refusals.mismatch(style, detail)


class SignedHeaders:
    """What a SignedHeaders text asks for."""

    def __init__(self, text: str) -> None:
        self.names = tuple(text.split(";"))
        self.name_set = frozenset(self.names)
        escaped = [name.replace("%", "%%") for name in self.names]
        self._form = "".join(f"{name}:%s\n" for name in escaped)
        self._values = itemgetter(*self.names) if len(self.names) > 1 else None

    def lines(self, headers: Mapping[str, str]) -> str:
        """Return the canonical lines of a request's signed headers; one that is absent counts as empty."""
        if self._values is not None:
            try:
                return self._form % self._values(headers)
            except KeyError:
                pass
        return self._form % tuple(headers.get(name, "") for name in self.names)


@lru_cache(maxsize=128)
def signed_headers(text: str) -> SignedHeaders:
    """Read SignedHeaders."""
    return SignedHeaders(text)


class Usual:
    """What the beginning of an Authorization header says, up to the signature."""

    def __init__(self, parts: tuple[str, str, str, str, str]) -> None:
        self.parts = parts
        self.access_key_id, self.date, self.region, self.service, self.signed_headers = parts
        self.scope = f"{self.date}/{self.region}/{self.service}/aws4_request"
        self._signed = signed_headers(self.signed_headers)
        #: Names that a request has had beside the signed ones: none of them must be signed.
        self._is_known: dict[tuple[str, ...], bool] = {}

    def lines(self, headers: dict[str, str]) -> str | None:
        """Return the canonical lines of the signed headers; None if one is absent, or another must be signed too."""
        names = tuple(headers)
        is_complete = self._is_known.get(names)
        if is_complete is None:
            signed = self._signed.name_set
            is_complete = "host" in signed and signed.issubset(names)
            is_complete = is_complete and not _unsigned_names(names, signed)
            is_short = sum(map(len, names)) <= _LONGEST_KEPT
            if is_short and len(self._is_known) < _MOST_KNOWN:
                self._is_known[names] = is_complete
        return self._signed.lines(headers) if is_complete else None


#: Sets of headers that are kept of one key's user; a program sends one or two.
_MOST_KNOWN = 4


def read_usual(beginning: str) -> Usual | None:
    """Read an Authorization header up to the signature; None if it is not as all clients write it."""
    return _read_kept(beginning) if len(beginning) <= _LONGEST_KEPT else _read(beginning)


def _read(beginning: str) -> Usual | None:
    found = _BEGINNING.fullmatch(beginning)
    return Usual((found[1], found[2], found[3], found[4], found[5])) if found else None


_read_kept = lru_cache(maxsize=512)(_read)


@lru_cache(maxsize=128)
def _unsigned_names(sent: tuple[str, ...], signed: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in sent if name not in signed and name[:6] == "x-amz-")


def check_signed_headers(names: frozenset[str], headers: Mapping[str, str], style: Style) -> None:
    """Raise SignatureError unless `host` and every `x-amz-…` header of the request is signed.

    A session token may be added after signing ("post-sts-header-after" of AWS's test suite); its value is checked
    against the key, so nothing is lost.
    """
    unsigned = _unsigned_names(tuple(headers), names)
    if not unsigned and "host" in names:
        return
    open_names = list(unsigned)
    if style is not Style.S3 and open_names == ["x-amz-security-token"]:
        open_names = []
    if "host" not in names:
        open_names.insert(0, "host")
    if not open_names:
        return
    if style is Style.S3:
        raise refusals.SignatureError(
            "AccessDenied",
            "There were headers present in the request which were not signed",
            extra={"HeadersNotSigned": ", ".join(open_names)},
        )
    name = "'Host' or ':authority'" if open_names[0] == "host" else f"'{open_names[0]}'"
    raise refusals.mismatch(style, f"{name} must be a 'SignedHeader' in the AWS Authorization.")
