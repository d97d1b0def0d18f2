"""What rules hear of an endpoint that is created, updated, rolled back and deleted, with real processes."""

import json

import pytest

from farero.records.events import Rule
from farero.store import events as rows
from farero.store import outbox

BAD = "report:" + json.dumps({"cause": "E-MODEL-LOAD", "message": "bad model"})


@pytest.fixture
def told(domain):
    """A function: the details of what was told so far, in order; nobody passes it on."""
    domain.worker._handlers["outbox.dispatch"] = lambda _: None
    rule = Rule(
        bus="default", name="all", arn="arn", pattern='{"a": [1]}', began_at=domain.clock.now()
    )
    with domain.store.begin() as db:
        rows.put_rule(db, rule)

    def read():
        with domain.store.read() as db:
            return [
                row.payload["event"]["detail"]
                for row in outbox.first(db, "endpoint/iris", limit=100)
            ]

    return read


def states(details):
    return [(one["EndpointStatus"], one["EndpointConfigName"]) for one in details]


def test_an_endpoint_that_never_starts_is_told_with_its_reason(domain, told, wait_status):
    domain.create(model={"BEHAVIOUR": BAD})
    wait_status("Failed")

    details = told()

    assert states(details) == [("CREATING", "iris-config"), ("FAILED", "iris-config")]
    assert details[0]["FailureReason"] is None
    assert "Cause E-MODEL-LOAD: bad model." in details[1]["FailureReason"]


def test_updates_are_told_from_their_beginning_to_their_end(domain, told, wait_status, wait_for):
    domain.create(model={"MODEL_NAME": "old"})
    wait_status("InService")
    domain.commands.update(domain.ctx, "iris", domain.config("second", model={"MODEL_NAME": "new"}))
    wait_status("InService")
    domain.commands.update(domain.ctx, "iris", domain.config("third", model={"BEHAVIOUR": BAD}))
    wait_status("InService")
    domain.commands.delete(domain.ctx, "iris")
    wait_for(lambda: domain.get() is None)

    details = told()

    assert states(details) == [
        ("CREATING", "iris-config"),
        ("IN_SERVICE", "iris-config"),
        ("UPDATING", "iris-config"),
        ("IN_SERVICE", "second"),
        ("UPDATING", "second"),
        ("ROLLING_BACK", "second"),
        ("IN_SERVICE", "second"),
        ("DELETING", "second"),
        ("DELETED", "second"),
    ]
    pending = [one.get("PendingDeploymentSummary", {}).get("EndpointConfigName") for one in details]
    assert pending == [None, None, "second", None, "third", None, None, None, None]
    assert "bad model" in details[5]["FailureReason"]
    times = [one["LastModifiedTime"] for one in details]
    assert times == sorted(times)
