"""Channels to arrays: CSV (label first), libsvm, Parquet and RecordIO-protobuf, with the place of whatever is wrong.

Facts: sagemaker-xgboost-container's `data_utils`: files of up to three folder levels, none that begin with `.` or `_`;
no ContentType means libsvm. More lenient than AWS: CSV without ContentType is recognised, and so is a header line.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_container.contract import StartUpError
from farero_container.serve import content
from farero_container.train import recordio

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from farero_container.serve.content import Matrix

MAX_DEPTH = 3
CSV, LIBSVM, PARQUET, RECORDIO = "csv", "libsvm", "parquet", "recordio-protobuf"
_FORMATS = {
    "text/csv": CSV, "csv": CSV, "text/libsvm": LIBSVM, "text/x-libsvm": LIBSVM, "libsvm": LIBSVM,
    "application/x-parquet": PARQUET, "parquet": PARQUET, "application/x-recordio-protobuf": RECORDIO,
    "recordio-protobuf": RECORDIO,
}  # fmt: skip
_EMPTY_CELL = re.compile(rb"(?<=,)(?=[,\r\n]|\Z)|^(?=,)", re.MULTILINE)


class BadData(StartUpError):  # noqa: N818 - the caller's fault
    """A channel's files cannot be learnt from."""

    def __init__(
        self, message: str, *, file: str = "", line: int | None = None, fix: str = ""
    ) -> None:
        super().__init__("E-DATA", message, file=file, line=line, fix=fix)


@dataclass(slots=True)
class Table:
    """What a channel holds."""

    #: Shape (rows, columns); float32, or a scipy CSR matrix for libsvm.
    features: Any
    labels: Matrix
    weights: Matrix | None = None
    #: libsvm's qid of each row, for ranking.
    groups: list[int] = field(default_factory=list[int])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.features.shape


def read_channel(
    name: str,
    folder: Path,
    content_type: str | None,
    *,
    has_weights: bool,
    say: Callable[[str], None],
) -> Table:
    """Read all files of a channel. Raises BadData."""
    files = find_files(folder)
    if not files:
        raise BadData(f"No data in channel '{name}'", fix="Check the channel's S3Uri.")
    kind = _format(name, content_type) or _guess(name, files[0], say)
    readers: dict[str, Callable[[Path], Table]] = {
        CSV: lambda path: read_csv(path, has_weights=has_weights, say=say),
        LIBSVM: read_libsvm,
        PARQUET: read_parquet,
        RECORDIO: read_recordio,
    }
    tables = [readers[kind](path) for path in files]
    return tables[0] if len(tables) == 1 else join([path.name for path in files], tables)


def find_files(folder: Path) -> list[Path]:
    """Return the data files, sorted."""
    return sorted(
        path
        for depth in range(1, MAX_DEPTH + 1)
        for path in folder.glob("/".join("*" * depth))
        if path.is_file() and not any(part[0] in "._" for part in path.relative_to(folder).parts)
    )


def read_csv(path: Path, *, has_weights: bool = False, say: Callable[[str], None] = print) -> Table:
    """Read CSV: the label first, then the weight if there is one, then the features; an empty cell is NaN."""
    body = path.read_bytes()
    start = _header_length(body)
    if start:
        say(f"{path.name}: line 1 is a header and was skipped (AWS takes CSV without header only)")
    cells = _fast(body[start:])
    if cells is None:
        cells = _careful(path, body, start)
    if not len(cells):
        raise BadData(f"{path.name} has no rows", file=path.name)
    needed = 3 if has_weights else 2
    if cells.shape[1] < needed:
        raise BadData(
            f"{path.name} has {cells.shape[1]} column(s); the label{', the weight' if has_weights else ''} "
            "and at least one feature are needed", file=path.name, line=1,
        )  # fmt: skip
    labels, weights = cells[:, 0], cells[:, 1] if has_weights else None
    if not np.isfinite(labels).all():
        row = int(np.flatnonzero(~np.isfinite(labels))[0])
        number, text = _line_of_row(body, row + (1 if start else 0))
        raise BadData(f"{path.name} line {number}: the label (first column) is no number: {_shown(text)}",
                      file=path.name, line=number)  # fmt: skip
    return Table(cells[:, needed - 1 :], labels, weights)


def read_libsvm(path: Path) -> Table:
    """Read `label[:weight] [qid:n] index:value …`; what is left out is missing."""
    sparse = _scipy_sparse()
    labels: list[float] = []
    weights: list[float] = []
    groups: list[int] = []
    starts, columns, values = [0], list[int](), list[float]()
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            try:
                label, _, weight = words[0].partition(":")
                labels.append(float(label))
                if weight:
                    weights.append(float(weight))
                for word in words[1:]:
                    index, _, value = word.partition(":")
                    if index == "qid":
                        groups.append(int(value))
                        continue
                    columns.append(int(index))
                    values.append(float(value))
            except ValueError:
                raise _not_libsvm(path, number, line) from None
            if len(columns) > starts[-1] and min(columns[starts[-1] :]) < 0:
                raise _not_libsvm(path, number, line)
            starts.append(len(columns))
    if not labels:
        raise BadData(f"{path.name} has no rows", file=path.name)
    if len(weights) not in (0, len(labels)) or len(groups) not in (0, len(labels)):
        raise BadData(
            f"{path.name}: some rows have a weight or a qid, others have none", file=path.name
        )
    data = (np.array(values, np.float32), np.array(columns, np.int64), np.array(starts, np.int64))
    matrix = sparse.csr_matrix(data, shape=(len(labels), max(columns, default=0) + 1))
    return Table(
        matrix,
        np.array(labels, np.float32),
        np.array(weights, np.float32) if weights else None,
        groups,
    )


def read_parquet(path: Path) -> Table:
    """Read Parquet with the label in the first column."""
    return _read_whole(path, lambda body: _first_is_label(content.parquet(body)))


def read_recordio(path: Path) -> Table:
    """Read RecordIO-protobuf."""
    return _read_whole(path, lambda body: Table(*recordio.read_labelled(body)))


def _read_whole(path: Path, read: Callable[[bytes], Table]) -> Table:
    try:
        return read(path.read_bytes())
    except content.Undecodable as error:
        raise BadData(f"{path.name}: {error}", file=path.name) from error


def _first_is_label(cells: Matrix) -> Table:
    return Table(cells[:, 1:], cells[:, 0])


def _format(channel: str, content_type: str | None) -> str | None:
    """Return the format that a ContentType names. Raises BadData with AWS's text."""
    if not content_type:
        return None
    kind, _, parameters = content_type.partition(";")
    label_size = re.search(r"label_size\s*=\s*(\d+)", parameters)
    if label_size and label_size[1] != "1":
        raise BadData(
            f"{content_type} is not an accepted csv ContentType. Optional parameter label_size must be equal to 1"
        )
    found = _FORMATS.get(kind.strip().lower())
    if found is None:
        raise BadData(
            f"{content_type} of channel '{channel}' is not an accepted ContentType: {', '.join(_FORMATS)}."
        )
    return found


def _guess(channel: str, path: Path, say: Callable[[str], None]) -> str:
    with path.open("rb") as file:
        head = file.read(65536)
    if head.startswith(b"PAR1"):
        return PARQUET
    if head.startswith(recordio.MAGIC.to_bytes(4, "little")):
        return RECORDIO
    words = head.partition(b"\n")[0].split()
    is_libsvm = len(words) > 1 and all(b":" in word for word in words[1:]) and b"," not in words[0]
    if is_libsvm or (len(words) == 1 and b"," not in words[0]):
        return LIBSVM
    say(
        f"channel '{channel}' has no ContentType; read as text/csv (AWS would read it as libsvm and fail)"
    )
    return CSV


def _header_length(body: bytes) -> int:
    """Return the length of line 1 if it names columns: cells are there and none is a number."""
    line = body[:65536].partition(b"\n")[0]
    words = [
        cell.strip().strip('"')
        for cell in line.decode("utf-8-sig", "replace").split(_delimiter(body))
    ]
    filled = [word for word in words if word]
    return (
        len(line) + 1 if len(words) > 1 and filled and not any(_is_number(w) for w in filled) else 0
    )


def _delimiter(body: bytes) -> str:
    return content.sniff_delimiter(body[:65536].partition(b"\n")[0].decode("utf-8", "replace"))


def _fast(body: bytes) -> Matrix | None:
    """Read well-formed CSV by NumPy's C parser; None if that refuses it."""
    delimiter = _delimiter(body)
    if not body.strip():
        return np.empty((0, 0), np.float32)
    if delimiter == ",":
        body = _EMPTY_CELL.sub(b"nan", body) if _has_empty_cell(body) else body
    separator = None if delimiter == " " else delimiter
    try:
        return np.loadtxt(io.BytesIO(body), np.float32, comments=None, delimiter=separator, ndmin=2,
                          quotechar='"', encoding="utf-8-sig")  # fmt: skip
    except ValueError:
        return None


def _has_empty_cell(body: bytes) -> bool:
    return (
        any(sign in body for sign in (b",,", b",\n", b",\r", b"\n,"))
        or body[:1] == b","
        or body[-1:] == b","
    )


def _careful(path: Path, body: bytes, start: int) -> Matrix:
    """Read CSV cell by cell. Raises BadData naming the first bad line."""
    delimiter = _delimiter(body[start:])
    rows: list[list[float]] = []
    text = body.decode("utf-8-sig", "replace")
    first = 1
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or (number == 1 and start):
            continue
        cells = line.split(None if delimiter == " " else delimiter)
        row: list[float] = []
        for column, cell in enumerate(cells, 1):
            word = cell.strip().strip('"')
            if word and not _is_number(word):
                raise BadData(
                    f"{path.name} line {number}, column {column}: '{_shown(word)}' is not a number: {_shown(line)}",
                    file=path.name, line=number,
                )  # fmt: skip
            row.append(float(word) if word else float("nan"))
        if rows and len(row) != len(rows[0]):
            raise BadData(
                f"{path.name} line {number} has {len(row)} columns, line {first} has {len(rows[0])}: {_shown(line)}",
                file=path.name, line=number,
            )  # fmt: skip
        first = first if rows else number
        rows.append(row)
    with np.errstate(over="ignore"):
        return np.array(rows, np.float64).astype(np.float32)


def _line_of_row(body: bytes, row: int) -> tuple[int, str]:
    lines = [
        (n, line)
        for n, line in enumerate(body.decode("utf-8", "replace").splitlines(), 1)
        if line.strip()
    ]
    return lines[row]


def join(names: list[str], tables: list[Table]) -> Table:
    """Put the rows of several tables, of files or channels with these names, below each other. Raises BadData."""
    if not isinstance(tables[0].features, np.ndarray):
        width = max(table.shape[1] for table in tables)
        for table in tables:
            table.features.resize(table.shape[0], width)
        features: Any = _scipy_sparse().vstack([table.features for table in tables], format="csr")
    else:
        for name, table in zip(names, tables, strict=True):
            if table.shape[1] != tables[0].shape[1]:
                raise BadData(
                    f"{name} has {table.shape[1]} features, {names[0]} has {tables[0].shape[1]}",
                    file=name,
                )
        features = np.concatenate([table.features for table in tables])
    weights = [table.weights for table in tables if table.weights is not None]
    return Table(
        features,
        np.concatenate([table.labels for table in tables]),
        np.concatenate(weights) if len(weights) == len(tables) else None,
        [group for table in tables for group in table.groups],
    )


def _scipy_sparse() -> Any:
    import importlib  # heavy, and needed for libsvm alone; it comes with xgboost

    return importlib.import_module("scipy.sparse")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word


def _not_libsvm(path: Path, number: int, line: str) -> BadData:
    return BadData(
        f"{path.name} line {number}: '{_shown(line)}' is not 'LIBSVM' format. "
        "Please ensure the file is in 'LIBSVM' format.",
        file=path.name, line=number,
    )  # fmt: skip


def _shown(text: str) -> str:
    text = "".join(char if char.isprintable() else "?" for char in text.strip())
    return text if len(text) <= 120 else text[:119] + "…"
