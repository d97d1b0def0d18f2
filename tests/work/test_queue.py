"""The queue and the worker, on every SQL store."""

import datetime as dt
import threading

import pytest

from farero.base.clock import SystemClock
from farero.store import work as rows
from farero.work import items
from farero.work import worker as worker_module
from farero.work.worker import Worker


def put(store, clock, key="k", *, seconds=0.0, kind="a"):
    with store.begin() as db:
        items.put(db, kind, key, due=clock.now() + dt.timedelta(seconds=seconds))


def waiting(store):
    with store.read() as db:
        return [(item.kind, item.key) for item in rows.list_all(db)]


def test_an_item_runs_once_and_is_gone(store, clock):
    seen = []
    put(store, clock)

    count = Worker(store, clock, {"a": lambda item: seen.append(item.key)}).run_due()

    assert (count, seen, waiting(store)) == (1, ["k"], [])


def test_an_item_waits_until_it_is_due(store, clock):
    seen = []
    put(store, clock, seconds=60)
    worker = Worker(store, clock, {"a": lambda item: seen.append(item.key)})

    worker.run_due()
    before = list(seen)
    clock.advance(seconds=60)
    worker.run_due()

    assert (before, seen) == ([], ["k"])


def test_putting_a_waiting_item_again_brings_it_forward_and_keeps_it_one(store, clock):
    put(store, clock, seconds=60)
    put(store, clock, seconds=5)
    put(store, clock, seconds=90)

    with store.read() as db:
        [item] = rows.list_all(db)

    assert item.due == clock.now() + dt.timedelta(seconds=5)


def test_an_item_put_while_it_runs_runs_once_more(store, clock):
    seen = []

    def handler(item):
        seen.append(item.key)
        if len(seen) == 1:
            put(store, clock, item.key)

    put(store, clock)
    Worker(store, clock, {"a": handler}).run_due()

    assert (seen, waiting(store)) == (["k", "k"], [])


def test_a_handler_asks_for_its_next_turn_later(store, clock):
    seen = []

    def handler(item):
        seen.append(clock.now())
        put(store, clock, item.key, seconds=10)

    put(store, clock)
    worker = Worker(store, clock, {"a": handler})
    start = clock.now()
    worker.run_due()
    clock.advance(seconds=10)
    worker.run_due()

    assert seen == [start, start + dt.timedelta(seconds=10)]


def test_a_failing_item_is_tried_again_with_a_growing_delay(store, clock, caplog):
    tries = []

    def handler(_item):
        tries.append(clock.now())
        raise ValueError("boom")

    put(store, clock)
    worker = Worker(store, clock, {"a": handler})
    start = clock.now()
    for _ in range(8):
        worker.run_due()
        clock.advance(seconds=0.5)

    assert [(moment - start).total_seconds() for moment in tries] == [0.0, 0.5, 1.5, 3.5]
    assert "work item failed" in caplog.text


def test_the_lease_of_a_dead_worker_ends(store, clock):
    put(store, clock)
    with store.begin() as db:
        taken = items.lease(db, clock.now())
        again = items.lease(db, clock.now())
    clock.advance(seconds=61)
    with store.begin() as db:
        later = items.lease(db, clock.now())

    assert ([i.key for i in taken], again, [i.key for i in later]) == (["k"], [], ["k"])


def test_a_new_worker_frees_what_its_forerunner_held(store, clock):
    put(store, clock)
    with store.begin() as db:
        items.lease(db, clock.now())
        freed = rows.free_all(db, now=clock.now())
        later = items.lease(db, clock.now())

    assert (freed, [i.key for i in later]) == (1, ["k"])


def test_a_state_change_and_its_item_are_one_transaction(store, clock):
    def die_half_way():
        with store.begin() as db:
            items.put(db, "a", "k", due=clock.now())
            raise RuntimeError("the process died here")

    with pytest.raises(RuntimeError):
        die_half_way()

    assert waiting(store) == []


def test_items_of_one_kind_do_not_hold_up_another(store, clock):
    seen = []

    def bad(_item):
        raise ValueError("boom")

    put(store, clock, "x", kind="bad")
    put(store, clock, "y", kind="good")
    Worker(store, clock, {"bad": bad, "good": lambda item: seen.append(item.key)}).run_due()

    assert seen == ["y"]


def test_a_long_item_is_held_and_never_runs_beside_itself(store, monkeypatch):
    monkeypatch.setattr(items, "LEASE", dt.timedelta(seconds=2))
    monkeypatch.setattr(worker_module, "RENEW_EVERY_S", 0.1)
    clock, most, running, ended = SystemClock(), [], [], threading.Event()

    def handler(_item):
        running.append(1)
        most.append(len(running))
        ended.wait(2.5)
        running.pop()

    put(store, clock)
    worker = Worker(store, clock, {"a": handler})
    deadline = clock.monotonic() + 3

    def wait_for_work(_seconds):
        ended.wait(0.02)
        return clock.monotonic() < deadline

    worker.run_forever(wait_for_work)

    assert most == [1]
    assert waiting(store) == []


def test_the_loop_hears_that_it_shall_end_while_there_is_always_more_to_do(store):
    clock = SystemClock()

    def handler(item):
        put(store, clock, item.key)

    for number in range(2 * worker_module.THREADS):
        put(store, clock, f"k{number}")
    worker = Worker(store, clock, {"a": handler})
    loop = threading.Thread(target=worker.run_forever, args=(lambda _seconds: False,), daemon=True)
    loop.start()
    loop.join(20)

    assert not loop.is_alive()


def test_waiting_for_a_held_item_that_was_put_again_is_no_busy_loop(store, clock):
    put(store, clock)
    with store.begin() as db:
        [held] = items.lease(db, clock.now())
    put(store, clock)

    with store.read() as db:
        due = items.next_due(db)
    with store.begin() as db:
        again = items.done(db, held)
    with store.read() as db:
        freed = items.next_due(db)

    assert due == clock.now() + items.LEASE
    assert again == freed == clock.now()


def test_the_loop_is_woken_for_an_item_that_was_put_while_it_ran(store, clock):
    seen, woken = [], []

    def handler(item):
        seen.append(item.key)
        if len(seen) == 1:
            put(store, clock, item.key)

    put(store, clock)
    Worker(store, clock, {"a": handler}, wake=lambda: woken.append(1)).run_due()

    assert (seen, woken) == (["k", "k"], [1])


def test_the_loop_is_left_asleep_for_an_item_whose_next_turn_is_far_away(store, clock):
    woken = []

    def handler(item):
        with store.begin() as db:
            items.put(db, item.kind, item.key, due=clock.now() + dt.timedelta(seconds=5))

    put(store, clock)
    Worker(store, clock, {"a": handler}, wake=lambda: woken.append(1)).run_due()

    with store.read() as db:
        assert items.next_due(db) == clock.now() + dt.timedelta(seconds=5)
    assert woken == []


def test_a_next_turn_far_away_is_not_brought_forward_by_the_lease(store, clock):
    seen = []

    def handler(item):
        seen.append(clock.now())
        put(store, clock, item.key, seconds=3600)

    put(store, clock)
    worker = Worker(store, clock, {"a": handler})
    start = clock.now()
    for _ in range(60):
        worker.run_due()
        clock.advance(seconds=60)
    worker.run_due()

    assert seen == [start, start + dt.timedelta(hours=1)]
