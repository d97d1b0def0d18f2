"""An inbox for events: an SQS queue behind a rule, read as its owner would read it."""

import json

import pytest

from farero.base.config import Settings
from farero.notify.dispatch import Dispatcher
from farero.notify.events import targets
from farero.notify.events.publish import Events
from farero.notify.events.rules import Rules
from farero.notify.events.schedules import FIRE, Schedules
from farero.notify.events.targets import EventTargets
from farero.notify.queues import Queues
from farero.work.outbox import DISPATCH
from farero.work.worker import Worker

QUEUE = "arn:aws:sqs:us-east-1:123456789012:{}"


class Bridge:
    """EventBridge and SQS of a cloud."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.client, self.sqs = cloud.client("events"), cloud.client("sqs")

    def queue(self, name="inbox"):
        """Make a queue; return its ARN."""
        self.sqs.create_queue(QueueName=name)
        return QUEUE.format(name)

    def rule(self, pattern=None, *targets, name="rule", **members):
        """Make a rule; without targets it tells the queue `inbox`."""
        if pattern is not None:
            members["EventPattern"] = json.dumps(pattern)
        arn = self.client.put_rule(Name=name, **members)["RuleArn"]
        told = targets or ({"Id": "inbox", "Arn": self.queue()},)
        self.client.put_targets(Rule=name, Targets=list(told))
        return arn

    def put(self, *details, source="shop"):
        """Put events of a detail each."""
        return self.client.put_events(
            Entries=[
                {"Source": source, "DetailType": "Order", "Detail": json.dumps(detail)}
                for detail in details
            ]
        )

    def messages(self, name="inbox"):
        """Return and delete what is in a queue."""
        url = self.sqs.get_queue_url(QueueName=name)["QueueUrl"]
        found = []
        while page := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            found += page
            for one in page:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        return found

    def events(self, name="inbox"):
        """Return the events in a queue."""
        return [json.loads(one["Body"]) for one in self.messages(name)]


@pytest.fixture
def bridge(cloud):
    """EventBridge with an inbox."""
    return Bridge(cloud)


class Bench:
    """Rules, a queue and a worker over one database, by a clock that the test moves."""

    def __init__(self, store, clock, tmp_path):
        settings = Settings(data_dir=tmp_path)
        self.store, self.clock = store, clock
        self.queues = Queues(store, clock, settings)
        self.queues.create("inbox", {"MessageRetentionPeriod": "1209600"})
        self.rules = Rules(store, clock, settings, lambda: None)
        self.events = Events(store, clock, settings, lambda: None)
        self.schedules = Schedules(store, clock)
        #: Who takes events, by service; a test adds its own.
        self.within = {"sqs": targets.to_queue(self.queues)}
        self.outside = {}
        deliverer = EventTargets(
            store, clock, queues=self.queues, within=self.within, outside=self.outside
        )
        dispatcher = Dispatcher(store, clock, {"event": self.events.pass_on})
        self.worker = Worker(
            store,
            clock,
            {
                FIRE: self.schedules.fire,
                DISPATCH: dispatcher.dispatch,
                targets.DELIVER: deliverer.deliver,
            },
        )

    def rule(self, schedule, **members):
        self.rules.put("default", "tick", schedule=schedule, **members)
        self.rules.put_targets("default", "tick", [{"Id": "q", "Arn": QUEUE.format("inbox")}])

    def times(self):
        """Return the times of the events that have arrived since it was last asked."""
        self.worker.run_due()
        found = []
        while page := self.queues.receive("inbox", limit=10, visibility_s=43_200):
            found += [json.loads(one.body)["time"][11:16] for one in page]
        return found


@pytest.fixture
def bench(store, clock, tmp_path):
    """Rules by a manual clock, on every database."""
    return Bench(store, clock, tmp_path)
