"""Timestamps, blobs, numbers and booleans: text ↔ value.

Formats: Smithy's timestamp formats `date-time` (here `iso8601`), `http-date` (`rfc822`) and `epoch-seconds`
(`unixTimestamp`); the names are those of botocore's models.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import email.utils
import math
import re
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from botocore.model import Shape

    from farero.aws.wire.messages import Value

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_parse_http_date = email.utils.parsedate_to_datetime
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
SPECIAL_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
#: Deepest nesting accepted in a body; the deepest modelled request has 12 levels.
MAX_DEPTH = 100


class Malformed(ValueError):  # noqa: N818 - says what the input is
    """The request cannot be read; `in_body` says whether the fault is in the body or around it."""

    def __init__(self, message: str, *, in_body: bool = True) -> None:
        self.message = message
        self.in_body = in_body
        super().__init__(message)


def read_timestamp(value: Value) -> dt.datetime:
    """Return an aware datetime for epoch seconds, ISO 8601 text or an HTTP date, whichever it is."""
    try:
        if isinstance(value, (int, float)):
            return _EPOCH + dt.timedelta(microseconds=round(value * 1_000_000))
        text = str(value).strip()
        if text.replace(".", "", 1).removeprefix("-").isdigit():
            return read_timestamp(float(text))
        parse = dt.datetime.fromisoformat if text[:4].isdigit() else _parse_http_date
        moment = parse(text)
    except (ValueError, OverflowError, TypeError) as error:
        raise Malformed(f"'{value}' is not a timestamp") from error
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def write_timestamp(value: Value, form: str) -> str | int | float:
    """Return `value` (a datetime or epoch seconds) in the format `form`; milliseconds at most, as AWS."""
    moment = value if isinstance(value, dt.datetime) else read_timestamp(value)
    moment = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    if form.lower() == "unixtimestamp":
        milliseconds = (moment - _EPOCH) // dt.timedelta(milliseconds=1)
        return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000
    if form.lower() == "rfc822":
        return email.utils.format_datetime(moment, usegmt=True)
    parts = f"{moment:%m-%dT%H:%M:%S}"
    fraction = f".{moment.microsecond // 1000:03d}" if moment.microsecond >= 1000 else ""
    return f"{moment.year:04d}-{parts}{fraction}Z"


def timestamp_format(shape: Shape, default: str) -> str:
    """Return the format that the model asks for, or the protocol's own."""
    return cast("str", shape.serialization.get("timestampFormat", default))


def read_blob(text: Value) -> bytes:
    """Decode base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise Malformed("a binary value is not valid base64") from error


def write_blob(value: Value) -> str:
    """Encode bytes (or text as UTF-8) in base64."""
    return base64.b64encode(value.encode() if isinstance(value, str) else bytes(value)).decode()


def read_float(value: Value) -> float:
    """Return a number, or the NaN or infinity that text names."""
    if isinstance(value, str):
        if value in SPECIAL_FLOATS:
            return SPECIAL_FLOATS[value]
        if not _NUMBER.fullmatch(value):
            raise Malformed(f"'{value[:64]}' is not a number")
    try:
        return float(value)
    except OverflowError as error:
        raise Malformed("A number is too large") from error


def read_integer(kind: str, value: Value) -> int:
    """Return an `integer` (32 bits) or a `long` (64 bits), given as a number or as decimal text."""
    if isinstance(value, str) and not (_INTEGER.fullmatch(value) and len(value) < 21):
        raise Malformed(f"'{value[:64]}' is not an integer")
    number = int(value)
    limit = 1 << (31 if kind == "integer" else 63)
    if not -limit <= number < limit:
        raise Malformed(f"A number does not fit {'an Integer' if kind == 'integer' else 'a Long'}")
    return number


def write_float(value: float) -> float | str:
    """Return a finite number as it is; name NaN and the infinities as Smithy does."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def from_text(shape: Shape, text: str) -> Value:
    """Read a scalar out of a header, a query string, a URI, a form field or an XML element."""
    kind = shape.type_name
    if kind in ("integer", "long"):
        return read_integer(kind, text.strip())
    if kind in ("float", "double"):
        return read_float(text.strip())
    if kind == "boolean":
        if text.strip().lower() not in ("true", "false"):
            raise Malformed(f"'{text}' is not a boolean")
        return text.strip().lower() == "true"
    if kind == "timestamp":
        return read_timestamp(text)
    if kind == "blob":
        return read_blob(text.strip())
    return text


def to_text(shape: Shape, value: Value, default_format: str) -> str:
    """Write a scalar for a header, a query string or an XML element."""
    kind = shape.type_name
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "timestamp":
        return str(write_timestamp(value, timestamp_format(shape, default_format)))
    if kind == "blob":
        return write_blob(value)
    if kind in ("float", "double"):
        return str(write_float(value))
    return str(value)
