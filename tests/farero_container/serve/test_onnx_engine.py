"""Which of the two engines a batch goes to."""

import json
import threading

import numpy as np
import pytest
import xgboost as xgb

from farero_container.serve.frameworks import onnx_trees
from farero_container.serve.frameworks.booster import Boosters
from farero_container.serve.frameworks.onnx_engine import (
    BATCHES,
    FEWEST,
    NEVER,
    Engine,
    NotAccelerated,
    crossing,
    open_graph,
)

ROWS = np.random.default_rng(8).random((BATCHES, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def booster():
    return xgb.train({"nthread": 1}, xgb.DMatrix(ROWS, ROWS[:, 0], nthread=1), 5)


@pytest.fixture
def graph(booster):
    facts, forest = onnx_trees.read(bytes(booster.save_raw("json")))
    notes = {"facts": facts.text(), "proof": "proven", "large": "10"}
    return onnx_trees.graph(facts, forest, notes, softmax=False)


def test_the_first_large_batch_has_the_booster_loaded_beside_the_work(graph, booster, wait_for):
    may_load, loaded = threading.Event(), []

    def load():
        may_load.wait(20)
        loaded.append(Boosters(xgb, [booster]))
        return loaded[0]

    engine = Engine([graph], load)
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


def test_a_booster_that_cannot_be_loaded_leaves_large_batches_here(graph, booster, capsys):
    def load():
        raise OSError("the disk is gone")

    engine = Engine([graph], load)
    engine.load_beside()

    assert engine.predict(ROWS).tolist() == booster.predict(xgb.DMatrix(ROWS)).tolist()
    assert "large batches stay with ONNX Runtime: the disk is gone" in capsys.readouterr().out


def test_rows_in_any_memory_order_and_none_at_all_are_answered(graph, booster):
    engine = Engine([graph], lambda: Boosters(xgb, [booster]))

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


def test_facts_come_back_as_they_were_written(graph):
    facts = onnx_trees.facts_of(open_graph(graph).notes["facts"])

    assert onnx_trees.facts_of(facts.text()) == facts
    assert json.loads(facts.text())["features"] == 3
