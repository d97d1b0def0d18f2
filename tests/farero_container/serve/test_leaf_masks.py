"""Trees as masks of leaves: the Booster's own sums, bit for bit, for any number of rows of any numbers."""

import dataclasses

import numpy as np
import pytest
import xgboost as xgb
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from farero_container.serve.frameworks import forest as forests
from farero_container.serve.frameworks import leaf_masks

#: Not a number, with the sign bit and without, silent and signalling.
NANS = np.array([0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32)
EDGES = np.array(
    [0.0, -0.0, 1e-45, -1e-45, 1.17e-38, -1.17e-38, 3.4e38, -3.4e38, 1, -1], np.float32
)


def train(objective="reg:squarederror", *, rows=400, features=5, rounds=9, seed=1, **more):
    random = np.random.default_rng(seed)
    data = random.normal(size=(rows, features)).round(1).astype(np.float32)
    data[random.random(data.shape) < 0.2] = np.nan
    labels = np.abs(np.nansum(data, axis=1)).astype(int) % 3
    if objective == "binary:logitraw":
        labels %= 2
    return xgb.train(
        {"objective": objective, "nthread": 1, **more}, xgb.DMatrix(data, labels, nthread=1), rounds
    )


def read(booster):
    return forests.read(bytes(booster.save_raw("json")))


def masks_of(booster):
    facts, forest = read(booster)
    assert leaf_masks.fits(facts, forest)
    return leaf_masks.LeafMasks(leaf_masks.make(facts, forest)[0], facts.features)


def margins(booster, rows):
    found = booster.predict(xgb.DMatrix(rows, nthread=1), output_margin=True)
    return found.reshape(len(rows), -1)


MODELS = {
    "number": train(max_depth=6),
    "stumps": train(max_depth=1),
    "two classes": train("binary:logitraw", max_depth=3),
    "three classes, two trees each": train(
        "multi:softprob", num_class=3, num_parallel_tree=2, subsample=0.5, max_depth=4
    ),
    "one tree": train(rounds=1),
    "leaves alone": train(gamma=1e9),
}
every = pytest.mark.parametrize("booster", MODELS.values(), ids=MODELS.keys())


@every
@pytest.mark.parametrize("count", [*range(1, 20), 63, 64, 65, 127, 128, 129, 500])
def test_sums_are_the_boosters_bit_for_bit_for_any_number_of_rows(booster, count):
    rows = np.random.default_rng(count).normal(size=(count, 5)).round(1).astype(np.float32)
    rows[::3, ::2] = np.nan

    assert masks_of(booster).margins(rows).tolist() == margins(booster, rows).tolist()


@every
def test_no_rows_have_no_sums(booster):
    facts, _ = read(booster)

    assert masks_of(booster).margins(np.zeros((0, 5), np.float32)).shape == (0, facts.outputs)


@every
@given(
    rows=arrays.arrays(
        np.float32, st.tuples(st.integers(1, 6), st.just(5)), elements=st.floats(width=32, allow_infinity=False)
    )
)  # fmt: skip
def test_any_numbers_come_to_the_boosters_leaves(booster, rows):
    assert masks_of(booster).margins(rows).tolist() == margins(booster, rows).tolist()


@every
def test_every_threshold_its_neighbours_and_every_kind_of_nothing_are_told_apart(booster):
    _, forest = read(booster)
    thresholds = forest.value[~forest.is_leaf]
    values = np.concatenate([
        thresholds, np.nextafter(thresholds, np.float32(-np.inf)), np.nextafter(thresholds, np.float32(np.inf)),
        EDGES, NANS,
    ])  # fmt: skip
    rows = np.repeat(values[:, None], 5, axis=1)
    mixed = np.where([True, False, True, False, True], np.roll(rows, 1, axis=0), rows)
    rows = np.concatenate([rows, mixed])
    rows = rows[~np.isinf(rows).any(axis=1)]

    assert masks_of(booster).margins(rows).tolist() == margins(booster, rows).tolist()


@pytest.mark.parametrize("moved", [0.0, -0.0])
def test_zero_as_a_threshold_sends_both_zeros_to_the_right(moved):
    booster = train(max_depth=2, rounds=3)
    facts, forest = read(booster)
    value = np.where(forest.is_leaf, forest.value, np.float32(moved))
    made = leaf_masks.make(facts, dataclasses.replace(forest, value=value))[0]
    found = leaf_masks.LeafMasks(made, facts.features)
    rows = np.repeat(np.array([[0.0], [-0.0], [1e-45], [-1e-45]], np.float32), 5, axis=1)

    at, minus, above, below = found.margins(rows).tolist()

    assert at == minus == above
    assert at != below


def test_what_was_kept_is_read_again_and_what_is_damaged_is_not():
    booster = MODELS["three classes, two trees each"]
    kept = masks_of(booster).kept({"proof": "no doubt"})
    rows = np.random.default_rng(3).normal(size=(7, 5)).astype(np.float32)

    tables, notes = leaf_masks.read(kept)

    assert kept.startswith(leaf_masks.MAGIC)
    assert notes == {"proof": "no doubt"}
    again = leaf_masks.LeafMasks(tables, 5).margins(rows)
    assert again.tolist() == margins(booster, rows).tolist()
    for end in (0, 10, 200, len(kept) - 1):
        with pytest.raises((ValueError, EOFError)):
            leaf_masks.read(kept[:end])


def test_trees_of_up_to_64_leaves_have_masks_and_others_none(monkeypatch):
    random = np.random.default_rng(2)
    rows = random.random((3000, 3), dtype=np.float32)
    data = xgb.DMatrix(rows, random.random(3000), nthread=1)
    given_ = {"tree_method": "hist", "grow_policy": "lossguide", "max_depth": 0, "min_child_weight": 0,
              "nthread": 1}  # fmt: skip
    found = {}
    for most in (16, 17, 32, 33, 64, 65):
        booster = xgb.train(given_ | {"max_leaves": most}, data, 3)
        facts, forest = read(booster)
        assert np.bincount(forest.tree[forest.is_leaf]).max() == most
        found[most] = leaf_masks.fits(facts, forest)
        if found[most]:
            sums = masks_of(booster).margins(rows[:200])
            assert sums.tolist() == margins(booster, rows[:200]).tolist()
    assert found == {most: most <= 64 for most in found}

    facts, forest = read(MODELS["number"])
    size = leaf_masks.make(facts, forest)[0].masks.nbytes
    monkeypatch.setattr(leaf_masks, "MOST_BYTES", size // 2)
    assert not leaf_masks.fits(facts, forest)


@pytest.mark.parametrize("features", [1, 4, 9])
@pytest.mark.parametrize("depth", [1, 6])
def test_a_table_is_never_larger_than_was_said(monkeypatch, features, depth):
    facts, forest = read(train(features=features, max_depth=depth))
    size = leaf_masks.make(facts, forest)[0].masks.nbytes

    assert leaf_masks.fits(facts, forest)
    monkeypatch.setattr(leaf_masks, "MOST_BYTES", size - 1)

    assert not leaf_masks.fits(facts, forest)


def test_a_model_of_many_features_in_many_trees_has_no_masks():
    """Each of its rows would need more of the table than a walk through the trees costs."""
    random = np.random.default_rng(1)
    rows = random.random((400, 300), dtype=np.float32)
    data = xgb.DMatrix(rows, random.random(400), nthread=1)
    given_ = {"max_depth": 3, "colsample_bytree": 0.1, "nthread": 1}
    few, many = (read(xgb.train(given_, data, rounds)) for rounds in (20, 400))

    assert leaf_masks.fits(*few)
    used = len(np.unique(many[1].feature[~many[1].is_leaf]))
    assert used * 400 * 2 > leaf_masks.MOST_ROW_BYTES
    assert leaf_masks.make(*many)[0].masks.nbytes < leaf_masks.MOST_BYTES
    assert not leaf_masks.fits(*many)


def test_features_that_no_tree_looks_at_take_no_room():
    rows = np.random.default_rng(5).random((300, 40), dtype=np.float32)
    booster = xgb.train(
        {"nthread": 1, "max_depth": 3}, xgb.DMatrix(rows, rows[:, 7] + rows[:, 31], nthread=1), 4
    )
    facts, forest = read(booster)
    used = sorted({int(f) for f in forest.feature[~forest.is_leaf]})

    tables, _ = leaf_masks.make(facts, forest)

    assert tables.used.tolist() == used
    assert len(used) < 40
    found = leaf_masks.LeafMasks(tables, 40).margins(rows)
    assert found.tolist() == margins(booster, rows).tolist()


def test_outputs_may_have_different_numbers_of_trees():
    """As a model cut in the middle of a round has."""
    facts, forest = read(MODELS["three classes, two trees each"])
    last = forest.tree < facts.trees - 1
    fewer = dataclasses.replace(
        forest,
        **{
            field.name: getattr(forest, field.name)[last]
            for field in dataclasses.fields(forest)
            if field.name != "intercept"
        },
    )
    less = dataclasses.replace(facts, trees=facts.trees - 1)
    rows = np.random.default_rng(6).normal(size=(30, 5)).astype(np.float32)

    whole = leaf_masks.LeafMasks(leaf_masks.make(facts, forest)[0], 5).margins(rows)
    cut = leaf_masks.LeafMasks(leaf_masks.make(less, fewer)[0], 5).margins(rows)

    assert leaf_masks.fits(less, fewer)
    output = int(forest.output[forest.tree == facts.trees - 1][0])
    others = [column for column in range(3) if column != output]
    assert cut[:, others].tolist() == whole[:, others].tolist()
    assert cut[:, output].tolist() != whole[:, output].tolist()


def test_thousands_of_trees_have_numbers_enough_for_their_leaves():
    booster = train(max_depth=1, rounds=4200, eta=0.001)
    facts, forest = read(booster)

    tables, _ = leaf_masks.make(facts, forest)

    assert tables.masks.dtype.itemsize * 8 > 16
    rows = np.random.default_rng(7).normal(size=(70, 5)).astype(np.float32)
    found = leaf_masks.LeafMasks(tables, 5).margins(rows)
    assert found.tolist() == margins(booster, rows).tolist()
