"""Endpoints at rest are looked at together, and none of them is forgotten."""

import os
import signal

from farero.base.clock import SystemClock
from farero.endpoints.rounds import KEY, ROUNDS
from farero.store import work as work_rows


class Ahead(SystemClock):
    """A clock whose monotonic time can be set forward."""

    by_s = 0.0

    def monotonic(self):
        return super().monotonic() + self.by_s


def items(domain):
    with domain.store.read() as db:
        return {(item.kind, item.key) for item in work_rows.list_all(db)}


def pid(domain, name="iris"):
    running = [one for one in domain.compute.list(f"endpoint/{name}/") if one.state == "running"]
    return running[0].pid if running else None


def take_rounds(domain):
    """Have the worker take a round now."""
    domain.put(ROUNDS, KEY)
    domain.poke()


def test_endpoints_at_rest_have_one_work_item_together(domain, wait_status, wait_for):
    domain.create("one")
    domain.create("two")
    wait_status("InService", "one")
    wait_status("InService", "two")

    wait_for(lambda: items(domain) == {(ROUNDS, KEY)})


def test_nobody_goes_round_when_no_endpoint_is_left(domain, wait_status, wait_for):
    domain.create()
    wait_status("InService")
    domain.commands.delete(domain.ctx, "iris")
    wait_for(lambda: domain.get() is None)

    take_rounds(domain)

    wait_for(lambda: not items(domain))


def test_a_replica_that_ended_without_a_word_is_found_and_replaced(domain, wait_status, wait_for):
    domain.create()
    wait_status("InService")
    wait_for(lambda: items(domain) == {(ROUNDS, KEY)})
    before = pid(domain)
    domain.socket_path.unlink()  # nobody hears what the supervisor tells

    os.kill(before, signal.SIGKILL)
    wait_for(lambda: pid(domain) is None)
    was_noticed = items(domain) != {(ROUNDS, KEY)}
    take_rounds(domain)

    assert not was_noticed
    assert wait_for(lambda: pid(domain)) != before


def test_a_replica_at_rest_that_answers_nothing_is_replaced(domain, wait_status, wait_for):
    domain.stop_worker()
    domain.clock = Ahead()
    domain.start_worker()
    domain.create()
    wait_status("InService")
    wait_for(lambda: items(domain) == {(ROUNDS, KEY)})
    before = pid(domain)

    os.kill(before, signal.SIGSTOP)
    domain.lifecycle.rounds(None)  # the answer to what was asked before may have been there
    domain.lifecycle.rounds(None)
    domain.clock.by_s = 1000.0
    take_rounds(domain)

    wait_for(lambda: pid(domain) not in (None, before))
    assert domain.get().status == "InService"
