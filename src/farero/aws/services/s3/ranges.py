"""Which bytes of an object a request wants: `Range`, `partNumber`, `x-amz-copy-source-range`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from farero.aws.services.s3.errors import invalid_argument
from farero.aws.wire.messages import AwsError
from farero.objects.errors import RangeNotSatisfiable

if TYPE_CHECKING:
    from farero.records.objects import StoredObject

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def parse_range(text: str, size_bytes: int) -> tuple[int, int] | None:
    """Return (start, stop) of a Range header; None for one to be ignored, as S3 does with several ranges.

    Raises RangeNotSatisfiable when it begins after the last byte (RFC 9110 section 14.1.2).
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None or text.strip() == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        start, stop = max(size_bytes - int(last), 0), size_bytes
    else:
        start, stop = int(first), size_bytes
        if last:
            if int(last) < start:
                return None
            stop = min(int(last) + 1, size_bytes)
    if start >= stop:
        raise RangeNotSatisfiable(text, size_bytes)
    return start, stop


def parse_copy_range(text: str, size_bytes: int) -> tuple[int, int]:
    """Return (start, stop) of a copy source range, which must lie inside the object."""
    found = _RANGE.fullmatch(text)
    if found is None or not all(found.groups()) or int(found[1]) > int(found[2]):
        raise invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
            "x-amz-copy-source-range",
            text,
        )
    if int(found[2]) >= size_bytes:
        raise invalid_argument(
            f"Range specified is not valid for source object of size: {size_bytes}",
            "x-amz-copy-source-range",
            text,
        )
    return int(found[1]), int(found[2]) + 1


def part_range(stored: StoredObject, number: int) -> tuple[int, int]:
    """Return (start, stop) of one part; an object that was put whole is its own part 1."""
    parts = stored.details.parts
    count = max(len(parts), 1)
    if not 1 <= number <= count:
        raise AwsError(
            "InvalidPartNumber",
            "The requested partnumber is not satisfiable",
            416,
            members={"PartNumberRequested": number, "ActualPartCount": count},
        )
    if not parts:
        return 0, stored.size_bytes
    start = sum(part.size_bytes for part in parts[: number - 1])
    return start, start + parts[number - 1].size_bytes
