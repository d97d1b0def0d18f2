"""Ticks: at their pace while there is work, rarely at rest, at once when they are woken, once more at the end."""

import queue

import pytest

from farero.work.ticks import Tick, Ticker

LONG_S = 3600.0


@pytest.fixture
def rounds():
    """What each round of a tick is answered; the round waits for it."""
    return queue.Queue()


@pytest.fixture
def ran():
    return queue.Queue()


@pytest.fixture
def ticker(rounds, ran):
    def run():
        ran.put("+")
        answer = rounds.get(timeout=30)
        if isinstance(answer, Exception):
            raise answer
        return answer

    one = Ticker([Tick(name="one", every_s=0.01, run=run, at_rest_s=LONG_S)])
    one.start()
    yield one
    for _ in range(2):  # the round that is under way, and the last one
        rounds.put(0)
    one.stop()


def test_a_tick_with_work_left_goes_on_at_its_pace(ticker, rounds, ran):
    for _ in range(3):
        assert ran.get(timeout=30)
        rounds.put(1)


def test_one_at_rest_is_woken(ticker, rounds, ran):
    for _ in range(3):
        assert ran.get(timeout=30)
        rounds.put(0)
        ticker.wake("one")


def test_a_wake_during_a_round_is_not_lost(ticker, rounds, ran):
    assert ran.get(timeout=30)
    ticker.wake("one")  # it is at work: what was brought may come too late for this round
    rounds.put(0)

    assert ran.get(timeout=30)


def test_one_that_fails_goes_on_at_its_pace(ticker, rounds, ran, caplog):
    assert ran.get(timeout=30)
    rounds.put(ValueError("it failed"))

    assert ran.get(timeout=30)
    assert "tick failed" in caplog.text


def test_the_end_brings_one_more_round(rounds, ran):
    one = Ticker([Tick(name="one", every_s=LONG_S, run=lambda: ran.put("+"))])
    one.start()
    one.stop()

    assert ran.qsize() == 1


def test_nobody_is_woken_by_a_name_that_is_not_there(ticker):
    ticker.wake("another")
