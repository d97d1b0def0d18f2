"""Bodies to numbers: CSV, libsvm, JSON, JSON lines, NPY, Parquet → a float32 matrix of shape (rows, columns).

An empty CSV cell, `NaN`, `null` and an empty string are missing (NaN). Infinite values are taken as they are; numbers
beyond float32 become infinite. Everything else that is no number is refused with the place where it stands.
"""

from __future__ import annotations

import functools
import importlib
import io
import json
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from farero_container.serve import numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

CSV = ("text/csv", "csv")
LIBSVM = ("text/libsvm", "text/x-libsvm", "libsvm")
JSON = ("application/json",)
JSONLINES = ("application/jsonlines", "application/x-jsonlines", "application/jsonl")
NPY = ("application/x-npy",)
PARQUET = ("application/x-parquet", "parquet")
#: Keys under which clients put their rows.
JSON_KEYS = ("inputs", "instances", "signals", "data", "features")
#: The same as they stand in a body.
JSON_MEMBERS = frozenset(f'"{key}"'.encode() for key in JSON_KEYS)


class Undecodable(Exception):  # noqa: N818 - the caller's fault
    """The body is not what its content type says."""


@functools.lru_cache(maxsize=256)
def media_type(header: str | None) -> str:
    """Return `type/subtype` of a Content-Type in lower case, "" if there is none."""
    return (header or "").partition(";")[0].strip().lower()


def decode(body: bytes, kind: str) -> Matrix:
    """Decode a body by media type; "" and unknown types are guessed (JSON, NPY, then CSV). Raises Undecodable."""
    if kind in LIBSVM:
        return libsvm(text(body))
    if kind in JSONLINES:
        return json_lines(text(body))
    if kind in PARQUET:
        return parquet(body)
    if kind in NPY or body.startswith(b"\x93NUMPY"):
        return npy(body)
    if kind in JSON or (kind not in CSV and body.lstrip()[:1] in (b"{", b"[")):
        matrix = numbers.json_array(numbers.json_member(body, JSON_MEMBERS) or body)
        if matrix is None or matrix.ndim > 2:
            matrix = json_rows(text(body))
        return matrix if matrix.ndim == 2 else matrix.reshape(1, -1)
    matrix = numbers.csv_matrix(body)
    return csv(text(body)) if matrix is None else matrix


def text(body: bytes) -> str:
    """Decode UTF-8. Raises Undecodable naming the first bad byte."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Undecodable(f"byte {error.start} is not UTF-8") from error


def csv(payload: str) -> Matrix:
    """Read CSV without header: the delimiter is sniffed from line 1, an empty cell is NaN."""
    lines = payload.strip().splitlines()
    if not lines:
        raise Undecodable("there is no row in it")
    delimiter = sniff_delimiter(lines[0])
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        rows.append(
            [_cell(cell, number, column) for column, cell in enumerate(line.split(delimiter), 1)]
        )
        if len(rows[-1]) != len(rows[0]):
            raise Undecodable(f"row {number} has {len(rows[-1])} columns, row 1 has {len(rows[0])}")
    return _matrix(rows)


def sniff_delimiter(line: str) -> str:
    """Return the delimiter of a CSV line: comma unless another one fits better."""
    head = line[:512]
    for candidate in (",", ";", "\t", "|"):
        if candidate in head:
            return candidate
    return " " if " " in head.strip() else ","


def _cell(cell: str, row: int, column: int) -> float:
    word = cell.strip().strip('"')
    if not word:
        return float("nan")
    try:
        return float(word)
    except ValueError:
        shown = word if len(word) <= 40 else word[:37] + "..."
        raise Undecodable(f"row {row}, column {column}: {shown!r} is not a number") from None


def libsvm(payload: str) -> Matrix:
    """Read `[label] index:value …` lines; absent features are NaN. Indices count from 0."""
    rows: list[dict[int, float]] = []
    for number, line in enumerate(payload.strip().splitlines(), 1):
        row: dict[int, float] = {}
        for place, token in enumerate(line.split()):
            index, colon, value = token.partition(":")
            if not colon:
                if place == 0:
                    continue
                raise Undecodable(f"line {number}: {token[:40]!r} is not index:value")
            try:
                row[int(index)] = float(value)
            except ValueError:
                raise Undecodable(f"line {number}: {token[:40]!r} is not index:value") from None
            if not 0 <= int(index) < 1_000_000:
                raise Undecodable(f"line {number}: index {index} is out of range")
        rows.append(row)
    width = max((max(row, default=-1) for row in rows), default=-1) + 1
    if len(rows) * width > 50_000_000:
        raise Undecodable(f"{len(rows)} rows of {width} features are too many for one request")
    matrix = np.full((len(rows), width), np.nan, dtype=np.float32)
    for number, row in enumerate(rows):
        for index, value in row.items():
            matrix[number, index] = value
    return matrix


def parse_json(payload: str) -> Any:
    """Parse JSON. Raises Undecodable with the place of the fault."""
    try:
        return json.loads(payload)
    except json.JSONDecodeError as error:
        raise Undecodable(
            f"malformed JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except (RecursionError, ValueError) as error:
        raise Undecodable(f"unreadable JSON: {type(error).__name__}") from error


def json_rows(payload: str) -> Matrix:
    """Read `{"inputs": [[…]]}`, `{"instances": …}`, a list of rows, or one row."""
    return rows_of(parse_json(payload))


def rows_of(value: Any) -> Matrix:
    """Return the matrix in a JSON value. Raises Undecodable saying what is accepted."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        for key in JSON_KEYS:
            if key in members:
                return rows_of(members[key])
        raise Undecodable(f"a JSON object needs one of the keys {', '.join(JSON_KEYS)}")
    if not isinstance(value, list):
        raise Undecodable(f"expected a list of rows, got {_json_name(value)}")
    given = _as_list(value)
    if given and all(isinstance(row, dict) for row in given):
        given = [_features(row) for row in given]
    if not any(isinstance(row, list) for row in given):
        given = [given]
    rows: list[list[float]] = []
    for number, row in enumerate(given, 1):
        if _json_name(row) != "a list":
            raise Undecodable(f"row {number} is {_json_name(row)}, not a list of numbers")
        items = _as_list(row)
        rows.append([_json_number(item, number, column) for column, item in enumerate(items, 1)])
        if len(rows[-1]) != len(rows[0]):
            raise Undecodable(f"row {number} has {len(rows[-1])} columns, row 1 has {len(rows[0])}")
    return _matrix(rows)


def _as_list(value: Any) -> list[Any]:
    return value


def _features(row: dict[str, Any]) -> Any:
    """Return the numbers of one row given as an object: its `features`, or all its values in order."""
    return row.get("features", list(row.values()))


def json_lines(payload: str) -> Matrix:
    """Read one row a line: a list, or an object with `features`."""
    rows: list[Any] = []
    for number, line in enumerate(payload.splitlines(), 1):
        if line.strip():
            try:
                value = parse_json(line)
            except Undecodable as error:
                raise Undecodable(f"line {number}: {error}") from error
            is_object = isinstance(value, dict)
            rows.append(_features(cast("dict[str, Any]", value)) if is_object else value)
    return rows_of(rows)


def npy(body: bytes) -> Matrix:
    """Read one array in NumPy's format; never a pickled one."""
    try:
        array = np.load(io.BytesIO(body), allow_pickle=False)
        return _two_dimensional(np.asarray(array, dtype=np.float32))
    except (ValueError, EOFError, OSError, TypeError, SyntaxError, MemoryError) as error:
        raise Undecodable(f"not a NumPy array of numbers: {str(error)[:100]}") from error


def parquet(body: bytes) -> Matrix:
    """Read a Parquet file of numeric columns (needs pyarrow)."""
    try:
        # heavy, optional and untyped
        table: Any = importlib.import_module("pyarrow.parquet").read_table(io.BytesIO(body))
        columns = [np.asarray(column.to_numpy(), dtype=np.float32) for column in table.columns]
    except ImportError as error:
        raise Undecodable("Parquet needs the package pyarrow in this environment") from error
    except Exception as error:
        raise Undecodable(f"not a Parquet file of numbers: {str(error)[:100]}") from error
    return np.stack(columns, axis=1)


def shape_of(array: Any) -> str:
    """Describe an array for a person: `2 rows of 4 numbers`."""
    rows, columns = array.shape[0], array.shape[1] if array.ndim > 1 else 1
    return f"{rows} row{'s' if rows != 1 else ''} of {columns} number{'s' if columns != 1 else ''}"


def _json_number(item: Any, row: int, column: int) -> float:
    if item is None or item == "":
        return float("nan")
    if isinstance(item, bool):
        return float(item)
    if isinstance(item, (int, float)):
        try:
            return float(item)
        except OverflowError:
            return float("inf") if item > 0 else float("-inf")
    if isinstance(item, str):
        return _cell(item, row, column)
    raise Undecodable(f"row {row}, column {column} is {_json_name(item)}, not a number")


def _json_name(value: object) -> str:
    names = {"dict": "an object", "list": "a list", "str": "a string", "bool": "a boolean"}
    return names.get(type(value).__name__, "null" if value is None else "a number")


def _matrix(rows: list[list[float]]) -> Matrix:
    return numbers.to_float32(np.array(rows, dtype=np.float64).reshape(len(rows), -1))


def _two_dimensional(array: Matrix) -> Matrix:
    if array.ndim < 2:
        return array.reshape(1, -1)
    return array.reshape(array.shape[0], -1)
