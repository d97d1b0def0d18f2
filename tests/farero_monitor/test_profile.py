"""Profiles merge: two halves give what the whole gives, whatever is in them."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farero_monitor.profile.categories import Categories
from farero_monitor.profile.column import Column
from farero_monitor.profile.dataset import Profile
from farero_monitor.profile.rows import Numbers
from farero_monitor.profile.sample import Sample, alike
from farero_monitor.profile.sketch import Quantiles, Steps

values = st.one_of(
    st.none(),
    st.integers(-(10**6), 10**6).map(str),
    st.floats(-1e9, 1e9, allow_nan=False).map(repr),
    st.sampled_from(
        ["", "nan", "NaN", "inf", "1e5", " 7", "0x1F", "a", "b", "true", "1.", "-.5", "ñandú"]
    ),
)


def column(texts):
    made = Column("x")
    made.update_texts(pa.array(texts, pa.string()))
    return made


def facts(made: Column) -> dict[str, object]:
    moments = made.moments
    return {
        "rows": made.rows, "missing": made.missing, "integral": made.integral, "fractional": made.fractional,
        "text": made.text, "type": made.inferred_type, "negative": made.negative, "not_finite": made.not_finite, "whole": made.whole,
        "count": moments.count, "least": moments.least, "most": moments.most,
        "total": pytest.approx(moments.total, rel=1e-9, abs=1e-3),
        "deviation": pytest.approx(moments.deviation, rel=1e-6, abs=1e-6),
        "categories": made.categories.counts if made.text and made.categories else None,
        "ranks": made.quantiles.levels(),
    }  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(values, max_size=40), st.lists(values, max_size=40))
def test_two_columns_merge_to_the_column_of_both(one, other):
    merged = column(one)
    merged.merge(column(other))
    assert facts(merged) == facts(column([*one, *other]))


@settings(max_examples=100, deadline=None)
@given(st.lists(values, min_size=1, max_size=40))
def test_a_column_comes_back_from_its_state(texts):
    made = column(texts)
    back = Column.from_state(made.to_state())
    assert facts(back) == facts(made)


@pytest.mark.parametrize(
    ("texts", "inferred"),
    [
        (["1", "2", "-3"], "Integral"),
        (["1", "2.5"], "Fractional"),
        (["1.0", "2.0"], "Fractional"),
        (["1", "x"], "String"),
        (["true", "false"], "String"),
        (["0x1F", "0x20"], "String"),
        ([None, ""][:1], "Unknown"),
        (["nan", "1"], "Integral"),
        (["99999999999999999999999"], "Integral"),
        (["1e5", "2"], "Fractional"),
    ],
)
def test_types_are_those_of_the_texts(texts, inferred):
    assert column(texts).inferred_type == inferred


def test_quantiles_are_exact_for_few_values_and_close_for_many():
    few = Quantiles()
    few.update(np.arange(1000.0))
    assert few.levels() == [list(np.arange(1000.0))]
    many, values = Quantiles(), np.random.default_rng(1).normal(size=300_000)
    for part in np.array_split(values, 60):
        one = Quantiles()
        one.update(part)
        many.merge(one)
    exact, sketched = Steps.of_values(values), many.steps()
    at = np.linspace(-4, 4, 2001)
    assert np.abs(exact.cdf(at) - sketched.cdf(at)).max() < 0.002
    assert sketched.count == 300_000


def test_levels_rebuild_the_ranks():
    sketch, values = Quantiles(), np.random.default_rng(2).exponential(size=100_000)
    sketch.update(values)
    rebuilt = Steps.of_levels(sketch.levels())
    for share in (0.01, 0.25, 0.5, 0.9, 0.99):
        value = rebuilt.quantile([share])[0]
        assert abs((values <= value).mean() - share) < 0.003


def test_categories_stay_bounded_and_keep_what_is_frequent():
    rng, merged = np.random.default_rng(3), Categories(limit=100)
    for part in range(4):
        one = Categories(limit=100)
        rare = [(f"rare-{part}-{number}", 1) for number in range(1000)]
        one.update([("often", 500), *rare])
        merged.merge(one)
    assert len(merged.counts) <= 100
    assert not merged.exact
    assert abs(merged.distinct - 4001) < 200
    assert merged.counts["often"] <= 2000 <= merged.counts["often"] + merged.error
    assert merged.error <= 6000 / 100
    assert rng is not None


def test_a_column_that_only_one_part_has_is_missing_in_the_other():
    one, other = Profile(1), Profile(2)
    one.update(pa.table({"a": ["1", "2"]}))
    other.update(pa.table({"a": ["3"], "b": ["x"]}))
    one.merge(other)
    assert (one.rows, one.columns["b"].rows, one.columns["b"].missing) == (3, 3, 2)
    assert one.sample.table().num_rows == 3


def test_a_profile_comes_back_from_its_bytes_and_damage_is_told():
    made = Profile(1)
    made.update(pa.table({"a": ["1", "2", None], "b": ["x", "y", "x"]}))
    made.unread.add("f.csv", "line 3", "not CSV")
    content = made.to_bytes()
    back = Profile.from_bytes(content)
    assert facts(back.columns["a"]) == facts(made.columns["a"])
    assert back.unread == made.unread
    rows = [("a", "ascending"), ("b", "ascending")]
    assert back.sample.table().sort_by(rows).equals(made.sample.table().sort_by(rows))
    for damaged in (content[:-20], b"", b"\x80", content.replace(b"format", b"farmat")):
        with pytest.raises(ValueError, match="profile"):
            Profile.from_bytes(damaged)


@pytest.mark.parametrize("rows", [1, 2, 5000, 50_000])
def test_a_sketch_that_was_read_goes_on_like_the_one_that_was_written(rows):
    made = Quantiles()
    made.update(np.random.default_rng(rows).normal(size=rows))
    content = made.to_bytes()
    back = Quantiles.from_bytes(content)
    assert (back.count, back.levels(), back.to_bytes()) == (rows, made.levels(), content)
    assert back.steps().quantile(0.5) == made.steps().quantile(0.5)

    back.update(np.array([9.0]))

    assert back.count == rows + 1
    assert back.steps().quantile(1.0) == 9.0
    for damaged in (b"", content[:9], content[:-8], content[:2] + b"\x07" + content[3:]):
        with pytest.raises(ValueError, match="not a KLL sketch"):
            Quantiles.from_bytes(damaged)


texts = st.lists(st.sampled_from(["1", "-2.5", "1e400", "nan", "x", "y", " 3", None]), max_size=30)


@given(st.lists(st.tuples(texts, st.booleans()), min_size=1, max_size=3))
def test_rows_are_the_same_from_what_was_written_with_them_as_from_their_texts(parts):
    with_them, without = Sample(0), Sample(0)
    for seed, (column, alone) in enumerate(parts):
        made = Sample(seed)
        made.update(pa.table({"a": pa.array(column, pa.string())}))
        if not alone:
            made.update(pa.table({"a": pa.array(column, pa.string()), "b": ["1"] * len(column)}))
        for whole, numbers in ((with_them, True), (without, False)):
            whole.merge(Sample.from_state(made.to_state(numbers=numbers)))

    there, expected = shown(with_them.rows()), shown(without.rows())

    assert there == expected


def shown(found):
    """Rows by value, a missing one as None."""
    return found.count, {
        name: [None if math.isnan(v) else v for v in column.values]
        if isinstance(column, Numbers)
        else [None if code < 0 else column.texts[code] for code in column.codes]
        for name, column in found.columns.items()
    }


def test_a_column_is_one_of_numbers_only_if_it_is_in_both_samples():
    one, other = Sample(1), Sample(2)
    one.update(pa.table({"a": ["1", "2"], "b": ["1", "2"]}))
    other.update(pa.table({"a": ["3", "4"], "b": ["x", "4"]}))
    read = [Sample.from_bytes(sample.to_bytes()) for sample in (one, other)]

    found = [shown(rows)[1] for rows in alike(*read)]

    assert [sorted(rows["a"]) for rows in found] == [[1.0, 2.0], [3.0, 4.0]]
    assert [sorted(rows["b"]) for rows in found] == [["1", "2"], ["4", "x"]]


@pytest.mark.parametrize("written", [False, True])
def test_the_sample_of_merged_parts_is_uniform(written):
    whole = Profile(0, sample=2000)
    for part, rows in enumerate((500, 5000, 20_000)):
        one = Profile(part + 1, sample=2000)
        one.update(pa.table({"part": [str(part)] * rows}))
        whole.merge(Profile.from_bytes(one.to_bytes()) if written else one)
    kept = whole.sample.table().column("part").to_pylist()
    assert len(kept) == 2000
    for part, rows in enumerate((500, 5000, 20_000)):
        expected = 2000 * rows / 25_500
        assert abs(kept.count(str(part)) - expected) < 5 * math.sqrt(expected)


@pytest.mark.parametrize(
    "rows", [8191, 8192, 8193, 16_383, 16_384, 32_767, 62_500, 65_536, 1_000_001]
)
def test_a_block_added_at_once_keeps_its_count_its_ends_and_its_ranks(rows):
    values = np.random.default_rng(rows).normal(size=rows)
    sketch, others = Quantiles(), Quantiles()
    sketch.update(values)
    others.update(np.array([-9.0, 9.0]))
    others.merge(sketch)
    back = Quantiles.from_bytes(others.to_bytes())
    assert back.count == rows + 2 == sum(len(x) << i for i, x in enumerate(back.levels()))
    steps, at = sketch.steps(), np.linspace(-3, 3, 301)
    assert np.abs(steps.cdf(at) - Steps.of_values(values).cdf(at)).max() < 0.0015
    assert back.steps().quantile([0.0, 1.0]).tolist() == [-9.0, 9.0]


def test_ranks_of_many_blocks_are_not_off_to_one_side():
    at, off = np.linspace(0.05, 0.95, 19), []
    for seed in range(60):
        values = np.random.default_rng(seed).random(100_000)
        sketch = Quantiles()
        for block in np.split(values, 4):
            sketch.update(block)
        off.append(sketch.steps().cdf(at) - Steps.of_values(values).cdf(at))
    mean, deviation = np.mean(off, axis=0), np.std(off, axis=0)
    assert np.abs(off).max() < 0.002
    assert (np.abs(mean) < 4.5 * deviation / np.sqrt(60)).all()


@pytest.mark.parametrize(
    "texts",
    [
        ["a", "b", None, "a", "c" * 300, "c" * 299],
        ["1", "2.5", None, "x", "nan", " 3"],
        [None, None],
        ["", "a", ""],
        ["é", "٣", "inf"],
    ],
)
def test_a_dictionary_counts_as_the_texts_it_stands_for(texts):
    plain, coded = Profile(), Profile()
    array = pa.array(texts, pa.string())
    plain.update(pa.table({"x": array}))
    coded.update(pa.table({"x": array.dictionary_encode()}))
    coded.update(pa.table({"x": array.dictionary_encode().slice(1)}))
    plain.update(pa.table({"x": array.slice(1)}))
    assert facts(coded.columns["x"]) == facts(plain.columns["x"])
