"""kill -9 of the worker at any moment: every event reaches a queue exactly once, in the order of its own queue (P7)."""

import json
import random
import subprocess

import pytest
from tests.conftest import PATIENCE

from farero.work import outbox
from farero.work.wake import poke

QUEUES = 5
EVENTS = 250
KILLS = 4


@pytest.mark.chaos
def test_no_event_is_lost_or_doubled_when_the_worker_is_killed_again_and_again(
    cloud, bridge, wait_for, start_worker
):
    bridge.rule({"source": ["shop"]})
    for number in range(EVENTS):
        with cloud.app.store.begin() as db:
            outbox.event(
                db, queue=f"endpoint/{number % QUEUES}", source="shop", detail_type="d",
                detail={"n": number}, resources=[], now=cloud.app.clock.now(),
            )  # fmt: skip
    kills_on_the_way = 0

    for _ in range(KILLS):
        before = arrived(cloud)
        worker = start_worker()
        wait_for(
            lambda before=before: arrived(cloud) > before or arrived(cloud) == EVENTS, seconds=30
        )
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(random.uniform(0, 0.1))
        worker.kill()
        worker.wait()
        kills_on_the_way += arrived(cloud) < EVENTS
    last = start_worker()
    try:
        poke(cloud.settings.run_dir / "worker.sock")
        wait_for(lambda: arrived(cloud) >= EVENTS, seconds=120)
    finally:
        last.terminate()
        last.wait(20 * PATIENCE)

    assert kills_on_the_way >= KILLS // 2
    numbers = [event["detail"]["n"] for event in read_all(cloud)]
    assert sorted(numbers) == list(range(EVENTS))
    for queue in range(QUEUES):
        own = [number for number in numbers if number % QUEUES == queue]
        assert own == sorted(own)


def arrived(cloud):
    with cloud.app.store.read() as db:
        return db.exec_driver_sql("SELECT count(*) FROM queue_messages").scalar()


def read_all(cloud):
    """Return the events in the order in which the queue took them."""
    with cloud.app.store.read() as db:
        rows = db.exec_driver_sql("SELECT body FROM queue_messages ORDER BY id").all()
    return [json.loads(row.body) for row in rows]
