"""Topics, deliveries and queues in SQL, on every database there is."""

import datetime as dt

import pytest

from farero.base.clock import ManualClock
from farero.base.config import Settings
from farero.notify.queues import Queues
from farero.notify.topics import Topics
from farero.records.notify import DeliveryState, Subscription
from farero.store import deliveries
from farero.store import queues as queue_rows
from farero.store import topics as topic_rows

ARN = "arn:aws:sqs:us-east-1:123456789012:q"


@pytest.fixture
def topics(store, clock, tmp_path):
    return Topics(store, clock, Settings(data_dir=tmp_path), lambda: None)


@pytest.fixture
def queues(store, clock, tmp_path):
    return Queues(store, clock, Settings(data_dir=tmp_path))


def listener(store, topic, number, **fields):
    made = Subscription(
        arn=f"{topic.arn}:{number}", topic_arn=topic.arn, protocol="sqs", endpoint=ARN, owner="1",
        created_at=topic.created_at, **{"confirmed": True, **fields},
    )  # fmt: skip
    with store.begin() as db:
        topic_rows.insert_subscription(db, made)
    return made


def test_a_message_becomes_one_delivery_a_confirmed_subscription(store, clock, topics):
    topic = topics.create("t", {"DisplayName": "é"})
    listener(store, topic, 1)
    listener(store, topic, 2)
    listener(store, topic, 3, confirmed=False)

    with store.begin() as db:
        for text in ("a", "b"):
            topics.publish(db, topic.arn, text, subject="s", queue="alarm/x")

    with store.read() as db:
        first = deliveries.first_pending(db, "1", "alarm/x")
        assert (first.note.message, first.note.sent_at) == ("a", clock.now())
        assert deliveries.first_pending(db, "3", "alarm/x") is None
        assert deliveries.counts(db) == {"pending": 4, "delivered": 0, "dead": 0}
        assert topic_rows.count_subscriptions(db, topic.arn) == {True: 2, False: 1}


def test_a_finished_delivery_lets_the_next_one_come_first(store, clock, topics):
    topic = topics.create("t", {})
    listener(store, topic, 1)
    with store.begin() as db:
        for text in ("a", "b"):
            topics.publish(db, topic.arn, text, queue="q")
        first = deliveries.first_pending(db, "1", "q")
        deliveries.finish(db, first.id, DeliveryState.DELIVERED, reason="", now=clock.now())

    with store.begin() as db:
        assert deliveries.first_pending(db, "1", "q").note.message == "b"
        deliveries.drop_pending(db, ["1"])
        assert deliveries.first_pending(db, "1", "q") is None
        assert deliveries.forget(db, DeliveryState.DELIVERED, before=clock.now()) == 0
        assert (
            deliveries.forget(
                db, DeliveryState.DELIVERED, before=clock.now() + dt.timedelta(seconds=1)
            )
            == 1
        )


def test_of_what_has_arrived_the_newest_are_kept(store, clock, topics):
    topic = topics.create("t", {})
    listener(store, topic, 1)
    with store.begin() as db:
        for text in "abcde":
            topics.publish(db, topic.arn, text, queue="q")
        for _ in range(4):
            first = deliveries.first_pending(db, "1", "q")
            deliveries.finish(db, first.id, DeliveryState.DELIVERED, reason="", now=clock.now())

        assert deliveries.forget_beyond(db, DeliveryState.DELIVERED, most=4) == 0
        assert deliveries.forget_beyond(db, DeliveryState.DELIVERED, most=1) == 3

        kept = deliveries.latest(db, state=None, limit=10)
        assert [one.note.message for one in kept] == ["e", "d"]


def test_a_rolled_back_transaction_tells_nobody(store, topics):
    topic = topics.create("t", {})
    listener(store, topic, 1)

    def fail_after_publishing():
        with store.begin() as db:
            topics.publish(db, topic.arn, "never")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_publishing()

    with store.read() as db:
        assert deliveries.counts(db)["pending"] == 0


def test_a_queue_gives_hides_counts_and_moves(store, clock: ManualClock, queues):
    queues.create("q", {})
    queues.create("dead", {})
    policy = f'{{"deadLetterTargetArn": "{ARN[:-1]}dead", "maxReceiveCount": 1}}'
    queues.set_attributes("q", {"RedrivePolicy": policy})
    with store.begin() as db:
        queues.send(db, ARN, "now", attributes={"a": {"DataType": "String", "StringValue": "x"}})
        queues.send(db, ARN, "later", delay_s=100)

    (taken,) = queues.receive("q", limit=10)
    with store.read() as db:
        queue = queue_rows.find(db, "q")
        assert queue_rows.counts(db, queue.id, clock.now()) == (0, 1, 1)
    clock.advance(seconds=31)

    assert (taken.body, taken.attributes["a"]["StringValue"]) == ("now", "x")
    assert queues.receive("q") == []
    assert [message.body for message in queues.receive("dead")] == ["now"]
    assert [queue.name for queue in queues.sources_of("dead")] == ["q"]


def test_queues_are_listed_by_prefix(store, queues):
    for name in ("a_b", "axb", "a_c"):
        queues.create(name, {})

    with store.read() as db:
        assert [queue.name for queue in queue_rows.list_all(db, prefix="a_")] == ["a_b", "a_c"]
