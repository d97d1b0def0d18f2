"""Scores as text: CSV, JSON and JSON lines, as the XGBoost image of each version writes them.

Facts: sagemaker-xgboost-container's encoder. Versions before 1.2 know CSV alone. A finite float's `repr` is its JSON,
so texts are built from it; what is not finite goes the long way, as a string.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import os
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from farero_container.serve import content, numbers
from farero_container.serve.messages import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero_container.serve.frameworks.xgboost_selected import Selection

FIRST_WITH_ACCEPT = (1, 2)
JSON = "application/json"
CSV = "text/csv; charset=utf-8"


class Answers:
    """Writes answers for one model and one image version."""

    def __init__(self, version: tuple[int, ...], selection: Selection | None) -> None:
        self._selection = selection
        self._has_accept = version >= FIRST_WITH_ACCEPT or selection is not None
        self._is_batch = os.environ.get("SAGEMAKER_BATCH", "").lower() == "true"
        self._default = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")

    def write(self, scores: Any, accept: str | None, *, is_json: bool) -> Response | None:
        """Write scores, shape (rows,) or (rows, outputs); None for an Accept that is not supported.

        is_json: the caller sent JSON where AWS takes none; who then accepts anything gets JSON.
        """
        wanted = accepted(accept, self._default)
        is_lenient_json = is_json and accept in (None, "", "*/*")
        if self._selection is not None:
            selected = JSON if is_lenient_json and not self._is_batch else wanted
            if response := self._selection.answer(scores, selected):
                return response
        values: list[Any] = scores.tolist()
        if not self._is_batch:
            if is_lenient_json or (self._has_accept and wanted == JSON):
                return Response(200, {"content-type": JSON}, _json(values).encode())
            if self._has_accept and wanted in content.JSONLINES:
                lines = "\n".join([f'{{"score": {_json_value(value)}}}' for value in values])
                return Response(200, {"content-type": wanted}, (lines + "\n").encode())
            if self._has_accept and wanted not in ("text/csv", ""):
                return None
        headers = {"content-type": CSV}
        if self._is_batch or self._has_accept:
            lines = "\n".join([_csv_line(value, as_list=self._is_batch) for value in values])
            return Response(200, headers, (lines + "\n").encode())
        return Response(200, headers, ",".join(map(str, values)).encode())

    def write_all(
        self, scores: Any, counts: Sequence[int], accept: str | None, *, is_json: bool
    ) -> tuple[dict[str, str], list[bytes]] | None:
        """Write the finite scores of several callers, of each as many rows as `counts` says: headers, and their bodies.

        None where `write` must see each one's alone.
        """
        wanted = accepted(accept, self._default)
        is_lenient_json = is_json and accept in (None, "", "*/*")
        is_plain = self._selection is None and self._has_accept and not self._is_batch
        if not is_plain or sum(counts) != len(scores) or not np.isfinite(scores).all():
            return None
        lines = numbers.lines_of(scores)
        if is_lenient_json or wanted == JSON:
            kind = JSON
            left, right = (b"[", b"]") if scores.ndim > 1 else (b"", b"")
            opening, end = b'{"predictions": [{"score": ' + left, right + b"}]}"
            between = right + b'}, {"score": ' + left
            lines = [line.replace(b",", b", ") for line in lines]
        elif wanted in ("text/csv", ""):
            kind, opening, between, end = CSV, b"", b"\n", b"\n"
        else:
            return None
        if len(lines) == len(counts):
            bodies = [opening + line + end for line in lines]
        else:
            rest = iter(lines)
            bodies = [
                opening + between.join(itertools.islice(rest, count)) + end for count in counts
            ]
        return {"content-type": kind}, bodies


@functools.lru_cache(maxsize=64)
def accepted(accept: str | None, default: str) -> str:
    """Return the first type of an Accept header that is known; `default` for none or any."""
    for part in (accept or "*/*").split(","):
        kind = content.media_type(part)
        if kind in ("", "*/*", "text/*"):
            return default
        if kind in ("text/csv", JSON, *content.JSONLINES):
            return kind
    return content.media_type(accept)


def _json(values: list[Any]) -> str:
    scores = "}, ".join([f'{{"score": {_json_value(value)}' for value in values])
    return f'{{"predictions": [{scores}{"}" if values else ""}]}}'


def _json_value(value: Any) -> str:
    text = repr(value)
    if "n" in text:  # nan, inf
        return json.dumps(_finite(value))
    return text


def _csv_line(value: Any, *, as_list: bool) -> str:
    """One record's scores; several classes are columns, or a printed list as AWS's batch path has it."""
    if as_list or isinstance(value, float):
        return str(value)
    return ",".join(map(str, value))


def _finite(value: Any) -> Any:
    """JSON has no NaN: what is not finite is told as a string."""
    if isinstance(value, list):
        return [_finite(item) for item in cast("list[float]", value)]
    return value if math.isfinite(value) else str(value)
