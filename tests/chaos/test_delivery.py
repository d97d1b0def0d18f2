"""kill -9 of each process in the middle of a delivery: no message is lost, an alarm's keep their order (P7)."""

import json
import re
import threading
import urllib.request

import pytest
from botocore.exceptions import BotoCoreError, ClientError

CHANGES = 12
ALARMS = ("first", "second")


@pytest.fixture
def told(bench, make_receiver, inbox):
    """A platform that tells a web address, a mailbox and a Slack channel of two alarms."""
    platform = bench.platform
    platform.farero("down")
    platform.env |= {
        "FARERO_SMTP_URL": inbox.url,
        "FARERO_NOTIFY_ALLOW_HOSTS": "127.0.0.1",
    }
    platform.farero("up", "-d")
    hook, slack = make_receiver(), make_receiver()
    sns, cloudwatch = platform.client("sns"), platform.client("cloudwatch")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    for protocol, endpoint in [
        ("http", hook.url), ("http", slack.slack_url), ("email", "ana@example.com"),
    ]:  # fmt: skip
        sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint)
    platform.wait(lambda: hook.posts and inbox.mails)
    for url in (hook.posts[0].json["SubscribeURL"], re.search(r"http://\S+", inbox.texts[0][1])[0]):
        urllib.request.urlopen(url, timeout=10).close()
    for name in ALARMS:
        cloudwatch.put_metric_alarm(
            AlarmName=name, Namespace="Shop", MetricName="Errors", Statistic="Sum", Period=86400,
            EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore", AlarmActions=[topic], OKActions=[topic],
        )  # fmt: skip
    return hook, slack


class Changes(threading.Thread):
    """Puts each alarm into ALARM and OK by turns, as fast as the platform answers, and asks again where it does not.

    Half of it waits for `go_on`, so that requests are on their way when something happens.
    """

    def __init__(self, platform, numbers):
        super().__init__()
        self._client = platform.client("cloudwatch", retries={"total_max_attempts": 1})
        self._numbers = numbers
        self.go_on = threading.Event()

    def run(self):
        for number in self._numbers:
            if number == self._numbers[len(self._numbers) // 2]:
                self.go_on.wait(30)
            for name in ALARMS:
                while not self._change(name, number):
                    pass

    def _change(self, name, number):
        state = "OK" if number % 2 else "ALARM"
        try:
            self._client.set_alarm_state(
                AlarmName=name, StateValue=state, StateReason=f"step {number} of {name}"
            )
        except (ClientError, BotoCoreError):
            return False
        return True


def steps(texts, name):
    """Return the steps of an alarm in the order in which they came for the first time."""
    found = [int(n) for text in texts for n in re.findall(rf"step (\d+) of {name}", text)]
    return list(dict.fromkeys(found))


def steps_of_all(hook, slack, inbox):
    texts = (
        [json.loads(message)["NewStateReason"] for message in hook.messages],
        [post.body for post in slack.posts],
        [text for _, text in inbox.texts],
    )
    return [steps(of_one, name) for of_one in texts for name in ALARMS]


def kill_in_the_middle(bench, hook, part, numbers):
    """Kill a part while one message is half delivered and others are asked for; bring all to its end."""
    hook.go_on.clear()
    changes = Changes(bench.platform, numbers)
    before = len(hook.posts)
    changes.start()
    bench.platform.wait(lambda: len(hook.posts) > before)
    changes.go_on.set()
    bench.kill(part)
    bench.platform.wait(lambda: bench.platform.farero("up", "-d", check=False).returncode == 0)
    hook.go_on.set()
    changes.join()


@pytest.mark.chaos
def test_no_message_is_lost_whichever_process_is_killed_in_the_middle_of_a_delivery(
    bench, told, inbox
):
    hook, slack = told

    kill_in_the_middle(bench, hook, "gateway", range(CHANGES))
    kill_in_the_middle(bench, hook, "worker", range(CHANGES, 2 * CHANGES))
    kill_in_the_middle(bench, hook, "supervisor", range(2 * CHANGES, 3 * CHANGES))

    everything = [list(range(3 * CHANGES))] * 3 * len(ALARMS)
    bench.platform.wait(lambda: steps_of_all(hook, slack, inbox) == everything, 40)
