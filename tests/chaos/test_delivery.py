"""kill -9 of each process in the middle of a delivery: no message is lost, an alarm's keep their order (P7)."""

import json
import re
import threading
import urllib.request

import pytest
from botocore.exceptions import BotoCoreError, ClientError

ALARMS = ("first", "second")


@pytest.fixture
def told(telling_platform, make_receiver, inbox):
    """A platform that tells a web address, a mailbox and a Slack channel of two alarms."""
    platform = telling_platform
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
    """Puts each alarm into ALARM and OK by turns, `pause_s` apart, and asks again where it gets no answer."""

    def __init__(self, platform, first=0, pause_s=0.0):
        super().__init__()
        self._client = platform.client("cloudwatch", retries={"total_max_attempts": 1})
        self._end = threading.Event()
        self._pause_s = pause_s
        self.next = first

    def stop(self):
        """End with the step that is under way; return once it is made."""
        self._end.set()
        self.join()

    def run(self):
        while not self._end.wait(self._pause_s):
            for name in ALARMS:
                while not self._change(name, self.next):
                    pass
            self.next += 1

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


def kill_in_the_middle(bench, hook, part, first):
    """Kill a part while one message is half delivered and others are asked for; return how many steps were made."""
    hook.go_on.clear()
    changes = Changes(bench.platform, first, pause_s=0.2)
    before = len(hook.posts)
    changes.start()
    bench.platform.wait(lambda: len(hook.posts) > before)
    bench.kill(part)
    bench.platform.wait(lambda: bench.platform.farero("up", "-d", check=False).returncode == 0)
    hook.go_on.set()
    changes.stop()
    return changes.next


def wait_for_all(bench, hook, slack, inbox, steps):
    """Wait until every step of every alarm has come everywhere, in order."""
    everything = [list(range(steps))] * 3 * len(ALARMS)
    # Reading all mails takes long enough to slow their server down: not before as many have come.
    bench.platform.wait(
        lambda: (
            len(inbox.mails) > steps * len(ALARMS)
            and steps_of_all(hook, slack, inbox) == everything
        ),
        60,
    )


@pytest.mark.chaos
def test_no_message_is_lost_whichever_process_is_killed_in_the_middle_of_a_delivery(
    told, bench, inbox
):
    hook, slack = told

    steps = kill_in_the_middle(bench, hook, "gateway", 0)
    steps = kill_in_the_middle(bench, hook, "worker", steps)
    steps = kill_in_the_middle(bench, hook, "supervisor", steps)

    wait_for_all(bench, hook, slack, inbox, steps)


@pytest.mark.chaos
def test_no_message_is_lost_when_processes_are_killed_at_any_moment(told, bench, inbox, chance):
    hook, slack = told
    changes = Changes(bench.platform, pause_s=0.3)

    changes.start()
    for part in chance.sample(
        ["gateway", "worker", "worker", "supervisor", "gateway", "worker"], 6
    ):
        before = len(hook.posts)
        bench.platform.wait(lambda before=before: len(hook.posts) > before, 30)
        changes.join(chance.uniform(0, 0.3))
        bench.kill(part)
        bench.platform.wait(lambda: bench.platform.farero("up", "-d", check=False).returncode == 0)
    changes.stop()

    wait_for_all(bench, hook, slack, inbox, changes.next)
