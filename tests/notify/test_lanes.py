"""Receivers that hang keep nobody else waiting: the counting, and the real worker with its threads."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farero.notify.lanes import MOST, MOST_A_LANE, MOST_SUSPECTS, Lanes


def test_one_receiver_gets_two_places():
    lanes = Lanes()

    assert [lanes.enter("a") for _ in range(3)] == [True, True, False]
    assert lanes.enter("b")


def test_receivers_that_failed_share_two_places():
    lanes = Lanes()
    for name in "abc":
        lanes.enter(name)
        lanes.leave(name, is_good=False)

    assert [lanes.enter(name) for name in "abc"] == [True, True, False]
    assert [lanes.enter(name) for name in "de"] == [True, True]


def test_a_receiver_that_recovers_is_a_suspect_no_more():
    lanes = Lanes()
    for is_good in (False, True):
        lanes.enter("a")
        lanes.leave("a", is_good=is_good)
    for name in "bc":
        lanes.enter(name)
        lanes.leave(name, is_good=False)

    assert [lanes.enter(name) for name in "bca"] == [True, True, True]


def test_the_pause_grows_with_those_who_wait_and_starts_anew():
    lanes = Lanes()
    lanes.enter("a")
    pauses = [lanes.pause_s("a") for _ in range(400)]
    lanes.leave("a", is_good=True)

    assert pauses == sorted(pauses)
    assert (pauses[0] < 0.5, pauses[-1], lanes.pause_s("a")) == (True, 10.0, pauses[0])


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.booleans())))
def test_the_limits_hold_whatever_happens(steps):
    lanes = Lanes()
    running = []
    failed = set()
    for name, enters, is_good in steps:
        if enters:
            if lanes.enter(name):
                running.append(name)
        elif name in running:
            running.remove(name)
            lanes.leave(name, is_good=is_good)
            (failed.discard if is_good else failed.add)(name)
        assert len(running) <= MOST
        assert all(running.count(one) <= MOST_A_LANE for one in running)


def test_every_place_is_free_again_at_the_end():
    lanes = Lanes()
    for name in ("a", "a", "b", "b"):
        assert lanes.enter(name)
    for name in ("a", "a", "b", "b"):
        lanes.leave(name, is_good=True)

    assert [lanes.enter(name) for name in ("a", "a", "b", "b")] == [True] * 4
    assert MOST_SUSPECTS < MOST


@pytest.mark.parametrize("cloud", [{"notify_allow_hosts": "127.0.0.1"}], indirect=True)
def test_hanging_receivers_keep_nobody_waiting(cloud, make_receiver, wait_for):
    sns = cloud.client("sns")
    hanging = [make_receiver() for _ in range(3)]
    healthy = make_receiver()
    topics = {}
    for index, one in enumerate([*hanging, healthy]):
        topic = topics[one.port] = sns.create_topic(Name=f"t{index}")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=one.url)
        cloud.run()
        sns.confirm_subscription(TopicArn=topic, Token=one.posts[0].json["Token"])
    # Each has failed once already, so that it is known as one to be careful with.
    for one in hanging:
        one.status = 503
        sns.publish(TopicArn=topics[one.port], Message="refused")
    cloud.run()
    for one in hanging:
        one.go_on.clear()
        for number in range(5):
            sns.publish(TopicArn=topics[one.port], Message=str(number))
    going = threading.Event()
    worker = threading.Thread(
        target=cloud.worker.worker.run_forever,
        args=(lambda seconds: not going.wait(min(seconds, 0.05)),),
    )
    worker.start()
    try:
        wait_for(lambda: sum(len(one.posts) for one in hanging) >= 8)
        for number in range(20):
            sns.publish(TopicArn=topics[healthy.port], Message=str(number))
        wait_for(lambda: len(healthy.messages) == 20, seconds=8)
    finally:
        for one in hanging:
            one.go_on.set()
            one.status = 200
        going.set()
        worker.join()
