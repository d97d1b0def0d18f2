"""Capture files: the fast way and the exact way agree, and every form of payload is read."""

import base64
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farero_monitor.profile.dataset import Profile
from farero_monitor.readers import capture, records, scripts
from farero_monitor.readers.options import Options

NAMES = ("y", "a", "b", "c")
cell = st.sampled_from(["1", "-2.5", "", "x", "1e5", "nan", "0", " 3", "ü", "null", 'q"', "a\\b"])
payload = st.lists(cell, min_size=3, max_size=3).map(",".join)
odd = st.one_of(
    st.lists(cell, max_size=5).map(",".join),
    st.lists(payload, min_size=1, max_size=3).map("\n".join),
)


def read(block: bytes, options: Options, *, exact: bool) -> tuple[list[list[object]], Profile]:
    profile = Profile()
    if exact:
        tables = list(records.tables_of_records(block, options, profile, "f", 0))
    else:
        made = capture._fast(block, options, profile, "f")
        assert made is not None, "the fast way refused"
        tables = [made[0]]
    rows = [[row.get(name) for name in NAMES] for table in tables for row in table.to_pylist()]
    return rows, profile


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(payload, cell), min_size=1, max_size=30),
    st.sampled_from(["", "2026-01-05T10:00:10Z"]),
)
def test_both_ways_give_the_same_rows(line, pairs, start):
    lines = [
        line(sent, got, at=f"2026-01-05T10:00:{index:02}Z")
        for index, (sent, got) in enumerate(pairs)
    ]
    block = "".join(text + "\n" for text in lines).encode()
    options = Options(names=NAMES, start=start)
    profile = Profile()
    fast = capture._fast(block, options, profile, "f")
    if fast is None:
        assert b"\\" in block or any(not got for _, got in pairs)
        return
    rows = [[row.get(name) for name in NAMES] for row in fast[0].to_pylist()]
    exact, other = read(block, options, exact=True)
    assert rows == exact
    assert (profile.first, profile.last) == (other.first, other.last)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.one_of(st.none(), payload, odd), st.one_of(st.none(), cell, odd)),
        min_size=1,
        max_size=20,
    )
)
def test_any_mix_of_lines_gives_the_rows_of_the_exact_way_and_loses_none(line, pairs):
    block = "".join(line(sent, got) + "\n" for sent, got in pairs).encode()
    options = Options(names=NAMES)
    fast = capture._fast(block, options, fast_profile := Profile(), "f")
    if fast is not None:
        exact, profile = read(block, options, exact=True)
        assert [[row.get(name) for name in NAMES] for row in fast[0].to_pylist()] == exact
        assert fast_profile.unread.count == profile.unread.count


def test_plain_records_take_the_fast_way(line):
    block = (
        line("1,2,3", "0.5")
        + "\n"
        + line("4,5,6", "0.7", types=("text/csv", "text/csv; charset=utf-8"))
        + "\n"
    ).encode()
    rows, profile = read(block, Options(names=NAMES), exact=False)
    assert rows == [["0.5", "1", "2", "3"], ["0.7", "4", "5", "6"]]
    assert profile.first == "2026-01-05T10:00:00Z"


def test_lines_that_differ_in_a_key_alone_are_not_read_as_if_they_were_alike(line):
    block = (line("1,2,3", "0.5") + "\n" + line("4,5,6", "0.7") + "\n").encode()
    for key in (b"inferenceTime", b"eventId", b"encoding", b"observedContentType", b"data"):
        first, second = block.splitlines(keepends=True)
        other = first + second.replace(b'"%b"' % key, b'"%b"' % key.upper(), 1)
        assert capture._fast(other, Options(names=NAMES), Profile(), "f") is None, key


def exactly(*lines, options=None):
    profile = Profile()
    tables = records.tables_of_records(
        "".join(text + "\n" for text in lines).encode(),
        options or Options(names=NAMES),
        profile,
        "f",
        0,
    )
    return [row for table in tables for row in table.to_pylist()], profile


def test_several_rows_in_one_record_are_several_rows(line):
    rows, _ = exactly(line("1,2,3\n4,5,6", "0.5\n0.7\n"))
    assert rows == [
        {"y": "0.5", "a": "1", "b": "2", "c": "3"},
        {"y": "0.7", "a": "4", "b": "5", "c": "6"},
    ]


def test_json_in_and_csv_out(line):
    rows, _ = exactly(line('{"a": 1, "b": {"x": 2.0}, "c": null}', "0.5", kinds=("JSON", "CSV")))
    assert rows == [{"y": "0.5", "a": "1", "b.x": "2.0", "c": None}]


def test_lists_in_json_go_by_position(line):
    rows, _ = exactly(
        line(
            '{"inputs": [[1, 2.5, true], [4, 5, false]]}',
            '{"predictions": [{"score": 0.7}, {"score": 0.1}]}',
            kinds=("JSON", "JSON"),
        )
    )
    assert [row["y"] for row in rows] == ["0.7", "0.1"]
    assert [row["a"] for row in rows] == ["1", "4"]


def test_answers_in_json_that_the_baseline_does_not_know_by_name_go_by_position(line):
    options = Options(names=("p0", "p1", "a", "b"))
    answer = '{"predictions": [{"score": [0.25, 0.75]}]}'

    of_csv, _ = exactly(line("1,2", answer, kinds=("CSV", "JSON")), options=options)
    of_json, profile = exactly(
        line('{"a": 1, "b": 2}', answer, kinds=("JSON", "JSON")), options=options
    )
    other, _ = exactly(line("1,2,3", answer, kinds=("CSV", "JSON")), options=options)

    assert of_csv == of_json == [{"p0": "0.25", "p1": "0.75", "a": "1", "b": "2"}]
    assert profile.answers == {"p0", "p1"}
    assert {"score.0", "score.1"} <= other[0].keys()


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"1,2,3", "text/csv"), (b"[[1,2,3]]", "application/json"), (None, "application/x-npy")],
)
def test_base64_is_read_by_its_content_type(line, content, kind):
    if content is None:
        buffer = io.BytesIO()
        np.save(buffer, np.array([[1, 2, 3]]))
        content = buffer.getvalue()
    sent = base64.b64encode(content).decode()
    rows, profile = exactly(line(sent, "0.5", kinds=("BASE64", "CSV"), types=(kind, "text/csv")))
    assert profile.unread.count == 0
    assert rows == [{"y": "0.5", "a": "1", "b": "2", "c": "3"}]


def test_what_cannot_be_read_is_counted_located_and_skipped(line):
    rows, profile = exactly(
        line("1,2,3", "0.5"), '{"captureData":', "[1,2]", line("1,2", "0.5"), line("1,2,3\n4,5,6", "0.5"),
        line("%%%", "0.5", kinds=("BASE64", "CSV")), line("1,2,3", "0.5"),
        line("iVBORw0KGgr/", "1", kinds=("BASE64", "CSV"), types=("image/png", "text/csv")),
    )  # fmt: skip
    assert len(rows) == 2
    told = {(place, reason) for _, place, reason in profile.unread.places}
    assert profile.unread.count == 6
    assert ("line 4", "3 values instead of 4") in told
    assert ("line 5", "2 rows in the request, 1 in the answer") in told
    assert any(place == "line 8" and "preprocessing script" in reason for place, reason in told)


def test_a_missing_answer_is_a_missing_value(line):
    rows, _ = exactly(line("1,2,3", None), line("4,5,6", "0.5"))
    assert rows == [{"a": "1", "b": "2", "c": "3"}, {"y": "0.5", "a": "4", "b": "5", "c": "6"}]


def test_a_baseline_without_the_target_names_the_request():
    assert Options(names=("a", "b", "c")).columns(1, 3) == ["_output0", "a", "b", "c"]
    assert Options(names=("a", "b", "y"), output_first=False).columns(1, 2) == ["y", "a", "b"]
    assert Options().columns(1, 2) == ["_c0", "_c1", "_c2"]


def test_only_the_window_counts(line):
    lines = [line("1,2,3", "0.5", at=f"2026-01-05T{hour:02}:00:00Z") for hour in range(24)]
    rows, profile = exactly(
        *lines,
        options=Options(names=NAMES, start="2026-01-05T10:00:00Z", end="2026-01-05T12:00:00Z"),
    )
    assert len(rows) == 2
    assert (profile.first, profile.last) == ("2026-01-05T10:00:00Z", "2026-01-05T11:00:00Z")


def test_a_preprocessing_script_makes_the_rows(line, tmp_path):
    script = tmp_path / "pre.py"
    script.write_text(
        "def preprocess_handler(inference_record, logger):\n"
        "    values = inference_record.endpoint_input.data.split(',')\n"
        "    if inference_record.event_metadata.event_id == 'drop':\n"
        "        return []\n"
        "    return {str(i).zfill(20): float(v) * 2 for i, v in enumerate(values)}\n"
    )
    options = Options(script=scripts.preprocessor(script))
    rows, _ = exactly(line("1,2", "0"), line("3,4", "0", event="drop"), options=options)
    assert [list(row.values()) for row in rows] == [["2.0", "4.0"]]


def test_a_script_that_raises_shows_its_own_traceback(line, tmp_path):
    script = tmp_path / "pre.py"
    script.write_text("def preprocess_handler(record):\n    return {'x': 1 / 0}\n")
    with pytest.raises(scripts.ScriptError) as caught:
        exactly(line("1,2", "0"), options=Options(script=scripts.preprocessor(script)))
    assert "pre.py" in str(caught.value)
    assert "ZeroDivisionError" in str(caught.value)
    assert "rows_of_script" not in str(caught.value)
    script.write_text("import nowhere_to_be_found\n")
    with pytest.raises(scripts.ScriptError, match="nowhere_to_be_found"):
        scripts.preprocessor(script)
    script.write_text("x = 1\n")
    with pytest.raises(scripts.ScriptError, match=r"pre.py has no function preprocess_handler\(\)"):
        scripts.preprocessor(script)
