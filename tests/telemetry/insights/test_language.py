import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farero.records.telemetry import LogEvent
from farero.telemetry.insights.evaluate import Row
from farero.telemetry.insights.parsing import parse, read_source
from farero.telemetry.insights.pipeline import run
from farero.telemetry.insights.syntax import Malformed

T0 = 1_767_607_200_000  # 2026-01-05 10:00:00

LINES = [
    {"level": "INFO", "ms": 12, "user": {"id": "ana", "tags": ["x", "y"]}},
    {"level": "ERROR", "ms": 250.5, "user": {"id": "bo"}, "a.b": 1},
    {"level": "ERROR", "ms": "70", "user": {"id": "ana"}},
    {"level": "WARN", "user": None, "ok": True},
]


def rows(messages, step_ms=60_000):
    """Newest first; the first message is the oldest."""
    made = [
        Row(
            LogEvent(
                id=index, stream=f"s{index}", timestamp_ms=T0 + index * step_ms,
                message=message if isinstance(message, str) else json.dumps(message), ingested_ms=T0,
            ),
            log="123456789012:/g",
        )
        for index, message in enumerate(messages)
    ]  # fmt: skip
    return reversed(made)


def ask(query, messages=LINES):
    return [dict(row) for row in run(parse(query), rows(messages)).rows]


def column(query, name, messages=LINES):
    return [row.get(name) for row in ask(query, messages)]


def test_query_without_fields_shows_time_and_message_newest_first():
    assert ask("filter @message like 'o'", ["one", "two", "six"]) == [
        {"@timestamp": "2026-01-05 10:01:00.000", "@message": "two"},
        {"@timestamp": "2026-01-05 10:00:00.000", "@message": "one"},
    ]


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("level = 'ERROR'", [2, 1]),
        ("level == 'ERROR' and ms > 100", [1]),
        ("level != 'ERROR'", [3, 0]),
        ("ms >= 70", [2, 1]),
        ("ms < 70 or ok", [3, 0]),
        ("not ispresent(ms)", [3]),
        ("level in ['INFO', \"WARN\"]", [3, 0]),
        ("level not in ['INFO', 'WARN']", [2, 1]),
        ("user.id like /^an/", [2, 0]),
        ("user.id =~ /(?i)^AN/", [2, 0]),
        ("user.id not like 'an'", [3, 1]),
        ("user.tags.1 = 'y'", [0]),
        ("a.b = 1", [1]),
        ("`a.b` = 1", [1]),
        ("ok = true", []),
        ("ok = 'true'", [3]),
        ("ok = 1", [3]),
        ("ms * 2 + 1 = 141", [2]),
        ("(ms - 2) / 10 = 1", [0]),
        ("ms % 7 = 0", [2]),
        ("2 ^ 3 ^ 0 = 2 and ms = 12", [0]),
        ("-ms < -100", [1]),
        ("strlen(level) = 4 # a comment", [3, 0]),
        ("strcontains(user.id, 'n')", [2, 0]),
        ("@timestamp >= 1767607320000", [3, 2]),
        ("@logStream = 's1'", [1]),
        ("@log like '/g' and ms/2 = 6 and ms/3 = 4", [0]),
        ("missing = 1 or missing < 1 or missing > 1", []),
    ],
)
def test_filter_keeps(condition, kept):
    assert column(f"fields @logStream | filter {condition}", "@logStream") == [
        f"s{index}" for index in kept
    ]


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("upper('ab')", "AB"),
        ("tolower('AB')", "ab"),
        ("trim('  a ')", "a"),
        ("ltrim('xxa', 'x')", "a"),
        ("concat('a', 1, missing, 2.5)", "a12.5"),
        ("coalesce(missing, 'b')", "b"),
        ("ceil(1.2)", "2"),
        ("floor(-1.2)", "-2"),
        ("abs(-3.5)", "3.5"),
        ("round(2.5)", "3"),
        ("round(-2.345, 2)", "-2.35"),
        ("greatest(1, '10', 9)", "10"),
        ("least(3, 2)", "2"),
        ("replace('a.b.c', '.', '-')", "a-b-c"),
        ("substr('abcdef', 2, 3)", "cde"),
        ("datefloor(@timestamp, 1h)", "2026-01-05 10:00:00.000"),
        ("dateceil(@timestamp, 1h)", "2026-01-05 11:00:00.000"),
        ("bin(30s)", "2026-01-05 10:07:30.000"),
        ("fromMillis(0)", "1970-01-01 00:00:00.000"),
        ("toMillis(@timestamp)", str(T0 + 471_000)),
        ("isValidIp('10.0.0.1') and isIpv4InSubnet('10.0.0.1', '10.0.0.0/8')", "1"),
        ("1/0", None),
        ("sqrt(-1)", None),
        ("10^400", None),
        ("'a' + 1", None),
        ("1 + 2 * 3 - 4 / 2", "5"),
        ("7 / 2", "3.5"),
        ("3 > 2", "1"),
    ],
)
def test_value_of(expression, shown):
    [row] = run(parse(f"fields {expression} as x"), list(rows(["", "m"], 471_000))[:1]).rows

    assert dict(row).get("x") == shown


def test_stats_fold_groups_and_calculate_with_aggregates():
    query = "stats count(*) as n, count(ms), sum(ms) / count(*) as mean, max(ms) by level | sort n desc, level"

    assert ask(query) == [
        {"level": "ERROR", "n": "2", "count(ms)": "2", "mean": "160.25", "max(ms)": "250.5"},
        {"level": "INFO", "n": "1", "count(ms)": "1", "mean": "12", "max(ms)": "12"},
        {"level": "WARN", "n": "1", "count(ms)": "0"},
    ]


def test_stats_over_time_and_over_stats():
    query = "stats count(*) as n by bin(2m) | stats max(n) as most, count(*) as bins"

    assert ask("stats count(*) by bin(2m)") == [
        {"bin(2m)": "2026-01-05 10:02:00.000", "count(*)": "2"},
        {"bin(2m)": "2026-01-05 10:00:00.000", "count(*)": "2"},
    ]
    assert ask(query) == [{"most": "2", "bins": "2"}]


def test_stats_of_nothing_count_nothing():
    assert ask("filter level = 'NO' | stats count(*) as n, avg(ms) as a") == [{"n": "0"}]
    assert ask("filter level = 'NO' | stats count(*) as n by level") == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.integers(0, 100))
@settings(max_examples=60)
def test_numbers_agree_with_numpy(numbers, percent):
    np = pytest.importorskip("numpy")
    query = (
        f"stats pct(x, {percent}) as p, stddev(x) as d, avg(x) as a, min(x) as least, sum(x) as s"
    )

    [row] = ask(query, [{"x": number} for number in numbers])

    assert float(row["p"]) == pytest.approx(np.percentile(numbers, percent), abs=1e-6)
    assert float(row["d"]) == pytest.approx(np.std(numbers, ddof=1), abs=1e-4)
    assert float(row["a"]) == pytest.approx(np.mean(numbers), abs=1e-6)
    assert float(row["least"]) == min(numbers)
    assert float(row["s"]) == pytest.approx(sum(numbers), abs=1e-4)


def test_earliest_latest_and_distinct_values():
    query = "stats earliest(level) as e, latest(level) as l, count_distinct(level) as d, median(ms) as m"

    assert ask(query) == [{"e": "INFO", "l": "WARN", "d": "3", "m": "70"}]


def test_sort_puts_missing_before_texts_before_numbers_and_limit_keeps_the_first():
    messages = [{"v": 10}, {"v": "b"}, {}, {"v": "9"}, {"v": "a"}]

    assert column("fields v | sort v", "v", messages) == [None, "a", "b", "9", "10"]
    assert column("fields v | sort v desc | limit 2", "v", messages) == ["10", "9"]


def test_limit_still_counts_every_match():
    result = run(parse("filter level = 'ERROR' | limit 1"), rows(LINES))

    assert (len(result.rows), result.matched) == (1, 2)


def test_parse_by_wildcards_and_by_named_groups():
    lines = ["user=ana took 12 ms", "nothing here", "user=bo took 7 ms"]
    glob = "parse @message 'user=* took * ms' as who, ms | filter ispresent(who) | display who, ms"
    regex = r"parse /user=(?<who>\w+) took (?<ms>\d+)/ | filter ms > 0 | display who, ms"

    expected = [{"who": "bo", "ms": "7"}, {"who": "ana", "ms": "12"}]
    assert ask(glob, lines) == expected
    assert ask(regex, lines) == expected


def test_last_wildcard_takes_the_rest_of_the_line():
    assert column("parse 'took *' as t | display t", "t", ["it took 12 ms"]) == ["12 ms"]


def test_dedup_keeps_the_newest_of_each():
    assert column("fields level | dedup level", "level") == ["WARN", "ERROR", "INFO"]


def test_display_replaces_what_fields_showed():
    assert ask("fields level, ms | filter ms = 12 | display ms as took") == [{"took": "12"}]


def test_objects_are_shown_as_json():
    assert column("fields user | filter ms = 12", "user") == ['{"id":"ana","tags":["x","y"]}']


def test_objects_sizes_stay_bounded_when_a_text_is_doubled_again_and_again():
    doubled = " | ".join(["fields concat(a, a) as a"] * 40)

    [row] = ask(f"fields 'xxxxxxxxxx' as a | {doubled} | display strlen(a) as n", ["m"])

    assert row == {"n": "1000000"}


@pytest.mark.parametrize(
    ("query", "message", "place"),
    [
        ("fields @timestamp | bogus 1", "unexpected symbol found bogus at line 1 and position 20", 20),
        ("filter level =", "unexpected end of the query at line 1 and position 14", 14),
        ("filter\nlevel = = 1", "unexpected symbol found = at line 2 and position 8", 15),
        ("fields nope(1)", "unknown function nope", 7),
        ("fields strlen(1, 2)", "wrong number of arguments for strlen: 2", 7),
        ("filter count(*) > 1", "an aggregate belongs into stats", 7),
        ("stats level", "stats needs an aggregate like count(*)", 6),
        ("stats sum(avg(ms))", "an aggregate of an aggregate", 6),
        ("parse 'a*b' as x, y", "parse has 1 wildcards and 2 names", 6),
        ("parse /(a)/", "parse needs named groups only: /(?<name>…)/", 6),
        ("filter x like /(/", "invalid regular expression: missing ), unterminated subpattern at position 0", 14),
        ("filter x in [1, 2", "unexpected end of the query at line 1 and position 17", 17),
        ("limit x", "unexpected symbol found x at line 1 and position 6", 6),
        ("fields a | ", "unexpected end of the query at line 1 and position 11", 11),
        ("filter " + "(" * 100, "the query is nested too deeply", 68),
        ("fields 1" + "+1" * 100, "the query is nested too deeply", 130),
        ("bin(5 parsecs)", "unexpected symbol found bin at line 1 and position 0", 0),
        ("fields 5parsecs", "unexpected symbol found 5parsecs at line 1 and position 7", 7),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_where(query, message, place):
    with pytest.raises(Malformed) as caught:
        parse(query)

    assert (str(caught.value), caught.value.start) == (message, place)


def test_dashboards_name_their_groups_in_the_query():
    query = "SOURCE '/aws/a' | SOURCE \"/aws/b\" '/c' | fields @timestamp\n| limit 3"

    assert read_source(query) == (["/aws/a", "/aws/b", "/c"], "fields @timestamp\n| limit 3")
    assert read_source("fields a") == ([], "fields a")


_WORDS = st.sampled_from(
    [
        "fields", "filter", "stats", "sort", "limit", "parse", "dedup", "display", "by", "as", "and", "or", "not",
        "like", "in", "ispresent(", "count(*)", "sum(", "pct(", "bin(5m)", "desc", "|", ",", "(", ")", "[", "]", "=",
        "!=", "<", ">=", "+", "-", "*", "/", "%", "^", "=~", "/a+/", "/(?<n>x)/", "'a*'", '"b"', "`c d`", "@message",
        "@timestamp", "level", "a.b", "7", "2.5", "10", "5m", "concat(", "strlen(", "replace(", "round(", "substr(",
        "datefloor(",
    ]
)  # fmt: skip


@given(st.lists(_WORDS, max_size=14).map(" ".join) | st.text(max_size=60))
@settings(max_examples=400)
def test_any_text_is_a_query_or_malformed(text):
    with contextlib.suppress(Malformed):
        assert len(run(parse(text), rows([*LINES, "a b", ""]), most=10).rows) <= 10


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=6,
)
_FUNCTIONS = st.sampled_from(
    [
        "stats sum(a), avg(a.b), stddev(a), pct(a, 90), min(a), max(a), count_distinct(a) by b, bin(1m)",
        "fields a + b, a / b, a % b, a ^ b, a * b, abs(a), ceil(a), floor(b), round(a, b), substr(a, b, a), log(a)",
        "fields datefloor(a, b), dateceil(a, b), fromMillis(a), toMillis(b), trim(a, b), replace(a, b, a)",
        "sort a desc, b | dedup a | filter a = b or a < b or a in [b] or a like b",
        "filter isIpv4InSubnet(a, b) or isEmpty(a) or strcontains(a, b) | display greatest(a, b), least(a, b, 1)",
    ]
)


@given(_FUNCTIONS, st.lists(st.dictionaries(st.sampled_from("ab"), _JSON), max_size=4))
@settings(max_examples=300)
def test_no_event_breaks_a_query(query, messages):
    for row in run(parse(query), rows(messages)).rows:
        assert all(isinstance(text, str) for _, text in row)
