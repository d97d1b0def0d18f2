"""Durations are counted by two threads, and none is lost or counted twice."""

from collections import Counter
from random import Random
from threading import Event, Thread

import pytest

from farero.endpoints.durations import AT_ONCE, NO_ANSWER, Durations


def test_what_one_thread_adds_while_another_takes_is_counted_once():
    durations, is_done, taken = Durations(), Event(), []
    random = Random(4)
    batches = [
        [(NO_ANSWER if random.random() < 0.1 else 0.002, 0.003) for _ in range(random.randint(1, 64))]
        for _ in range(3_000)
    ]  # fmt: skip

    def take():
        while not is_done.is_set():
            taken.append(durations.take())
        taken.append(durations.take())

    taker = Thread(target=take)
    for number, batch in enumerate(batches):
        if number == 100:
            taker.start()
        durations.add([second for pair in batch for second in pair])
    is_done.set()
    taker.join()

    answered = Counter(pair[0] for batch in batches for pair in batch)
    assert sum(one.requests for one in taken) == answered.total()
    model = sum((one.model_us for one in taken), Counter())
    overhead = sum((one.overhead_us for one in taken), Counter())
    assert model.total() == answered[0.002]
    assert overhead.total() == answered.total()
    assert sum(n for us, n in overhead.items() if us > 2_000) == answered[NO_ANSWER]
    assert taken[0].requests > AT_ONCE


@pytest.mark.parametrize("count", [AT_ONCE - 1, AT_ONCE, 3 * AT_ONCE + 1])
def test_times_are_exact_or_right_to_a_five_hundredth(count):
    durations = Durations()
    for _ in range(count):
        durations.add([0.0071, 0.0074])

    requests, model_us, overhead_us = durations.take()

    assert requests == count
    exact = count < AT_ONCE
    assert (model_us, overhead_us) == ({7100: count}, {300: count}) or not exact
    assert list(model_us) == [pytest.approx(7100, rel=1 / 512)]
    assert list(overhead_us) == [pytest.approx(300, rel=1 / 512, abs=0.5)]
    assert durations.take().requests == 0


def test_a_model_that_seems_to_take_longer_than_its_request_took_all_of_it():
    durations = Durations()
    durations.add([0.002, 0.001, NO_ANSWER, 0.004, 0.0, 0.0])

    assert durations.take() == (3, {2000: 1, 0: 1}, {0: 2, 4000: 1})
