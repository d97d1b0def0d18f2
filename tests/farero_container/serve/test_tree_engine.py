"""Which of the two engines a batch goes to."""

import json
import threading
import weakref

import numpy as np
import pytest
import xgboost as xgb

from farero_container.serve.frameworks import accelerated, forest, onnx_trees
from farero_container.serve.frameworks.booster import Boosters
from farero_container.serve.frameworks.onnx_session import NotAccelerated, open_graph
from farero_container.serve.frameworks.tree_engine import BATCHES, FEWEST, NEVER, Engine, crossing

ROWS = np.random.default_rng(8).random((BATCHES, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def booster():
    return xgb.train({"nthread": 1}, xgb.DMatrix(ROWS, ROWS[:, 0], nthread=1), 5)


def kept_as(form, booster, large):
    """A model in another form, as it is kept; batches of `large` rows go to the Booster."""
    facts, trees = forest.read(bytes(booster.save_raw("json")))
    notes = {"facts": facts.text(), "proof": "proven", "large": str(large)}
    if form == "masks":
        return accelerated.Masks(facts, trees).masks.kept(notes)
    return onnx_trees.graph(facts, trees, notes, softmax=False)


@pytest.fixture(params=["masks", "graph"])
def kept(booster, request):
    return kept_as(request.param, booster, 10)


@pytest.fixture
def model(kept):
    return accelerated.read(kept)


def test_the_first_large_batch_has_the_booster_loaded_beside_the_work(model, booster, wait_for):
    may_load, loaded = threading.Event(), []

    def load():
        may_load.wait(20)
        loaded.append(Boosters(xgb, [booster]))
        return loaded[0]

    engine = Engine([model], load)
    wanted = booster.predict(xgb.DMatrix(ROWS, nthread=1))

    few = engine.predict(ROWS[:9])
    before = set(threading.enumerate())
    meanwhile = [engine.predict(ROWS[:10]), engine.predict(ROWS)]
    started = set(threading.enumerate()) - before
    may_load.set()
    wait_for(lambda: loaded)
    wait_for(lambda: not started & set(threading.enumerate()))
    after = engine.predict(ROWS)

    assert len(started) == 1
    assert few.tolist() == wanted[:9].tolist()
    assert meanwhile[0].tolist() == wanted[:10].tolist()
    assert meanwhile[1].tolist() == after.tolist() == wanted.tolist()


def test_a_booster_that_cannot_be_loaded_leaves_large_batches_here(model, booster, capsys):
    def load():
        raise OSError("the disk is gone")

    engine = Engine([model], load)
    engine.load_beside()

    assert engine.predict(ROWS).tolist() == booster.predict(xgb.DMatrix(ROWS)).tolist()
    assert "large batches are not left to XGBoost: the disk is gone" in capsys.readouterr().out


def test_rows_in_any_memory_order_and_none_at_all_are_answered(model, booster):
    engine = Engine([model], lambda: Boosters(xgb, [booster]))

    columns = engine.predict(np.asfortranarray(ROWS[:5]))

    assert columns.tolist() == engine.predict(ROWS[:5]).tolist()
    assert engine.predict(ROWS[:0]).shape == (0,)


def burn(times):
    return sum(range(times * 2000))


@pytest.mark.parametrize(
    ("quick", "other", "rows"),
    [
        (lambda _: burn(1), lambda rows: burn(len(rows)), NEVER),
        (lambda rows: burn(len(rows)), lambda _: burn(1), FEWEST),
    ],
)
def test_what_is_slower_for_every_row_never_gets_large_batches(quick, other, rows):
    assert crossing(quick, other, ROWS) == rows


def test_a_file_that_is_no_graph_is_refused_in_a_line():
    with pytest.raises(NotAccelerated, match="ONNX Runtime cannot open the graph") as raised:
        open_graph(b"no graph")

    assert "\n" not in str(raised.value)


def test_facts_come_back_as_they_were_written(model):
    assert forest.facts_of(model.facts.text()) == model.facts
    assert json.loads(model.facts.text())["features"] == 3


@pytest.mark.parametrize("form", ["masks", "graph"])
def test_nothing_is_held_for_large_batches_where_the_booster_is_never_quicker(form, booster):
    def held():
        raise AssertionError("nobody asks for it")

    gone = weakref.ref(held)
    engine = Engine([accelerated.read(kept_as(form, booster, NEVER))], held)
    del held

    engine.load_beside()

    assert gone() is None
    assert engine.predict(ROWS).tolist() == booster.predict(xgb.DMatrix(ROWS)).tolist()
