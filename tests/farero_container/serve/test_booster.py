"""The short way into XGBoost: the same bits as a DMatrix, or not taken."""

import numpy as np
import pytest
import xgboost as xgb

from farero_container.serve.frameworks.booster import Boosters, Direct

PLAIN = {
    "softprob": {"objective": "multi:softprob", "num_class": 3},
    "softmax": {"objective": "multi:softmax", "num_class": 3},
    "logistic": {"objective": "binary:logistic"},
    "hinge": {"objective": "binary:hinge"},
    "squares": {"objective": "reg:squarederror", "base_score": 7.25},
    "poisson": {"objective": "count:poisson"},
    "rank": {"objective": "rank:pairwise"},
    "forest": {"num_parallel_tree": 4, "subsample": 0.5, "learning_rate": 1},
    "deep": {"max_depth": 9, "grow_policy": "lossguide"},
}


def trained(features=5, rounds=20, **params):
    random = np.random.default_rng(3)
    rows = random.random((200, features), dtype=np.float32)
    rows[random.random(rows.shape) < 0.1] = np.nan
    labels = np.arange(200) % (params.get("num_class") or 2)
    data = xgb.DMatrix(rows, labels, group=[100, 100] if "rank" in str(params) else None)
    return xgb.train({"nthread": 1, "max_depth": 3, **params}, data, rounds)


def rows_of(count, features=5):
    random = np.random.default_rng(count)
    rows = random.standard_normal((count, features)).astype(np.float32)
    rows[random.random(rows.shape) < 0.2] = np.nan
    return rows


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("count", [1, 3, 64, 65, 700])
def test_plain_trees_take_the_short_way_with_the_same_bits(name, count):
    booster = trained(**PLAIN[name])
    engine = Boosters(xgb, [booster])
    rows = rows_of(count)

    expected = booster.predict(xgb.DMatrix(rows, nthread=1))
    found = engine.predict(rows)

    assert engine.is_direct
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.filterwarnings("ignore")  # the linear booster is said to go away
@pytest.mark.parametrize("params", [{"booster": "gblinear"}, {"booster": "dart", "rate_drop": 0.3}])
def test_other_boosters_take_the_long_way(params):
    booster = trained(**params)
    engine = Boosters(xgb, [booster])
    rows = rows_of(40)

    assert not engine.is_direct
    assert np.array_equal(engine.predict(rows), booster.predict(xgb.DMatrix(rows)))


def test_several_models_are_their_mean():
    both = [trained(), trained(max_depth=1)]
    engine = Boosters(xgb, both)
    rows = rows_of(40)

    expected = np.mean([one.predict(xgb.DMatrix(rows)) for one in both], axis=0)

    assert not engine.is_direct
    assert np.array_equal(engine.predict(rows), expected)


def test_early_stopping_predicts_up_to_the_best_round():
    booster = trained(rounds=30)
    booster.set_attr(best_iteration="4")
    rows = rows_of(40)

    expected = booster.predict(xgb.DMatrix(rows), iteration_range=(0, 5))

    assert Boosters(xgb, [booster]).predict(rows).tobytes() == expected.tobytes()


def test_infinite_values_are_refused_in_the_librarys_words():
    rows = rows_of(3)
    rows[1, 1] = np.inf

    with pytest.raises(xgb.core.XGBoostError, match="contains `inf`"):
        Boosters(xgb, [trained()]).predict(rows)


def test_what_was_returned_stays_as_it_was():
    engine = Boosters(xgb, [trained()])
    first = engine.predict(rows_of(3))
    before = first.copy()

    engine.predict(rows_of(50))

    assert np.array_equal(first, before)


def test_columns_in_fortran_order_and_slices_are_read_right():
    booster = trained()
    engine = Boosters(xgb, [booster])
    rows = np.asfortranarray(rows_of(60))

    expected = booster.predict(xgb.DMatrix(rows))

    assert np.array_equal(engine.predict(rows), expected)
    assert np.array_equal(engine.predict(rows[::2]), expected[::2])


FAULTS = {
    "a row alone": lambda rows: 0 if len(rows) == 1 else None,
    "what comes after 64 rows": lambda rows: 64 if len(rows) > 64 else None,
    "the last row of several": lambda rows: -1 if len(rows) > 1 else None,
    "a missing value": lambda rows: next(iter(np.flatnonzero(np.isnan(rows).any(axis=1))), None),
    "a large number": lambda rows: next(iter(np.flatnonzero((rows > 100).any(axis=1))), None),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_short_way_that_differs_by_a_bit_is_not_taken(monkeypatch, fault):
    call = Direct.__call__

    def differs(self, rows):
        found = call(self, rows).copy()
        at = fault(rows)
        if at is not None:
            found[at] = np.nextafter(found[at], np.float32(np.inf))
        return found

    monkeypatch.setattr(Direct, "__call__", differs)
    booster = trained()
    engine = Boosters(xgb, [booster])

    assert not engine.is_direct
    rows = rows_of(70)
    assert engine.predict(rows).tobytes() == booster.predict(xgb.DMatrix(rows)).tobytes()
