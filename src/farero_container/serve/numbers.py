"""Bodies that are nothing but numbers, read in C: arrays of JSON and CSV → float32; and numbers as text.

Whatever is not plainly that (missing values, text, rows of different lengths, faults) is None here, and the exact
readers in `content.py` and `handler.py` decide what it is and what to say: these here agree with them to the last bit,
or are silent. msgspec reads small bodies, pysimdjson large ones; where they are missing, the standard library reads.
"""

from __future__ import annotations

import array
import functools
import importlib
import itertools
import json
import re
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]

#: From here on pysimdjson is quicker: 0.2 ms for 6,000 numbers, where msgspec takes 0.7 and the standard library 1.6.
LARGE_BYTES = 2048
#: Above it what pysimdjson keeps for the next body is given back: three times the largest body.
KEPT_BYTES = 1 << 20
MOST_DIMENSIONS = 6
#: The structure of longer ones is not remembered; of 64 that are, this is at most 2 MB.
LONGEST_KEPT_MARKS = 32 * 1024
#: All that stands in an array of numbers but its structure.
_NOT_STRUCTURE = b"0123456789+-.eE \t\r\n"
#: A zero with a sign: JSON has it as the integer 0, `float` as -0.0.
_MINUS_ZERO = re.compile(rb"-0(?![.eE0-9])")


def _find(name: str) -> Any:
    try:
        return importlib.import_module(name)  # optional: quicker where it is there
    except ImportError:
        return None


_msgspec = _find("msgspec")
_simdjson = _find("simdjson")
_parser = _simdjson.Parser() if _simdjson else None
_row = _msgspec.json.Decoder(list[float]).decode if _msgspec else None
_rows = _msgspec.json.Decoder(list[list[float]]).decode if _msgspec else None
_blocks = _msgspec.json.Decoder(list[list[list[float]]]).decode if _msgspec else None

_encode: Any = _msgspec.json.Encoder().encode if _msgspec else None
#: What msgspec writes otherwise than `repr`: 0.00001 and 1e16, for 1e-05 and 1e+16. Each begins with letters that are
#: looked for in C.
_TINY = re.compile(rb"0\.0000(0*)([1-9])([0-9]*)")
_EXPONENT = re.compile(rb"e(-?)\+?([0-9]+)")
_ODD = [5e-324, -1.5e-7, 1e-6, 1e-5, 9.9e-05, 0.0001, 0.1, 10.00001, 1e15, 1e16, -1.5e17, 1e300]


def json_array(text: bytes) -> Singles | None:
    """Read `[…]`, `[[…]]` and deeper: an array of the same shape, if all its rows have one length."""
    text = text.strip()
    if not text.startswith(b"["):
        return None
    try:
        if _parser and len(text) > LARGE_BYTES:
            found = _large(text)
            return None if found is None else to_float32(found)
        return _small(text)
    except Exception:  # noqa: BLE001 - each reader has errors of its own; the exact one will say what it is
        return None


def json_member(body: bytes, names: frozenset[bytes]) -> bytes | None:
    """Return the text of the array in `{"name": […]}`, an object of one member.

    names: those that count, each with its quotes.
    """
    text = body.strip()
    if not text.startswith(b"{") or not text.endswith(b"}"):
        return None
    colon = text.find(b":")
    if colon < 0 or text[1:colon].strip() not in names:
        return None
    begin = text.find(b"[", colon)
    if begin < 0 or text[colon + 1 : begin].strip():
        begin = colon + 1
    return text[begin:-1]  # a large body is copied once


def csv_matrix(body: bytes, *, commas_only: bool = False) -> Singles | None:
    """Read rows of numbers with one delimiter: commas, semicolons, tabs or bars."""
    text = body.strip().replace(b"\r\n", b"\n")
    line = text.partition(b"\n")[0]
    columns = 1
    for delimiter in (b",",) if commas_only else (b",", b";", b"\t", b"|"):
        if delimiter in line[:512]:
            columns = line.count(delimiter) + 1
            break
    else:
        delimiter = b","
    if b"\r" in text or (delimiter != b"," and b"," in text) or (columns == 1 and b" " in line):
        return None
    joined = text if delimiter == b"," else text.replace(delimiter, b",")
    try:
        values = _flat(b"[" + joined.replace(b"\n", b",") + b"]")
    except Exception:  # noqa: BLE001 - as above
        return None
    if values is None or not _is_table(joined, columns, len(values)):
        return None
    if b"-0" in text and not values.all() and _MINUS_ZERO.search(text):
        return None
    return values.reshape(-1, columns)


def json_rows_of_all(
    bodies: Sequence[bytes], names: frozenset[bytes]
) -> tuple[Singles, list[int]] | None:
    """Read several callers' bodies at once: all their rows, and how many are each one's; None to read each alone.

    All must be arrays of rows, or one row, of the same length, under the same name or none (names: as `json_member`
    has them). Each has all of its brackets, so none completes another one.
    """
    first = bodies[0]
    begin, end = first.find(b"["), first.rfind(b"]") + 1
    before, after = first[:begin], first[end:]
    is_bare = not (before.strip() or after.strip())
    if _rows is None or not (
        is_bare or (json_member(first, names) or b"").strip() == first[begin:end]
    ):
        return None
    opening, closing, cut = before + b"[", b"]" + after, -len(after) or None
    texts = [
        body[begin:cut] for body in bodies if body.startswith(opening) and body.endswith(closing)
    ]
    shapes = [_table(text.translate(None, _NOT_STRUCTURE)) for text in texts]
    widths = {columns for _, columns, _ in shapes}
    if len(texts) != len(bodies) or len(widths) != 1 or 0 in widths:
        return None
    rows = [
        text[1:-1] if is_nested else text
        for text, (_, _, is_nested) in zip(texts, shapes, strict=True)
    ]
    try:
        read = _rows(b"[" + b",".join(rows) + b"]")
    except Exception:  # noqa: BLE001 - as above
        return None
    counts, [columns] = [count for count, _, _ in shapes], widths
    values = array.array("f", itertools.chain.from_iterable(read))
    if len(values) != sum(counts) * columns:
        return None
    return np.frombuffer(values, dtype=np.float32).reshape(-1, columns), counts


def csv_rows_of_all(bodies: Sequence[bytes]) -> tuple[Singles, list[int]] | None:
    """Read several callers' CSV at once, as `json_rows_of_all` does with JSON."""
    texts = [body.strip() for body in bodies]
    if not all(texts):
        return None
    rows = csv_matrix(b"\n".join(texts))
    return None if rows is None else (rows, [text.count(b"\n") + 1 for text in texts])


@functools.lru_cache(maxsize=256)
def _table(marks: bytes) -> tuple[int, int, bool]:
    """Return rows, columns, and whether the rows are arrays in an array; no columns for what is no table."""
    shape = _shape_of(marks)
    match shape:
        case (columns,):
            return 1, columns, False
        case (rows, columns):
            return rows, columns, True
        case _:
            return 0, 0, False


def lines_of(values: NDArray[Any]) -> list[bytes]:
    """Return each row's numbers as text, with commas between them: shortest and exact, to the letter as `repr`.

    values: shape (rows,) or (rows, columns), finite.
    """
    if not values.size or not _writes_as_repr:
        rows: list[Any] = values.tolist()
        return [repr(row).strip("[]").replace(" ", "").encode() for row in rows]
    text = _as_repr(_encode(values.tolist()))
    return text[1:-1].split(b",") if values.ndim == 1 else text[2:-2].split(b"],[")


def _as_repr(text: bytes) -> bytes:
    """Return msgspec's numbers as `repr` has them."""
    if b"e" in text:
        text = _EXPONENT.sub(_exponent, text)
    return _TINY.sub(_tiny, text) if b"0.0000" in text else text


def _exponent(found: re.Match[bytes]) -> bytes:
    return b"e" + (found[1] or b"+") + found[2].rjust(2, b"0")


def _tiny(found: re.Match[bytes]) -> bytes:
    start = found.start()
    if found.string[start - 1 : start].isdigit():
        return found[0]  # of 10.00001
    zeros, first, rest = found.groups()
    return b"%b%b%be-%02d" % (first, rest and b".", rest, len(zeros) + 5)


def to_float32(values: Floats) -> Singles:
    """Round to single precision; what is beyond it is infinite, as documented."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _is_table(text: bytes, columns: int, count: int) -> bool:
    lines = text.count(b"\n") + 1
    if lines * columns != count:
        return False
    return lines == 1 or all(line.count(b",") == columns - 1 for line in text.split(b"\n"))


def _flat(text: bytes) -> Singles | None:
    """Read one array without arrays in it."""
    if _parser and len(text) > LARGE_BYTES:
        return to_float32(_by_simdjson(text))
    if _row:
        # rounds as `to_float32` does, and a few numbers in a third of the time
        return np.frombuffer(array.array("f", _row(text)), dtype=np.float32)
    values = _array_of(json.loads(text))
    return None if values is None else to_float32(values)


def _small(text: bytes) -> Singles | None:
    begin = text[1:64].lstrip()
    is_deep = begin.startswith(b"[") and begin[1:].lstrip().startswith(b"[")
    if _row is None or _rows is None or _blocks is None or is_deep:
        found = _array_of(json.loads(text) if _blocks is None else _blocks(text))
        return None if found is None else to_float32(found)
    if not begin.startswith(b"["):
        values = array.array("f", _row(text))
        return np.frombuffer(values, dtype=np.float32) if values else None
    rows = _rows(text)
    columns = len(rows[0])
    # rounds as `to_float32` does; a few numbers in a third of the time
    values = array.array("f", itertools.chain.from_iterable(rows))
    if not columns or any(len(row) != columns for row in rows):
        return None
    return np.frombuffer(values, dtype=np.float32).reshape(len(rows), columns)


def _array_of(value: Any) -> Floats | None:
    """Return an array of nested lists. Raises ValueError if they are no block."""
    array: NDArray[Any] = np.array(value)
    if array.dtype.kind not in "iuf" or not array.size:
        return None  # text, nulls, booleans: the exact readers know what they mean
    return array.astype(np.float64, copy=False)


def _large(text: bytes) -> Floats | None:
    values = _by_simdjson(text)
    marks = text.translate(None, _NOT_STRUCTURE)
    # requests of one program have one shape: it is found once
    shape = _known_shape_of(marks) if len(marks) <= LONGEST_KEPT_MARKS else _shape_of(marks)
    return values.reshape(shape) if shape and len(values) else None


def _by_simdjson(text: bytes) -> Floats:
    """Read all numbers of nested arrays in order; their structure is not told. Raises on anything else."""
    assert _simdjson
    parser = _parser if len(text) <= KEPT_BYTES else _simdjson.Parser()
    return np.frombuffer(cast("Any", parser).parse(text).as_buffer(of_type="d"), dtype=np.float64)


def _shape_of(marks: bytes) -> tuple[int, ...] | None:
    """Return the shape of nested arrays of numbers, None if their lengths differ.

    marks: their brackets and commas alone, which must be the same pattern over and over.
    """
    depth = len(marks) - len(marks.lstrip(b"["))
    if not 0 < depth <= MOST_DIMENSIONS:
        return None
    shape: list[int] = []
    pattern = b""  # of one item of the level
    for level in range(1, depth + 1):
        first = marks[depth - level : marks.find(b"]" * level) + level]
        length = (len(first) - 1) // (len(pattern) + 1)
        pattern = b"[" + b",".join([pattern] * length) + b"]"
        if pattern != first:
            return None
        shape.append(length)
    return tuple(reversed(shape))


_known_shape_of = functools.lru_cache(maxsize=64)(_shape_of)


def _is_repr() -> bool:
    if _msgspec is None:
        return False
    return _as_repr(_encode(_ODD)) == repr(_ODD).replace(" ", "").encode()


_writes_as_repr = _is_repr()
