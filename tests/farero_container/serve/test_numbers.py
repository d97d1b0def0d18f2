"""Numbers read in C: the same bits as the exact readers give, or nothing."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farero_container.serve import content, handler, numbers

FRACTIONS = st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.one_of(
    FRACTIONS,
    st.floats(-9, 9, width=32).map(float),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, -0.0, 1e-320, 1e300, 2**53 + 1, 2**63, 0.1]),
)
ODD = st.sampled_from([None, True, "", "1", "x", [], {}, [1], float("nan"), float("inf")])
SPELLED = st.sampled_from(
    ["-0", "-0.0", "-0e5", "1e-0", "1e400", "-1e400", "1E5", "+1", ".5", "1.", "01", "1_0", " 2 ", "nan", "",
     "inf", "0x1", '"3"', "1e5,", "4\t", "٣", "1\x0b", "\x1c", "5\r", "9" * 30]
)  # fmt: skip


@pytest.fixture(params=["all", "no simdjson", "standard library"])
def readers(request):
    """With and without the packages that read."""
    return request.param


@pytest.fixture(autouse=True)
def present(readers, monkeypatch):
    """Take away what is not to be there; let pysimdjson read small bodies as well."""
    if readers == "all":
        pytest.importorskip("simdjson")
        monkeypatch.setattr(numbers, "LARGE_BYTES", 12)
    else:
        monkeypatch.setattr(numbers, "_parser", None)
    if readers == "standard library":
        for name in ("_row", "_rows", "_blocks"):
            monkeypatch.setattr(numbers, name, None)


often = settings(max_examples=200, deadline=None)


def outcome(read, *given):
    """What a reader gives, to the bit, or the words of its refusal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray(read(*given))
    except content.Undecodable as error:
        return str(error)
    # a sign that NaN carries says nothing
    return (
        found.shape,
        str(found.dtype),
        np.where(np.isnan(found), np.float32("nan"), found).tobytes(),
    )


def spaced(text, spaces):
    return text.replace(",", "," + spaces).replace("[", "[" + spaces).replace("]", spaces + "]")


bodies = st.builds(
    lambda rows, key, spaces: spaced(json.dumps({key: rows} if key else rows), spaces),
    st.one_of(
        st.lists(PLAIN, max_size=6),
        st.integers(1, 4).flatmap(
            lambda n: st.lists(st.lists(PLAIN, min_size=n, max_size=n), max_size=5)
        ),
        st.lists(st.lists(st.one_of(PLAIN, PLAIN, ODD), max_size=3), max_size=4),
        st.lists(
            st.one_of(PLAIN, ODD, st.lists(st.lists(PLAIN, max_size=2), max_size=2)), max_size=4
        ),
    ),
    st.sampled_from(["", "inputs", "instances", "features", "rows"]),
    st.sampled_from(["", " ", "\n\t"]),
)


@often
@given(bodies)
def test_json_is_read_as_the_exact_reader_reads_it(body):
    exact = outcome(lambda: content.json_rows(content.text(body.encode())))

    assert outcome(content.decode, body.encode(), "application/json") == exact


@often
@given(
    st.lists(st.lists(SPELLED, max_size=3).map(",".join), max_size=3).map("],[".join),
    st.sampled_from(["[", ""]),
)
def test_odd_spellings_in_json_are_read_as_the_exact_reader_reads_them(inner, extra):
    body = f"[{extra}{inner}{extra.replace('[', ']')}]".encode()
    exact = outcome(lambda: content.json_rows(content.text(body)))

    assert outcome(content.decode, body, "application/json") == exact


@often
@given(
    st.lists(st.lists(st.one_of(PLAIN.map(repr), PLAIN.map(repr), SPELLED), max_size=4), max_size=5),
    st.sampled_from([",", ";", "\t", "|", " ", ", "]),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n", ",\n"]),
)  # fmt: skip
def test_csv_is_read_as_the_exact_reader_reads_it(rows, delimiter, end):
    body = end.join(delimiter.join(row) for row in rows).encode()
    exact = outcome(lambda: content.csv(content.text(body)))

    assert outcome(content.decode, body, "text/csv") == exact


@often
@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(PLAIN, min_size=n, max_size=n), min_size=1, max_size=5)
    )
)
def test_csv_of_tensors_is_read_as_numpy_reads_it(rows):
    body = "\n".join(",".join(map(repr, row)) for row in rows).encode()
    found = numbers.csv_matrix(body, commas_only=True)

    if found is not None:
        assert outcome(found.squeeze) == outcome(handler.decode, body, "text/csv")


@often
@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=3).flatmap(
        lambda shape: st.tuples(
            st.just(tuple(shape)),
            st.lists(FRACTIONS, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))),
        )
    ),
    st.sampled_from(["", " "]),
)
def test_blocks_keep_their_shape_and_every_bit(given_block, spaces):
    shape, values = given_block
    block = np.array(values).reshape(shape)

    found = numbers.json_array(spaced(json.dumps(block.tolist()), spaces).encode())

    assert found is not None
    assert outcome(lambda: found) == outcome(lambda: numbers.to_float32(block))


@pytest.mark.parametrize(
    "body",
    ["[[[1,2],[3,4]],[[5,6]]]", "[[[1],[2]],[[3,4]]]", "[[1],[[2]]]", "[[1,2],[3]]", "[[1],2]", "[]", "[[],[]]",
     "[[1,2],[3,4],[5,6,7]]", "[[[1]],[]]", "5", "{}", "[1]]", "[[1]", '["a"]'],
)  # fmt: skip
def test_what_is_no_block_of_numbers_is_left_to_the_exact_readers(body):
    assert numbers.json_array((body[:1] + " " * 20 + body[1:]).encode()) is None


def test_large_arrays_are_told_apart_by_their_structure_time_and_again():
    block = np.arange(12_000.0).reshape(4, 1000, 3)
    ragged = [block[0].tolist(), block[1, :999].tolist(), block[2].tolist()]
    longer = [*block[:3].tolist(), block[3].reshape(500, 6).tolist()]

    for _ in range(3):
        for shape in ((4, 1000, 3), (1000, 4, 3), (12_000,), (3, 4000)):
            asked = block.reshape(shape)
            found = numbers.json_array(json.dumps(asked.tolist()).encode())
            assert np.array_equal(found, asked.astype(np.float32))
        for odd in (ragged, longer):
            assert numbers.json_array(json.dumps(odd).encode()) is None


@pytest.mark.parametrize(
    "body",
    ['{"inputs": [[1, 2]]}', ' {"inputs":[[1,2]] } ', '{ "signals" :\n[[1, 2]]\n}', '{"data":\t[[1,2]]}'],
)  # fmt: skip
def test_an_array_is_found_under_its_name(body):
    found = numbers.json_member(body.encode(), content.JSON_MEMBERS)

    assert np.array_equal(numbers.json_array(found), [[1, 2]])


@pytest.mark.parametrize(
    "body", ['{"inputs"}', '{"other": [[1]]}', '{"inputs": 5, "data": [[1]]}', '{"inputs": [1], "a": [2]}',
             '["inputs": [1]]', '{"inputs": "x [1]"}', '{"a": {"inputs": [1]}}', "{:[1]}"],
)  # fmt: skip
def test_no_array_is_found_where_there_is_none_or_more(body):
    found = numbers.json_member(body.encode(), content.JSON_MEMBERS)

    assert numbers.json_array(found or body.encode()) is None


def test_a_large_csv_and_a_large_array_are_read():
    rows = np.random.default_rng(1).standard_normal((30_000, 3)).astype(np.float32).astype(float)
    csv = "\n".join(",".join(map(repr, row)) for row in rows.tolist()).encode()
    array = json.dumps({"inputs": rows.tolist()}).encode()

    assert np.array_equal(content.decode(csv, "text/csv"), rows)
    assert np.array_equal(content.decode(array, "application/json"), rows)


PIECE = st.sampled_from(
    [
        "[",
        "]",
        "[[",
        "]]",
        ",",
        "1",
        "2.5",
        " ",
        "-0",
        "[1,2]",
        "[[3,4]]",
        "],[",
        '{"inputs": ',
        '{"data":',
        "}",
        '"',
    ]
)
WHOLE = st.builds(
    lambda rows, around: around.replace("x", json.dumps(rows)),
    st.lists(st.lists(PLAIN, min_size=2, max_size=2), min_size=1, max_size=3) | st.lists(PLAIN, min_size=2, max_size=2),
    st.sampled_from(["x", '{"inputs": x}', '{"inputs": x }', ' {"inputs":x}', '{"inputs": x, "data": 1}']),
)  # fmt: skip


@often
@given(
    st.lists(WHOLE | st.lists(PIECE, max_size=9).map("".join), min_size=2, max_size=4)
    | WHOLE.flatmap(lambda one: st.just([one, one.replace("1", "2"), one]))
)
def test_bodies_read_at_once_are_what_each_is_alone(texts):
    bodies = [text.encode() for text in texts]

    found = numbers.json_rows_of_all(bodies, content.JSON_MEMBERS)

    if found is not None:
        matrix, counts = found
        starts = [sum(counts[:place]) for place in range(len(counts))]
        for body, start, count in zip(bodies, starts, counts, strict=True):
            part = matrix[start : start + count]
            assert outcome(lambda part=part: part) == outcome(
                content.decode, body, "application/json"
            )


@often
@given(st.lists(st.text("12.5,;-\n\r x", max_size=9), min_size=2, max_size=4))
def test_lines_of_several_bodies_read_at_once_are_what_each_is_alone(texts):
    bodies = [text.encode() for text in texts]

    found = numbers.csv_rows_of_all(bodies)

    if found is not None:
        matrix, counts = found
        starts = [sum(counts[:place]) for place in range(len(counts))]
        for body, start, count in zip(bodies, starts, counts, strict=True):
            part = matrix[start : start + count]
            assert outcome(lambda part=part: part) == outcome(content.decode, body, "text/csv")


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=400)
@given(
    st.sampled_from([np.float32, np.float64]),
    st.lists(finite | st.floats(-1e-3, 1e-3) | st.floats(1e14, 1e18), min_size=1, max_size=12),
    st.sampled_from([None, 1, 2, 3]),
)
def test_numbers_are_written_to_the_letter_as_python_does(kind, values, columns):
    with np.errstate(over="ignore"):
        array = np.array(values).astype(kind)
    array = array[np.isfinite(array)]
    rows = (
        array if columns is None else array[: len(array) // columns * columns].reshape(-1, columns)
    )

    lines = numbers.lines_of(rows)

    expected = [row if columns else [row] for row in rows.tolist()]
    assert numbers._writes_as_repr
    assert lines == [",".join(map(repr, row)).encode() for row in expected]


def test_numbers_are_written_the_same_without_msgspec(monkeypatch):
    rows = np.array([[1e-5, 10.00001], [1e16, -0.0], [5e-324, 0.1]])
    quick = numbers.lines_of(rows)

    monkeypatch.setattr(numbers, "_writes_as_repr", False)

    assert numbers.lines_of(rows) == quick == [b"1e-05,10.00001", b"1e+16,-0.0", b"5e-324,0.1"]
    assert numbers.lines_of(rows[0]) == [b"1e-05", b"10.00001"]
