"""kill -9 of the worker at any moment loses no message and changes no order; some arrive twice (P7)."""

import random
import subprocess
import threading

import pytest
from tests.conftest import PATIENCE

from farero.work import outbox
from farero.work.wake import poke

QUEUES = 5
MESSAGES = 100
KILLS = 8


@pytest.mark.chaos
@pytest.mark.parametrize("cloud", [{"notify_allow_hosts": "127.0.0.1"}], indirect=True)
def test_no_message_is_lost_when_the_worker_is_killed_again_and_again(
    cloud, receiver, wait_for, start_worker, tmp_path
):
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=receiver.url)
    cloud.run()
    sns.confirm_subscription(TopicArn=topic, Token=receiver.posts[0].json["Token"])
    receiver.delay_s = 0.04
    told = threading.Event()

    def tell():
        for number in range(MESSAGES):
            with cloud.app.store.begin() as db:
                now = cloud.app.clock.now()
                queue = f"alarm/{number % QUEUES}"
                outbox.publish(
                    db, queue=queue, topic=topic, subject="s", message=str(number), now=now
                )
            poke(cloud.settings.run_dir / "worker.sock")
        told.set()

    teller = threading.Thread(target=tell)
    teller.start()
    kills_on_the_way = 0
    for _ in range(KILLS):
        worker = start_worker()
        before = len(receiver.posts)
        # From the first message of its life on, at any moment.
        wait_for(
            lambda before=before, worker=worker: (
                worker.poll() is not None
                or len(receiver.posts) > before
                or arrived(receiver) == MESSAGES
            ),
            seconds=30,
        )
        assert worker.poll() is None, (tmp_path / "worker.log").read_text()
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(random.uniform(0, 0.15))
        worker.kill()
        worker.wait()
        kills_on_the_way += arrived(receiver) < MESSAGES
    last = start_worker()
    try:
        wait_for(lambda: told.is_set() and arrived(receiver) == MESSAGES, seconds=40)
    finally:
        last.terminate()
        last.wait(20 * PATIENCE)
        teller.join()

    assert kills_on_the_way >= KILLS // 2
    for queue in range(QUEUES):
        first_seen = list(
            dict.fromkeys(n for n in map(int, receiver.messages) if n % QUEUES == queue)
        )
        assert first_seen == sorted(first_seen)


def arrived(receiver):
    return len(set(receiver.messages))
