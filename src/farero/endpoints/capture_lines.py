"""One captured invocation as a line of JSON, byte for byte as AWS writes it.

Follows AWS's "Data capture" page and the record of its Model Monitor examples.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    import datetime as dt

    from farero.endpoints.capture import CaptureTarget

_quote = orjson.dumps
_BEGIN, _MIDDLE = b'{"captureData":{', b'},"eventMetadata":{"eventId":"'


class Payload(NamedTuple):
    """One half of an invocation; a tuple, as every request makes two."""

    #: Content-Type as it came; None when there was none.
    content_type: str | None
    body: bytes


class Invocation(NamedTuple):
    """One request to a model and its answer."""

    event_id: str
    at: dt.datetime
    request: Payload
    #: None when the model gave no answer or an error: then only the input is captured.
    response: Payload | None
    inference_id: str | None = None
    custom_attributes: str | None = None


def make_record(target: CaptureTarget, invocation: Invocation) -> bytes:
    """Return one line, with its newline; key order and spacing are AWS's."""
    parts = [_BEGIN]
    if target.captures_input:
        parts += _half(target, invocation.request, "Input")
    if target.captures_output and invocation.response is not None:
        if len(parts) > 1:
            parts.append(b",")
        parts += _half(target, invocation.response, "Output")
    ids = _ids(invocation.inference_id, invocation.custom_attributes)
    parts += (_MIDDLE, invocation.event_id.encode(), ids, ending_at(invocation.at))
    return b"".join(parts)


class Recorder:
    """Makes the lines of invocations that differ in their bodies alone; what they share is worked out once."""

    def __init__(
        self,
        target: CaptureTarget,
        request_type: str | None,
        response_type: str | None,
        inference_id: str | None = None,
        custom_attributes: str | None = None,
    ) -> None:
        self.target = target
        self._types = request_type, response_type
        self._given = inference_id, custom_attributes
        kinds = target.csv_types, target.json_types
        before, after = _described("Input", request_type, *kinds)
        opening, end = _described("Output", response_type, *kinds)
        #: Whether both halves are captured, and as text where they are text.
        self._is_usual = bool(target.captures_input and target.captures_output and after and end)
        self._before, self._between = _BEGIN + before, after + b"," + opening
        self._after = end + _MIDDLE
        self._ids = _ids(*self._given)

    def line(
        self, event_id: bytes, at: dt.datetime, ending: bytes, request: bytes, response: bytes
    ) -> bytes:
        """Return what `make_record` returns; event_id: ASCII; ending: that of `at`."""
        if self._is_usual:
            try:
                parts = (
                    self._before, _quote(request.decode()), self._between, _quote(response.decode()), self._after,
                    event_id, self._ids, ending,
                )  # fmt: skip
            except UnicodeDecodeError:
                pass  # told apart below
            else:
                return b"".join(parts)
        halves = Payload(self._types[0], request), Payload(self._types[1], response)
        invocation = Invocation(event_id.decode(), at, *halves, *self._given)
        return make_record(self.target, invocation)


def ending_at(at: dt.datetime) -> bytes:
    """Return what ends all lines of one second of UTC."""
    return _ending(at.year, at.month, at.day, at.hour, at.minute, at.second)


def _ids(inference_id: str | None, custom_attributes: str | None) -> bytes:
    """Return what follows the event id up to the moment."""
    said = b'"' if inference_id is None else b'","inferenceId":' + _quote(inference_id)
    if custom_attributes is None:
        return said
    return said + b',"customAttributes":[' + _quote(custom_attributes) + b"]"


def _half(target: CaptureTarget, payload: Payload, half: str) -> tuple[bytes, ...]:
    opening, encoding = _described(half, payload.content_type, target.csv_types, target.json_types)
    if encoding:
        try:
            return opening, _quote(payload.body.decode()), encoding
        except UnicodeDecodeError:
            pass  # bytes that are no text would not come back as they were; they go the way that keeps them
    return opening, b'"', base64.b64encode(payload.body), b'","encoding":"BASE64"}'


@lru_cache(maxsize=256)
def _described(
    half: str, kind: str | None, csv_types: frozenset[str], json_types: frozenset[str]
) -> tuple[bytes, bytes]:
    """Return what stands before the data of a half, and after it where it is text, b"" where it is not."""
    bare = (kind or "").partition(";")[0].strip().lower()
    name = b"CSV" if bare in csv_types else b"JSON" if bare in json_types else b""
    observed = b"" if kind is None else b'"observedContentType":' + _quote(kind) + b","
    opening = (
        f'"endpoint{half}":{{'.encode() + observed + f'"mode":"{half.upper()}","data":'.encode()
    )
    return opening, name and b',"encoding":"' + name + b'"}'


@lru_cache(maxsize=16)
def _ending(*moment: int) -> bytes:
    time = b"%04d-%02d-%02dT%02d:%02d:%02dZ" % moment
    return b',"inferenceTime":"' + time + b'"},"eventVersion":"0"}\n'
