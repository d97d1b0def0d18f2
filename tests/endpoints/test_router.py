"""Variants by weight, targets by name, and a table that is never older than what a caller has seen."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farero.base.errors import Invalid, NotFound
from farero.endpoints.router import (
    EndpointRoute,
    ReplicaRoute,
    Router,
    RoutingStamp,
    VariantRoute,
    pick_by_weight,
)
from farero.records.endpoint import (
    Endpoint,
    EndpointStatus,
    Fleet,
    Replica,
    ReplicaState,
    Variant,
)
from farero.store import endpoints as rows
from farero.store import versions

NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def route(*weights):
    variants = tuple(
        VariantRoute(name=f"v{number}", weight=weight, replicas=())
        for number, weight in enumerate(weights)
    )
    return EndpointRoute(name="e", variants=variants, sums=tuple(itertools.accumulate(weights)))


@given(
    weights=st.lists(st.floats(0, 100), min_size=2, max_size=10).filter(lambda w: sum(w) > 0.001),
    count=st.just(2000),
)
def test_shares_are_in_proportion_to_weights(weights, count):
    made = route(*weights)

    picked = [pick_by_weight(made, (number + 0.5) / count).name for number in range(count)]

    for number, weight in enumerate(weights):
        share = weight / sum(weights)
        assert abs(picked.count(f"v{number}") / count - share) <= 2 / count


@given(draw=st.floats(0, 1, exclude_max=True))
def test_weight_zero_gets_nothing(draw):
    assert pick_by_weight(route(0.0, 3.0, 0.0), draw).name == "v1"


def variant(**changes):
    facts = {
        "name": "AllTraffic",
        "model_name": "m",
        "container": {"Image": "xgboost:latest"},
        "current_count": 1,
        "current_weight": 1.0,
    }
    return Variant(**(facts | changes))


def fleet(generation=1, *variants):
    return Fleet(
        generation=generation,
        config_name="c",
        config={},
        variants=variants or (variant(),),
        began_at=NOW,
    )


def endpoint(status=EndpointStatus.IN_SERVICE, **changes):
    facts = {
        "name": "iris",
        "arn": "arn",
        "status": status,
        "created_at": NOW,
        "modified_at": NOW,
        "current": fleet(),
        "generation": 1,
    }
    return Endpoint(**(facts | changes))


def replica(name, **changes):
    facts = {
        "id": name,
        "endpoint": "iris",
        "variant": "AllTraffic",
        "generation": 1,
        "state": ReplicaState.READY,
        "socket_path": f"/run/{name}.sock",
        "created_at": NOW,
        "ready_at": NOW,
    }
    return Replica(**(facts | changes))


@pytest.fixture
def router(store, tmp_path):
    return Router(store, RoutingStamp(tmp_path / "routing"))


def write(store, stamp_of, *records):
    with store.begin() as db:
        for record in records:
            if isinstance(record, Endpoint):
                rows.insert(db, record)
            else:
                rows.insert_replica(db, record)
        versions.raise_routing(db)
    stamp_of._stamp.touch()


def get(router, name="iris"):
    return asyncio.run(router.get(name))


def test_an_endpoint_is_found_as_soon_as_it_is_in_service(store, router):
    with pytest.raises(NotFound):
        get(router)
    write(store, router, endpoint(), replica("a"))

    found = get(router)

    assert found.variants == (
        VariantRoute(
            name="AllTraffic",
            weight=1.0,
            replicas=(ReplicaRoute(id="a", socket_path="/run/a.sock"),),
            config_name="c",
        ),
    )


@pytest.mark.parametrize(
    ("status", "is_routed"),
    [
        (EndpointStatus.CREATING, False),
        (EndpointStatus.IN_SERVICE, True),
        (EndpointStatus.UPDATING, True),
        (EndpointStatus.ROLLING_BACK, True),
        (EndpointStatus.FAILED, False),
        (EndpointStatus.DELETING, False),
    ],
)
def test_only_endpoints_that_serve_are_routed(store, router, status, is_routed):
    write(store, router, endpoint(status))
    router.refresh()

    assert router.names() == (["iris"] if is_routed else [])


def test_replicas_that_drain_or_never_were_ready_or_belong_to_the_next_fleet_get_nothing(
    store, router
):
    write(
        store,
        router,
        endpoint(),
        replica("a"),
        replica("b", state=ReplicaState.DRAINING),
        replica("c", state=ReplicaState.STARTING, ready_at=None),
        replica("d", generation=2),
        replica("e", state=ReplicaState.WAITING),
    )

    (only,) = get(router).variants

    # `e` died and comes back: it keeps its place.
    assert [one.id for one in only.replicas] == ["a", "e"]


def test_a_change_is_seen_at_the_next_request(store, router):
    write(store, router, endpoint(), replica("a"))
    assert len(get(router).variants[0].replicas) == 1

    write(store, router, replica("b"))

    assert len(get(router).variants[0].replicas) == 2


def test_without_a_change_no_sql_is_read(store, router):
    write(store, router, endpoint(), replica("a"))
    get(router)
    store.close()
    router._store = None

    assert get(router).name == "iris"


class Watched:
    """A store whose looks are counted; the first ends when the second has ended, or when there is none."""

    def __init__(self, store):
        self.looks, self._store, self._is_over = 0, store, threading.Event()
        self.has_begun = threading.Event()

    @contextlib.contextmanager
    def read(self):
        self.looks += 1
        is_first = self.looks == 1
        with self._store.read() as db:
            yield db
        self.has_begun.set()
        if is_first:
            self._is_over.wait(0.3)
        self._is_over.set()


def test_requests_that_come_together_share_one_look_at_the_store(store, tmp_path):
    looked_at = Watched(store)
    router = Router(looked_at, RoutingStamp(tmp_path / "routing"))
    write(store, router, endpoint(), replica("r1"))

    async def ask():
        asked = [asyncio.create_task(router.get("iris")) for _ in range(50)]
        await asyncio.sleep(0)
        asked[0].cancel()  # who asked first goes away
        return await asyncio.gather(*asked, return_exceptions=True)

    gone, *found = asyncio.run(ask())

    assert isinstance(gone, asyncio.CancelledError)
    assert [one.name for one in found] == ["iris"] * 49
    assert looked_at.looks == 1


def test_an_older_look_at_the_store_does_not_undo_a_newer_one(store, tmp_path):
    looked_at = Watched(store)
    router = Router(looked_at, RoutingStamp(tmp_path / "routing"))
    write(store, router, endpoint())

    async def ask():
        early = asyncio.create_task(router.get("iris"))
        await asyncio.to_thread(looked_at.has_begun.wait, 20)
        write(store, router, replica("r1"))
        late = await router.get("iris")
        await early
        return late

    assert [one.id for one in asyncio.run(ask()).variants[0].replicas] == ["r1"]
    assert [one.id for one in router.replicas("iris", "AllTraffic")] == ["r1"]
    assert looked_at.looks == 2


def test_a_serverless_variant_brings_its_limit(store, router):
    serverless = variant(serverless={"MemorySizeInMB": 2048, "MaxConcurrency": 7})
    write(store, router, endpoint(current=fleet(1, serverless)), replica("a"))

    found = get(router)

    assert found.is_serverless
    assert found.variants[0].max_concurrency == 7


def test_a_target_variant_wins_over_weights(router):
    made = route(0.0, 1.0)

    assert router.pick(made, "v0").name == "v0"


def test_an_unknown_target_variant_is_refused(router):
    with pytest.raises(Invalid, match="v9"):
        router.pick(route(1.0, 1.0), "v9")


def test_records_survive_the_store(store):
    written = endpoint(
        pending=fleet(2, variant(serverless={"MemorySizeInMB": 1024, "MaxConcurrency": 1})),
        failure_reason="why",
        deployment={"a": [1]},
    )
    made = replica("a", deaths=(NOW, NOW + dt.timedelta(seconds=1)), start_after=NOW)
    with store.begin() as db:
        rows.insert(db, written)
        rows.insert_replica(db, made)
        rows.update(db, dataclasses.replace(written, revision=3))

    with store.read() as db:
        assert rows.find(db, "iris") == dataclasses.replace(written, revision=3)
        assert rows.list_replicas(db, "iris") == [made]


def test_a_stamp_whose_file_is_replaced_is_read_from_the_new_one(tmp_path):
    stamp, other = RoutingStamp(tmp_path / "routing"), RoutingStamp(tmp_path / "routing")
    other.touch()
    seen = stamp.read()
    (tmp_path / "routing").unlink()
    other.touch()
    other.touch()

    stamp.renew()

    assert (seen, stamp.read()) == (1, 2)
    stamp.close()


def test_two_fleets_share_the_requests_of_an_update_by_its_share(store, tmp_path):
    drawn = []
    router = Router(store, RoutingStamp(tmp_path / "routing"), draw=lambda: drawn.pop(0))
    heavy = variant(name="heavy", current_weight=3.0, desired_weight=3.0)
    light = variant(name="light")
    new = dataclasses.replace(
        fleet(2, variant(current_weight=0.0), heavy), config_name="new", share=0.25, shifted_at=NOW
    )
    old = fleet(1, variant(), light)
    write(
        store, router,
        endpoint(EndpointStatus.UPDATING, current=old, pending=new),
        replica("a"), replica("b", generation=2),
    )  # fmt: skip
    found = get(router)

    shares = {(one.config_name, one.name): one.weight for one in found.variants}
    assert shares == {
        ("c", "AllTraffic"): 0.375,
        ("c", "light"): 0.375,
        ("new", "AllTraffic"): 0.0625,
        ("new", "heavy"): 0.1875,
    }
    assert found.sums[-1] == 1
    assert [one.id for one in router.replicas("iris", "AllTraffic")] == ["a", "b"]
    assert [r.id for v in found.variants for r in v.replicas] == ["a", "b"]
    for draw, target, config in [
        (0.0, None, "c"), (0.74, None, "c"), (0.75, None, "new"), (0.999, None, "new"),
        (0.74, "AllTraffic", "c"), (0.75, "AllTraffic", "new"),
    ]:  # fmt: skip
        drawn[:] = [draw]
        assert router.pick(found, target).config_name == config
    assert router.pick(found, "heavy").config_name == "new"
    assert router.pick(found, "light").config_name == "c"
