"""What a model answers, row by row: scores to explain, labels to measure bias of.

An answer of CSV is a list of texts, one of JSON whatever the JSON holds. `label` and `probability` of the predictor (or
the attributes of a monitored endpoint) say where in it a value is: a number counts columns, a text is a path.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np

from farero_monitor.clarify.config import ConfigError
from farero_monitor.clarify.data import at
from farero_monitor.clarify.rows import number, same
from farero_monitor.readers.flat import text
from farero_monitor.readers.records import WRAPPERS
from farero_monitor.untyped import pa, pc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero_monitor.clarify.config import Column, Value
    from farero_monitor.clarify.infinite import Array

#: Paths that lead to the rows of a whole answer end so: `predictions[*].score`.
_EACH = "[*]"


class AnswerError(Exception):
    """A model's answer is not what the configuration says; the text shows its beginning."""


def split(body: str, content_type: str, rows: int, path: Column | None = None) -> list[Any]:
    """Return the answer to each of `rows` rows. Raises AnswerError if there are more or fewer."""
    kind = content_type.split(";", 1)[0].strip().lower()
    try:
        if kind == "application/jsonlines":
            found = [msgspec.json.decode(line) for line in body.splitlines() if line.strip()]
        elif "json" in kind:
            found = _of_json(msgspec.json.decode(body), path)
        else:
            found = _of_csv(body)
    except msgspec.DecodeError as error:
        raise AnswerError(
            f"The model's answer is not {kind}: {error}. It begins: {body[:200]}"
        ) from error
    line = _list(found[0]) if len(found) == 1 else None
    if line is not None and rows > 1 and len(line) == rows:
        # some servers answer all rows in one line
        found = line if "json" in kind else [[one] for one in line]
    if len(found) != rows:
        raise AnswerError(
            f"The model answered {rows} rows with {len(found)}. Its answer begins: {body[:200]}"
        )
    return found


def plain_scores(body: str, content_type: str, rows: int) -> Array | None:
    """Return the scores of an answer of CSV with one number a line, Float64[rows, 1]; None for any other answer."""
    if "json" in content_type or "," in body or '"' in body:
        return None
    lines = body.removesuffix("\n").split("\n")
    if len(lines) != rows:
        return None
    try:
        found = pc.cast(pc.utf8_trim_whitespace(pa.array(lines, pa.string())), pa.float64())
    except pa.ArrowInvalid:
        return None
    return np.array(found.to_numpy(), np.float64)[:, None]


def _of_csv(body: str) -> list[Any]:
    if '"' in body:
        return [row for row in csv.reader(io.StringIO(body)) if row]
    return [line.rstrip("\r").split(",") for line in body.strip("\n").split("\n")]


def _of_json(whole: Any, path: Column | None) -> list[Any]:
    if isinstance(path, str) and _EACH in path:
        before = path.partition(_EACH)[0]
        whole = at(whole, before, "path") if before else whole
    elif isinstance(whole, dict):
        held = cast("dict[str, Any]", whole)
        lists = [held[name] for name in WRAPPERS if isinstance(held.get(name), list)]
        whole = lists[0] if len(lists) == 1 else [held]
    return cast("list[Any]", whole) if isinstance(whole, list) else [whole]


def part(answer: Any, which: Column | None, what: str) -> Any:
    """Return the part of a row's answer that `which` names; all of it for None. Raises AnswerError."""
    if which is None:
        return answer
    place = int(which) if isinstance(which, int) or which.isdigit() else None
    if place is not None and isinstance(answer, list):
        held = cast("list[Any]", answer)
        if place < len(held):
            return held[place]
        raise AnswerError(
            f"{what} is {which}, but the model answers {len(held)} values: {_short(held)}"
        )
    path = str(which).rpartition(_EACH)[2].lstrip(".")
    try:
        return at(answer, path, what) if path else answer
    except ConfigError as error:
        raise AnswerError(f"{error} The model answers: {_short(answer)}") from error


def scores(answers: Sequence[Any], which: Column | None, what: str = "probability") -> Array:
    """Return the numbers of every answer: Float64[rows, outputs]. Raises AnswerError."""
    found: list[list[float]] = []
    for answer in answers:
        held: Any = part(answer, which, what)
        many: list[Any] | None = _list(held)
        if many is None:
            many = list(cast("dict[str, Any]", held).values()) if isinstance(held, dict) else [held]
        numbers = [number(str(value)) for value in many]
        if not numbers or any(value is None for value in numbers):
            raise AnswerError(
                f"The model's answer is no number: {_short(cast('object', held))}. "
                "Say where its scores are: predictor.probability."
            )
        found.append([float(value) for value in numbers if value is not None])
    if len({len(row) for row in found}) > 1:
        raise AnswerError("The model answers some rows with more numbers than others.")
    return np.array(found, np.float64)


def positive(  # noqa: PLR0913
    answers: Sequence[Any], values: Sequence[Value], *, label: Column | None = None,
    probability: Column | None = None, threshold: float | None = None,
    headers: Sequence[Value] | None = None, known: Sequence[str] = (), above: float | None = None,
) -> Array:  # fmt: skip
    """Return which rows are predicted to have the positive outcome: Bool[rows]. Raises AnswerError.

    values: the positive labels; known: all labels of the data; above: the threshold of a continuous label.

    A score becomes a label as Clarify does it: one number is compared with `threshold` (0.5), of several the largest
    wins; `headers` are their labels, or else 0, 1, 2, …
    """
    if above is not None:
        return scores(answers, label if label is not None else probability, "label")[:, 0] > above
    if label is not None or probability is None:
        plain: list[Any] = []
        for answer in answers:
            held: Any = part(answer, label, "label")
            many = _list(held)
            plain.append(many[0] if many is not None and len(many) == 1 else held)
        if threshold is None and _are_labels(plain, known):
            return np.array(
                [any(same(v, str(text(one))) for v in values) for one in plain], np.bool_
            )
    which = probability if probability is not None else label
    found = scores(answers, which)
    names = list(headers) if headers else None
    if found.shape[1] == 1:
        above_it = found[:, 0] > (0.5 if threshold is None else threshold)
        if names:
            # the only header is the label the probability is of
            is_positive = any(same(value, str(names[-1])) for value in values)
            return above_it if is_positive else ~above_it
        yes, no = (any(same(value, text) for value in values) for text in ("1", "0"))
        if not yes and not no:
            raise AnswerError(
                f"The model answers a score, and the positive label is {', '.join(map(str, values))}: "
                "say which label the score is of with label_headers."
            )
        return (above_it & yes) | (~above_it & no)
    if names and len(names) != found.shape[1]:
        raise AnswerError(
            f"label_headers names {len(names)} labels, the model answers {found.shape[1]} scores."
        )
    best = found.argmax(axis=1)
    called = (
        [str(name) for name in names] if names else [str(place) for place in range(found.shape[1])]
    )
    wins = np.array([any(same(value, name) for value in values) for name in called], np.bool_)
    return wins[best]


def _are_labels(held: Sequence[Any], known: Sequence[str]) -> bool:
    """Tell whether values are labels of the data and not scores: all of them occur among its labels."""
    if any(isinstance(value, list | dict) for value in held):
        return False
    return all(any(same(one, label) for label in known) for one in {str(text(v)) for v in held})


def _list(value: Any) -> list[Any] | None:
    return cast("list[Any]", value) if isinstance(value, list) else None


def _short(value: object) -> str:
    return str(value)[:200]
