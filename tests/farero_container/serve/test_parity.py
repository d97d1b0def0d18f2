"""Trees in other forms, and the proof: what it finds on models of every objective, and what it must catch."""

import dataclasses
import json

import numpy as np
import pytest
import xgboost as xgb
from hypothesis import given, settings
from hypothesis import strategies as st

from farero_container.serve.frameworks import forest as forests
from farero_container.serve.frameworks import links, onnx_trees, parity
from farero_container.serve.frameworks.accelerated import Masks
from farero_container.serve.frameworks.onnx_session import open_graph

OBJECTIVES = {
    "reg:squarederror": {},
    "reg:absoluteerror": {},
    "reg:pseudohubererror": {},
    "reg:quantileerror": {"quantile_alpha": [0.1, 0.5, 0.9]},
    "reg:logistic": {},
    "binary:logistic": {},
    "binary:logitraw": {},
    "binary:hinge": {},
    "multi:softprob": {"num_class": 3},
    "multi:softmax": {"num_class": 3},
    "count:poisson": {},
    "reg:gamma": {},
    "reg:tweedie": {},
    "survival:cox": {},
    "rank:ndcg": {},
    "rank:pairwise": {},
}


def train(objective="reg:squarederror", *, rows=300, features=4, rounds=12, seed=1, **more):
    random = np.random.default_rng(seed)
    matrix = (random.normal(size=(rows, features)) * 3).round(1).astype(np.float32)
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    labels = (np.abs(np.nan_to_num(matrix).sum(axis=1)).astype(int) % 3).astype(float)
    if objective.startswith("binary:") or objective == "reg:logistic":
        labels = (labels > 1).astype(float)
    if objective in ("reg:gamma", "survival:cox"):
        labels += 0.5
    data = xgb.DMatrix(matrix, labels, nthread=1)
    if objective.startswith("rank:"):
        data.set_group([rows])
    given = {"objective": objective, "max_depth": 4, "nthread": 1, **OBJECTIVES[objective], **more}
    return xgb.train(given, data, rounds)


def graphs(facts, forest):
    return onnx_trees.Graphs(facts, forest, open_graph)


FORMS = {"masks": Masks, "graphs": graphs}
both = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())


def proof_of(booster, form, most=3000, **changes):
    facts, forest = forests.read(bytes(booster.save_raw("json")))
    forest = dataclasses.replace(forest, **{k: make(forest) for k, make in changes.items()})
    return parity.prove(booster, xgb, (facts, forest), form(facts, forest), most=most)


@both
@pytest.mark.parametrize("objective", OBJECTIVES)
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_trees_of_every_objective_are_the_boosters_bit_for_bit(objective, form, data):
    more = {
        "max_depth": data.draw(st.integers(1, 6), "depth"),
        "eta": data.draw(st.sampled_from([0.01, 0.3, 1.0]), "eta"),
        "tree_method": data.draw(st.sampled_from(["hist", "exact", "approx"]), "method")
        if objective not in ("reg:quantileerror", "reg:absoluteerror")
        else "hist",
        "num_parallel_tree": data.draw(st.integers(1, 2), "parallel"),
        "subsample": 0.8,
    }
    booster = train(
        objective,
        features=data.draw(st.integers(1, 8), "features"),
        rounds=data.draw(st.integers(1, 15), "rounds"),
        seed=data.draw(st.integers(0, 1000), "seed"),
        **more,
    )

    proof = proof_of(booster, form)

    # The intercept of some is a logarithm, which two libraries may round apart.
    has_logarithm = forests.LINKS.get(objective) in ("sigmoid", "exp")
    assert proof.same == proof.rows or has_logarithm
    assert proof.rows > 1000


@both
@pytest.mark.parametrize("base_score", [0.001, 0.5, 0.99])
@pytest.mark.parametrize("objective", ["reg:squarederror", "binary:logistic", "count:poisson"])
def test_a_base_score_becomes_the_same_margin(objective, base_score, form):
    proof = proof_of(train(objective, base_score=base_score), form)

    assert proof.same == proof.rows


@both
@pytest.mark.parametrize("more", [{}, {"one_drop": 1, "rate_drop": 0.5}])
@pytest.mark.parametrize("objective", ["reg:squarederror", "multi:softprob"])
def test_weights_of_dropped_trees_count(objective, more, form):
    booster = train(objective, **{"booster": "dart", "rate_drop": 0.3, **more})

    assert proof_of(booster, form).trees == (12 if objective == "reg:squarederror" else 36)


@both
def test_a_tree_of_one_leaf_and_trees_of_none(form):
    assert proof_of(train(gamma=1e9), form).worst == 0


@both
def test_several_targets_are_columns(form):
    rows = np.random.default_rng(2).random((100, 3), dtype=np.float32)
    booster = xgb.train({"nthread": 1}, xgb.DMatrix(rows, rows[:, :2]), 5)

    assert proof_of(booster, form).trees == 10


@both
def test_early_stopping_leaves_later_trees_out(form):
    booster = train()
    booster.set_attr(best_iteration="4")
    facts, forest = forests.read(bytes(booster.save_raw("json")), best_iteration=4)

    assert facts.trees == 5
    assert parity.prove(booster, xgb, (facts, forest), form(facts, forest)).same > 0
    with pytest.raises(parity.Differs, match="12 trees were converted, the model uses 5"):
        proof_of(booster, form)


def nudged(forest):
    """The last split's threshold, moved to the next float32."""
    value = forest.value.copy()
    at = np.flatnonzero(~forest.is_leaf)[-1]
    value[at] = np.nextafter(value[at], np.float32(np.inf))
    return value


def rounded_leaf(forest):
    """One leaf's value, wrong in the third digit."""
    value = forest.value.copy()
    value[np.flatnonzero(forest.is_leaf)[-1]] *= np.float32(1.01)
    return value


PLANTED = {
    "a threshold is one float32 off": ({"value": nudged}, "ends in leaf"),
    "missing values go the other way": ({"missing_left": lambda f: 1 - f.missing_left}, "ends in leaf"),
    "one node sends missing values the other way": (
        {"missing_left": lambda f: f.missing_left ^ (np.arange(f.tree.size) == 0)}, "ends in leaf"),
    "branches are swapped": ({"left": lambda f: f.right, "right": lambda f: f.left}, "ends in leaf"),
    "a feature is taken for its neighbour": ({"feature": lambda f: (f.feature + 1) % 4}, "ends in leaf"),
    "a leaf is wrong": ({"value": rounded_leaf}, "a sum of leaves is"),
    "the intercept is forgotten": ({"intercept": lambda f: f.intercept * 0}, "a sum of leaves is"),
}  # fmt: skip


@both
@pytest.mark.parametrize(("changes", "reason"), PLANTED.values(), ids=PLANTED.keys())
@pytest.mark.parametrize("objective", ["reg:squarederror", "binary:logistic"])
def test_a_wrong_conversion_is_caught(objective, changes, reason, form):
    with pytest.raises(parity.Differs, match=reason):
        proof_of(train(objective, rounds=40, base_score=0.3), form, **changes)


def test_less_or_equal_in_place_of_less_is_caught():
    """A converter's classic: only rows exactly at a threshold show it."""
    booster = train(rounds=40)

    def wrong(graph):
        assert graph.count(b"BRANCH_LT") > 100
        return open_graph(graph.replace(b"J\x09BRANCH_LT", b"J\x09BRANCH_GT"))

    facts, forest = forests.read(bytes(booster.save_raw("json")))
    flipped = dataclasses.replace(forest, left=forest.right, right=forest.left)
    with pytest.raises(parity.Differs, match="ends in leaf"):
        parity.prove(booster, xgb, (facts, flipped), onnx_trees.Graphs(facts, flipped, wrong))


@both
@pytest.mark.parametrize(
    ("objective", "link"),
    [("binary:logistic", "identity"), ("multi:softprob", "argmax"), ("count:poisson", "sigmoid"),
     ("multi:softmax", "softmax"), ("reg:squarederror", "sign")],
)  # fmt: skip
def test_a_wrong_link_is_caught(objective, link, form):
    booster = train(objective)
    facts, forest = forests.read(bytes(booster.save_raw("json")))
    facts = dataclasses.replace(facts, link=link)

    with pytest.raises(parity.Differs, match=r"an answer is|answers have the shape"):
        parity.prove(booster, xgb, (facts, forest), form(facts, forest))


def test_each_of_a_models_splits_is_met_below_at_and_above_its_threshold():
    facts, forest = forests.read(bytes(train(rounds=30).save_raw("json")))
    rows = parity.probes(forest, facts.features)
    reached = np.zeros((forest.tree.size, 3), bool)

    for tree in range(facts.trees):
        index = np.flatnonzero(forest.tree == tree)
        at = np.zeros(len(rows), int)
        while True:
            node = index[at]
            seen = rows[np.arange(len(rows)), forest.feature[node]]
            threshold, branch = forest.value[node], ~forest.is_leaf[node]
            for place, edge in enumerate((-np.inf, 0, np.inf)):
                near = np.nextafter(threshold, np.float32(edge)) if edge else threshold
                reached[node[branch & (seen == near)], place] = True
            if not branch.any():
                break
            goes_left = np.where(np.isnan(seen), forest.missing_left[node] == 1, seen < threshold)
            at = np.where(branch, np.where(goes_left, forest.left[node], forest.right[node]), at)

    assert reached[~forest.is_leaf].all()


def test_rows_of_a_large_or_wide_model_are_bounded():
    facts, forest = forests.read(bytes(train(rounds=1, features=3).save_raw("json")))
    many = dataclasses.replace(forest, tree=forest.tree + 9999)

    assert len(parity.probes(many, 3)) <= 1000
    assert len(parity.probes(forest, 5000)) <= 1000
    assert len(parity.probes(forest, facts.features)) <= parity.MOST_ROWS


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda learner: learner["objective"].update(name="reg:expectileerror"), "reg:expectileerror"),
        (lambda learner: learner["learner_model_param"].update(base_score="[1,2]"), "2 numbers for 1"),
        (lambda learner: learner["learner_model_param"].update(base_score="[0E0]"), "no finite margin"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_by_name(change, reason):
    model = json.loads(bytes(train("binary:logistic").save_raw("json")))
    change(model["learner"])

    with pytest.raises(forests.NotConvertible, match=reason):
        forests.read(json.dumps(model).encode())


@given(st.lists(st.floats(-85, 200, width=32), min_size=1, max_size=20))
def test_the_sigmoid_is_xgboosts_far_from_zero_too(margins):
    given_ = np.array(margins, np.float32)[:, None]

    got = links.apply("sigmoid", given_.copy())

    exact = 1 / (1 + np.exp(np.minimum(-given_[:, 0].astype(float), 88.7)))
    np.testing.assert_allclose(got, exact, rtol=3e-7)
