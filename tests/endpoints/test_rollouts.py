"""How requests go over from one fleet to the next: by the clock, by readiness, and back when an alarm says so."""

import dataclasses
import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farero.base.errors import Invalid
from farero.endpoints import fleets, rollouts
from farero.records.endpoint import Endpoint, EndpointStatus, Fleet, Variant

NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def fleet(generation, count=2, **variant):
    facts = {"name": "AllTraffic", "model_name": "m", "container": {}, "desired_count": count}
    return Fleet(
        generation=generation,
        config_name=f"c{generation}",
        config={},
        variants=(Variant(**(facts | variant)),),
        began_at=NOW,
    )


def policy(kind, *, bake=0, wait=0, alarms=(), limit=None, **sizes):
    routing = {"Type": kind, "WaitIntervalInSeconds": wait}
    for name, (unit, value) in sizes.items():
        routing[name] = {"Type": unit, "Value": value}
    made = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": bake,
        }
    }
    if limit:
        made["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = limit
    if alarms:
        made["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": one} for one in alarms]}
    return made


def rolling(percent, *, wait=10, back=None, alarms=(), limit=None, unit="CAPACITY_PERCENT"):
    made = {
        "MaximumBatchSize": {"Type": unit, "Value": percent},
        "WaitIntervalInSeconds": wait,
    }
    if back:
        made["RollbackMaximumBatchSize"] = {"Type": "CAPACITY_PERCENT", "Value": back}
    if limit:
        made["MaximumExecutionTimeoutInSeconds"] = limit
    watched = {"Alarms": [{"AlarmName": one} for one in alarms]}
    return {"RollingUpdatePolicy": made, "AutoRollbackConfiguration": watched}


CANARY = policy("CANARY", wait=60, bake=30, CanarySize=("CAPACITY_PERCENT", 10))


def updating(deployment, count=2):
    new = fleet(2, count=count)
    return Endpoint(
        name="e", arn="arn", status=EndpointStatus.UPDATING, created_at=NOW, modified_at=NOW,
        current=fleet(1, count=count), pending=rollouts.read(deployment, new).begin(new),
        generation=2, deployment=deployment,
    )  # fmt: skip


def instances(endpoint):
    """Return how many replicas the old and the new fleet shall have."""
    both = [endpoint.current, endpoint.pending]
    return tuple(one and fleets.size(one, one.variants[0].desired_count) for one in both)


def go_on(endpoint, seconds, *, is_ready=True, ringing=()):
    now = NOW + dt.timedelta(seconds=seconds)
    return rollouts.go_on(endpoint, is_ready=is_ready, ringing=ringing, now=now)


def test_without_a_policy_everything_goes_over_as_soon_as_the_new_fleet_is_ready():
    endpoint = updating(None)

    assert go_on(endpoint, 1, is_ready=False) is endpoint
    done = go_on(endpoint, 2)

    assert (done.status, done.pending) == ("InService", None)
    assert (done.current.config_name, done.current.share) == ("c2", 0)


def test_a_canary_waits_then_takes_the_rest_then_bakes():
    first = go_on(updating(CANARY), 5)
    assert (first.status, first.pending.share) == ("Updating", 0.1)
    assert go_on(first, 64) is first
    second = go_on(first, 65)
    assert second.pending.share == 1
    assert [(one.config_name, share) for one, share in second.routed] == [("c2", 1)]
    assert go_on(second, 94) is second
    assert go_on(second, 95).current.config_name == "c2"


def test_both_fleets_get_requests_meanwhile():
    endpoint = go_on(updating(CANARY), 5)

    assert [(one.config_name, share) for one, share in endpoint.routed] == [
        ("c1", 0.9),
        ("c2", 0.1),
    ]


def test_it_goes_no_further_while_the_new_fleet_is_not_whole():
    first = go_on(updating(CANARY), 5)

    assert go_on(first, 500, is_ready=False) is first


@given(percent=st.integers(10, 50))
def test_linear_steps_add_up_to_everything(percent):
    deployment = policy("LINEAR", wait=7, bake=3, LinearStepSize=("CAPACITY_PERCENT", percent))

    rollout = rollouts.read(deployment, fleet(2))

    assert rollout.shares[-1] == 1
    assert list(rollout.shares) == sorted(set(rollout.shares))
    assert len(rollout.shares) == -(-100 // percent)
    assert all(
        abs(share - percent / 100 * n) < 1e-9 for n, share in enumerate(rollout.shares[:-1], 1)
    )
    assert rollout.waits_s == (*[7] * (len(rollout.shares) - 1), 10)


def test_sizes_may_count_instances():
    deployment = policy("CANARY", CanarySize=("INSTANCE_COUNT", 1))

    assert rollouts.read(deployment, fleet(2, count=4)).shares == (0.25, 1.0)


@pytest.mark.parametrize("seconds", [6, 70])
def test_an_alarm_gives_everything_back_to_the_old_fleet(seconds):
    endpoint = go_on(updating(policy("ALL_AT_ONCE", bake=100, alarms=["errors"])), 5)
    assert endpoint.pending.share == 1

    back = go_on(endpoint, seconds, ringing=["errors"])

    assert (back.status, back.pending, back.current.config_name) == ("RollingBack", None, "c1")
    assert [(one.config_name, share) for one, share in back.routed] == [("c1", 1)]
    assert back.failure_reason == (
        'Alarm "errors" was in ALARM while the fleet of endpoint config "c2" had 100% of the requests; the old fleet '
        "has all of them again."
    )


def test_an_alarm_before_the_first_request_counts_once_the_fleet_is_ready():
    endpoint = updating(policy("ALL_AT_ONCE", alarms=["errors"]))

    assert go_on(endpoint, 1, is_ready=False, ringing=["errors"]) is endpoint
    assert go_on(endpoint, 2, ringing=["errors"]).status == "RollingBack"


def test_an_update_that_takes_longer_than_it_may_is_taken_back():
    endpoint = updating(policy("ALL_AT_ONCE", limit=600))

    assert go_on(endpoint, 599, is_ready=False) is endpoint
    back = go_on(endpoint, 600, is_ready=False)

    assert back.status == "RollingBack"
    assert "MaximumExecutionTimeoutInSeconds of 600" in back.failure_reason


def test_the_next_look_is_never_in_the_past():
    endpoint = go_on(updating(CANARY), 5)
    watched = dataclasses.replace(
        endpoint,
        deployment=CANARY | {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}},
    )

    assert rollouts.next_look(updating(CANARY), NOW) is None
    assert rollouts.next_look(endpoint, NOW) == NOW + dt.timedelta(seconds=65)
    assert rollouts.next_look(endpoint, NOW + dt.timedelta(seconds=66)) is None
    assert rollouts.next_look(watched, NOW) == NOW + rollouts.LOOK_EVERY


@pytest.mark.parametrize(
    ("deployment", "words"),
    [
        (policy("CANARY"), "needs CanarySize"),
        (policy("LINEAR"), "needs LinearStepSize"),
        (policy("CANARY", CanarySize=("CAPACITY_PERCENT", 51)), "51 % is more than 50%"),
        (policy("CANARY", CanarySize=("INSTANCE_COUNT", 2)), "2 of 2 instances is more than 50%"),
        (policy("LINEAR", LinearStepSize=("CAPACITY_PERCENT", 9)), "9 % is less than 10%"),
        (policy("ALL_AT_ONCE", bake=601, limit=600), "take 601 s together"),
        (rolling(51), "MaximumBatchSize of 51 % is more than 50%"),
        (rolling(4), "MaximumBatchSize of 4 % is less than 5%"),
        (rolling(2, unit="INSTANCE_COUNT"), "2 of 2 instances is more than 50%"),
        (rolling(50, back=101), "RollbackMaximumBatchSize of 101 % is more than 100%"),
        (rolling(25, wait=200, limit=600), "take 800 s together"),
        (rolling(50) | CANARY, "not both"),
    ],
)
def test_what_is_not_to_be_had_is_refused_with_its_cause(deployment, words):
    with pytest.raises(Invalid, match=words):
        rollouts.read(deployment, fleet(2))


def test_a_rolling_update_starts_a_batch_shifts_waits_and_ends_as_many_old_ones():
    endpoint = updating(rolling(25), count=4)
    assert (instances(endpoint), endpoint.pending.share) == ((4, 1), 0)
    assert go_on(endpoint, 1, is_ready=False) is endpoint

    second = 1
    for number in (1, 2, 3):
        shifted = go_on(endpoint, second)
        assert shifted.pending.share == number / 4
        assert instances(shifted) == instances(endpoint) == (5 - number, number)
        assert go_on(shifted, second + 9) is shifted
        endpoint = go_on(shifted, second + 10)
        assert (endpoint.status, endpoint.pending.share) == ("Updating", number / 4)
        assert instances(endpoint) == (4 - number, number + 1)
        assert go_on(endpoint, second + 11, is_ready=False) is endpoint
        second += 11

    last = go_on(endpoint, second)
    assert (last.pending.share, instances(last)) == (1, (1, 4))
    done = go_on(last, second + 10)
    assert (done.status, done.pending, instances(done)) == ("InService", None, (4, None))
    assert (done.current.config_name, done.current.share) == ("c2", 0)


def test_a_rolling_update_is_taken_back_in_its_own_batches():
    endpoint = updating(rolling(25, back=50, alarms=["errors"]), count=4)
    for second in range(1, 31, 10):  # the fourth batch starts
        endpoint = go_on(go_on(endpoint, second), second + 10)
    assert (instances(endpoint), endpoint.pending.share) == ((1, 4), 0.75)
    baking = go_on(endpoint, 32)

    for seen in (endpoint, baking):
        back = go_on(seen, 33, ringing=["errors"])
        assert (back.status, back.pending.share) == ("RollingBack", 0.75)
        assert instances(back) == (3, 3), (
            "what is left of it answers a quarter, two more are started"
        )
        assert rollouts.next_look(back, NOW) is None
        further = rollouts.go_back(back)
        assert (further.pending.share, instances(further)) == (0.25, (4, 1))
        whole = rollouts.go_back(further)
        assert (whole.status, instances(whole)) == ("RollingBack", (4, None))
        assert whole.routed == [(whole.current, 1)]
        assert 'Alarm "errors" was in ALARM' in whole.failure_reason
        assert "the old fleet gets all of them again" in whole.failure_reason


def test_the_whole_old_fleet_is_started_at_once_on_the_way_back_where_nothing_is_said():
    baking = go_on(go_on(go_on(updating(rolling(50), count=4), 1), 11), 12)
    assert (instances(baking), baking.pending.share) == ((2, 4), 1)

    back = rollouts.take_back(baking, "It dies.")

    assert (instances(back), back.pending.share, back.failure_reason) == ((4, 2), 0.5, "It dies.")
    again = rollouts.take_back(back, "So does the old one.")
    assert (again.status, instances(again)) == ("RollingBack", (4, None))
    assert again.failure_reason == "It dies. So does the old one."


def test_a_first_batch_is_taken_back_at_once():
    back = go_on(go_on(updating(rolling(50, alarms=["errors"])), 1), 2, ringing=["errors"])

    assert (back.status, back.pending, instances(back)) == ("RollingBack", None, (2, None))


@given(
    count=st.integers(1, 30),
    percent=st.integers(5, 50),
    back=st.integers(1, 100),
    turns=st.integers(0, 60),
)
def test_whoever_has_requests_has_the_replicas_for_them_and_one_batch_is_too_many_at_most(
    count, percent, back, turns
):
    endpoint = updating(rolling(percent, back=back), count)
    for turn in range(200):
        if turn == turns:
            endpoint = rollouts.take_back(endpoint, "enough")
        elif endpoint.status == "RollingBack":
            endpoint = rollouts.go_back(endpoint)
        else:
            endpoint = go_on(endpoint, 10 * turn)
        if endpoint.pending is None:
            break
        assert endpoint.pending.share <= endpoint.pending.part
        assert 1 - endpoint.pending.share <= endpoint.current.part + 1e-9
        batch = (back if endpoint.status == "RollingBack" else percent) * count / 100
        # Parts of a replica are whole ones, of either fleet.
        assert sum(instances(endpoint)) <= count + math.ceil(batch) + 1
    assert instances(endpoint) == (count, None)
    assert endpoint.current.config_name == ("c1" if endpoint.status == "RollingBack" else "c2")


def test_serverless_fleets_change_all_at_once():
    serverless = fleet(2, serverless={"MemorySizeInMB": 1024, "MaxConcurrency": 1})

    for new, old in ((serverless, None), (fleet(2), serverless)):
        with pytest.raises(Invalid, match="not for serverless"):
            rollouts.read(CANARY, new, old)
