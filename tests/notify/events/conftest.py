"""An inbox for events: an SQS queue behind a rule, read as its owner would read it."""

import json

import pytest

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
