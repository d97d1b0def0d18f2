import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farero.telemetry import filter_regex
from farero.telemetry.filter_regex import LinearRegex

_ATOM = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\.", "[a-c1]", r"\x61", " "]
)
_TIMES = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}"])
_WAY = st.tuples(
    st.sampled_from(["", "^"]),
    st.lists(st.tuples(_ATOM, _TIMES).map("".join), max_size=5).map("".join),
    st.sampled_from(["", "$"]),
).map("".join)
_TEXT = st.text(st.sampled_from("abc1. \n"), max_size=12)


@given(st.lists(_WAY, min_size=1, max_size=3).map("|".join), _TEXT)
@settings(max_examples=600)
def test_linear_search_finds_what_pythons_engine_finds(pattern, text):
    regex = LinearRegex(pattern)

    assert any(way.search(text) for way in regex._ways) == (re.search(pattern, text) is not None)
    assert regex.search(text) == (re.search(pattern, text) is not None)


@pytest.mark.parametrize(
    "pattern",
    [
        "a*a*a*a*a*a*b",
        ".*.*.*.*.*x",
        "a?" * 30 + "a" * 30 + "b",
        "[ab]{0,40}[ab]{0,40}c",
        "a+$",
    ],
)
def test_no_expression_takes_long(pattern):
    text = "a" * 100_000 + "!"
    started = time.process_time()

    assert not LinearRegex(pattern).search(text)

    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "pattern", ["(a)", "a**", "a{3,2}", "[a", "a{9999}", "a^b", "*a", "\\", "a{1,1500}b{1,1500}"]
)
def test_what_cloudwatch_does_not_have_is_refused(pattern):
    with pytest.raises(ValueError, match=r".*"):
        LinearRegex(pattern)


def test_short_texts_go_to_pythons_engine_and_long_ones_do_not():
    regex = LinearRegex("a*b")

    assert regex._most_characters == 1000
    assert filter_regex._safe_length(LinearRegex("plain")._ways[0]) == 1_000_000
