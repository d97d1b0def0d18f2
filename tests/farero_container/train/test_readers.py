"""Rows out of CSV and RecordIO, and the metrics against scikit-learn."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as oracle

from farero_container.serve.content import Undecodable
from farero_container.train import metrics
from farero_container.train.readers import BadData, read_csv
from farero_container.train.recordio import MAGIC, read_labelled, read_records

N = float("nan")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("1,2,3\n4,5,6\n", [[1, 2, 3], [4, 5, 6]]),
        ("1,2,3\r\n4,5,6", [[1, 2, 3], [4, 5, 6]]),
        ("1,,3\n4,5,\n", [[1, N, 3], [4, 5, N]]),
        ("1,,\r\n4,,\r\n", [[1, N, N], [4, N, N]]),
        ('"1","2"\n"3","4"\n', [[1, 2], [3, 4]]),
        ("y,a\n1,2\n", [[1, 2]]),
        ("\ufeffy,a\n1,2\n", [[1, 2]]),
        ("\ufeff1,2\n", [[1, 2]]),
        ("1;2\n3;4\n", [[1, 2], [3, 4]]),
        ("1\t2\n3\t4\n", [[1, 2], [3, 4]]),
        ("1 2\n3 4\n", [[1, 2], [3, 4]]),
        ("1,nan,inf\n2,NaN,-inf\n", [[1, N, np.inf], [2, N, -np.inf]]),
        ("1, 2 , \n3,4,5\n", [[1, 2, N], [3, 4, 5]]),
        ("\n1,2\n\n3,4\n\n", [[1, 2], [3, 4]]),
        ("1,1e-3,+5\n", [[1, 1e-3, 5]]),
    ],
)  # fmt: skip
def test_csv_is_read_as_people_write_it(tmp_path, text: str, rows: list[list[float]]) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())

    table = read_csv(tmp_path / "t.csv", say=lambda _: None)

    np.testing.assert_array_equal(
        np.column_stack([table.labels, table.features]), np.array(rows, np.float32)
    )


CELLS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr), st.integers(-9, 9).map(str), st.just(""),
    st.just(" 4 "), st.just('"5"'),
)  # fmt: skip
TABLES = st.integers(2, 5).flatmap(
    lambda width: st.lists(
        st.tuples(st.integers(0, 3).map(str), *[CELLS] * (width - 1)), min_size=1, max_size=6
    )
)


@given(
    TABLES,
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
)
def test_csv_of_any_cells_keeps_every_one(
    tmp_path_factory, table, delimiter, end, has_header, has_end
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    header = [[f"c{n}" for n in range(len(table[0]))]] if has_header else []
    text = end.join(delimiter.join(row) for row in [*header, *table]) + end * has_end
    path.write_bytes(text.encode())
    said: list[str] = []

    found = read_csv(path, say=said.append)

    with np.errstate(over="ignore"):
        rows = [[float(cell.strip(' "') or "nan") for cell in row] for row in table]
        expected = np.array(rows, np.float64).astype(np.float32)
    np.testing.assert_array_equal(np.column_stack([found.labels, found.features]), expected)
    assert len(said) == has_header


@given(st.binary(max_size=80))
def test_csv_of_any_bytes_is_read_or_refused_by_name(tmp_path_factory, body: bytes) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(body)

    try:
        assert np.isfinite(read_csv(path, say=lambda _: None).labels).all()
    except BadData as error:
        assert error.message.startswith("t.csv")  # noqa: PT017 - either outcome is right


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _bytes(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _entry(field: int, tensor: bytes, kind: int = 2) -> bytes:
    return _bytes(field, _bytes(1, b"values") + _bytes(2, _bytes(kind, tensor)))


def _frame(record: bytes) -> bytes:
    return struct.pack("<II", MAGIC, len(record)) + record + bytes(-len(record) % 4)


def _dense(values: list[float], label: float) -> bytes:
    packed = _bytes(1, struct.pack(f"<{len(values)}f", *values))
    return _frame(_entry(1, packed) + _entry(2, _bytes(1, struct.pack("<f", label))))


def test_recordio_of_dense_and_sparse_records() -> None:
    sparse = (
        _bytes(1, struct.pack("<2d", 7.0, 8.0))
        + _bytes(2, _varint(0) + _varint(3))
        + _bytes(3, _varint(5))
    )

    rows, labels = read_labelled(_dense([1.0, 2.0], 3.0) + _frame(_entry(1, sparse, kind=3)))

    np.testing.assert_array_equal(rows, np.array([[1, 2, N, N, N], [7, N, N, 8, N]], np.float32))
    np.testing.assert_array_equal(labels, np.array([3, N], np.float32))


@pytest.mark.parametrize("cut", range(1, 30))
def test_recordio_that_is_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(Undecodable):
        read_records(_dense([1.0, 2.0, 3.0], 1.0)[:-cut])


@given(st.binary(max_size=60))
def test_recordio_of_anything_is_read_or_refused(body: bytes) -> None:
    try:
        assert read_records(_frame(body)).ndim == 2
    except Undecodable as error:
        assert "record" in str(error)  # noqa: PT017 - either outcome is right


CLASSES = arrays.arrays(np.int64, 12, elements=st.integers(0, 2))


@given(CLASSES, CLASSES)
def test_metrics_agree_with_scikit_learn(labels, classes) -> None:
    options = {"average": "macro", "zero_division": 0}
    expected = {
        "accuracy": oracle.accuracy_score(labels, classes),
        "f1_macro": oracle.f1_score(labels, classes, **options),
        "precision_macro": oracle.precision_score(labels, classes, **options),
        "recall_macro": oracle.recall_score(labels, classes, **options),
        "balanced_accuracy": np.mean(
            [np.mean(classes[labels == v] == v) for v in np.unique(labels)]
        ),
        "mse": oracle.mean_squared_error(labels, classes),
    }
    if len(set(labels)) > 1:
        expected["r2"] = oracle.r2_score(labels, classes)
    labels_of_two, two = labels > 0, classes > 0
    found = {name: metrics.METRICS[name](labels, classes) for name in expected}
    expected["f1_binary"] = oracle.f1_score(labels_of_two, two, zero_division=0)
    found["f1_binary"] = metrics.METRICS["f1_binary"](labels_of_two.astype(int), two.astype(int))

    assert found == pytest.approx(expected)
