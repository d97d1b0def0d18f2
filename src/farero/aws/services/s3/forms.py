"""Reading multipart/form-data in pieces (RFC 7578): fields first, then the file, which may be large."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from farero.aws.services.s3.bodies import too_large
from farero.aws.wire.messages import AwsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from farero.aws.wire.messages import Value

#: Everything before the file (S3 API: "POST Object": "form fields … must not exceed 20 KB").
LARGEST_FIELDS = 20 * 1024
_LONGEST_HEAD = 8 * 1024
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)
_PARAMETER = re.compile(r'(name|filename)="((?:[^"\\]|\\.)*)"', re.IGNORECASE)


class FormReader:
    """One form. First `read_fields`, which stops where the file begins, then `file_pieces` to its end."""

    def __init__(self, content_type: str, body: Value) -> None:
        found = _BOUNDARY.search(content_type)
        if found is None:
            raise _malformed()
        self._mark = b"\r\n--" + (found[1] or found[2]).encode("latin-1")
        self._buffer = b"\r\n"  # so that the first boundary looks like all others
        self._body = _pieces_of(body)
        #: The file's own name, without its folders; empty if the client gave none.
        self.filename = ""

    async def read_fields(self) -> dict[str, str]:
        """Return the fields before the file, names in lower case. Raises AwsError for a form without a file."""
        fields: dict[str, str] = {}
        await self._upto(self._mark, most=_LONGEST_HEAD)
        size = 0
        while True:
            await self._at_least(2)
            if self._buffer.startswith(b"--"):
                raise AwsError(
                    "InvalidArgument",
                    "POST requires exactly one file upload per request.",
                    members={"ArgumentName": "file", "ArgumentValue": 0},
                )
            head = (await self._upto(b"\r\n\r\n", most=_LONGEST_HEAD)).decode(errors="replace")
            found = dict(_PARAMETER.findall(head))
            name = found.get("name", "").lower()
            if name == "file":
                self.filename = re.split(r"[/\\]", found.get("filename", ""))[-1]
                return fields
            value = await self._upto(self._mark, most=LARGEST_FIELDS)
            size += len(value)
            if size > LARGEST_FIELDS:
                raise _fields_too_large()
            fields[name] = value.decode(errors="replace")

    async def file_pieces(self, *, most: int | None) -> AsyncIterator[bytes]:
        """Yield the file. Raises EntityTooLarge beyond `most` bytes."""
        size = 0
        while True:
            place = self._buffer.find(self._mark)
            # The last bytes may be the beginning of the boundary.
            safe = place if place >= 0 else max(len(self._buffer) - len(self._mark), 0)
            piece, self._buffer = self._buffer[:safe], self._buffer[safe:]
            size += len(piece)
            if most is not None and size > most:
                raise too_large()
            if piece:
                yield piece
            if place >= 0:
                return
            if not await self._more():
                raise _malformed()

    async def _upto(self, mark: bytes, *, most: int) -> bytes:
        while True:
            place = self._buffer.find(mark)
            if place >= 0:
                before = self._buffer[:place]
                self._buffer = self._buffer[place + len(mark) :]
                return before
            if len(self._buffer) > most:
                raise _fields_too_large()
            if not await self._more():
                raise _malformed()

    async def _at_least(self, count: int) -> None:
        while len(self._buffer) < count:
            if not await self._more():
                raise _malformed()

    async def _more(self) -> bool:
        async for piece in self._body:
            self._buffer += piece
            return True
        return False


async def _pieces_of(body: Value) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        yield body
        return
    async for piece in cast("AsyncIterator[bytes]", body):
        yield piece


def _malformed() -> AwsError:
    return AwsError(
        "MalformedPOSTRequest",
        "The body of your POST request is not well-formed multipart/form-data.",
    )


def _fields_too_large() -> AwsError:
    return AwsError(
        "MaxPostPreDataLengthExceeded",
        "Your POST request fields preceding the upload file were too large.",
        members={"MaxPostPreDataLengthBytes": LARGEST_FIELDS},
    )
