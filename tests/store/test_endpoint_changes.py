"""What became of an endpoint, in SQL, on every database there is."""

import dataclasses
import datetime as dt

from farero.records.endpoint import Endpoint, EndpointStatus, Fleet, Variant
from farero.store import endpoint_changes as changes
from farero.store import endpoints

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


def fleet(config, *variants):
    made = tuple(
        Variant(name=name, model_name="m", container={}, desired_weight=weight)
        for name, weight in variants
    )
    return Fleet(generation=1, config_name=config, config={}, variants=made, began_at=NOW)


def endpoint(**changed):
    facts = {
        "name": "iris",
        "arn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/iris",
        "status": EndpointStatus.CREATING,
        "created_at": NOW,
        "modified_at": NOW,
        "pending": fleet("first", ("a", 1.0)),
    }
    return Endpoint(**(facts | changed))


def test_every_change_is_kept_and_nothing_else(store):
    creating = endpoint()
    serving = dataclasses.replace(
        creating, status=EndpointStatus.IN_SERVICE, current=creating.pending, pending=None,
        modified_at=NOW + dt.timedelta(seconds=2),
    )  # fmt: skip
    same = dataclasses.replace(serving, revision=7, modified_at=NOW + dt.timedelta(seconds=9))
    split = dataclasses.replace(serving, current=fleet("first", ("a", 0.5)))
    failed = dataclasses.replace(split, failure_reason="<b>no</b>")
    with store.begin() as db:
        endpoints.insert(db, creating)
        for one in (serving, same, split, failed):
            endpoints.update(db, one)
    with store.read() as db:
        found = changes.newest(db, "iris", 10)
        assert changes.newest(db, "other", 10) == []
    assert [(one.status, one.variants, one.reason) for one in found] == [
        ("InService", [("a", 0.5, 1)], "<b>no</b>"),
        ("InService", [("a", 0.5, 1)], None),
        ("InService", [("a", 1.0, 1)], None),
        ("Creating", [("a", 1.0, 1)], None),
    ]
    assert found[2].at - found[3].at == dt.timedelta(seconds=2)
    assert {one.config for one in found} == {"first"}


def test_they_go_with_the_endpoint(store):
    with store.begin() as db:
        endpoints.insert(db, endpoint())
        endpoints.delete(db, "iris")
        assert changes.newest(db, "iris", 10) == []


def test_the_oldest_are_forgotten(store, monkeypatch):
    monkeypatch.setattr(changes, "MOST_KEPT", 3)
    with store.begin() as db:
        endpoints.insert(db, endpoint())
        for number in range(5):
            endpoints.update(db, endpoint(pending=fleet(f"c{number}", ("a", 1.0))))
        assert [one.config for one in changes.newest(db, "iris", 10)] == ["c4", "c3", "c2"]
