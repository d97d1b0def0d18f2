"""The console in a real browser: hostile names, bodies, log lines and dashboards run nothing and fetch nothing.

Every text is on a real platform, put there by boto3 as anybody would. What AWS's rules keep out (endpoint, bucket, user
and dashboard names, tags' characters) is not tried. A script that ran tells by a dialog; one that the policy stopped
tells too, since a text must not even become an element.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from tests.console import drift
from tests.console.conftest import WAIT_MS, leave

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OUTSIDE = "http://198.51.100.7"
PARTS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>", "<iframe srcdoc='<script>alert(1)</script>'>",
    "<body onload=alert(1)>", "<details open ontoggle=alert(1)>", "<input autofocus onfocus=alert(1)>",
    "<video><source onerror=alert(1)>", "<a href=javascript:alert(1)>x</a>", "[x](javascript:alert(1))",
    "{{constructor.constructor('alert(1)')()}}", "${alert(1)}", "`-alert(1)-`", "\\u003cscript>alert(1)",
    "</script><script>alert(1)</script>", "</textarea><script>alert(1)</script>", "--><script>alert(1)</script>",
    f"<img src={OUTSIDE}/a>", f"<link rel=stylesheet href={OUTSIDE}/b>",
]  # fmt: skip
PAYLOADS = [*PARTS, *("\"'>" + part + "<!--" for part in PARTS)]
BUCKET, GROUP, BAD, WATCHED = "hostile", "hostile", "hostile", "hostile-drift"


@pytest.fixture(scope="module")
def hostile(stage: Any) -> Any:
    """The stage with hostile texts wherever somebody may put a text."""
    assert len(PAYLOADS) == 40
    _objects(stage)
    _logs(stage)
    _alarms(stage)
    _dashboard(stage)
    raising = f"def model_fn(folder):\n    raise ValueError({' '.join(PAYLOADS[:12])!r})\n"
    stage.model(BAD, raising)
    stage.deploy(BAD, BAD)
    _policy(stage)
    _job(stage)
    stage.client("sns").create_topic(Name=BAD, Attributes={"DisplayName": PAYLOADS[0]})
    for payload in PAYLOADS:
        assert stage.invoke("echo", payload.encode()) == payload.encode()
    assert stage.settled(BAD) == "Failed"
    _reports(stage)
    return stage


def _objects(stage: Any) -> None:
    s3 = stage.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for payload in PAYLOADS:
        s3.put_object(Bucket=BUCKET, Key=payload, Body=payload.encode(), ContentType="text/html")


def _reports(stage: Any) -> None:
    """Run a schedule, then put a report and statistics full of payloads where its own lay, as anybody may."""
    drift.watch(stage, WATCHED)
    done = drift.run_once(stage, WATCHED)
    bucket, prefix = drift.place(stage, done)
    texts = {"sentence": " ".join(PAYLOADS[:12]), "findings": []}
    effects = dict.fromkeys(PAYLOADS[:6], 9.0)
    columns = [
        {"name": payload, "kind": "texts", "state": payload, "adjusted": 0.0, "effects": effects,
         "reasons": PAYLOADS[:3], "score": 9.0, "missing": 0.5}
        for payload in PAYLOADS
    ]  # fmt: skip
    figures = {
        payload: {"value": 1, "low": 0, "high": 2, "state": payload} for payload in PAYLOADS[:8]
    }
    quality = {"method": PAYLOADS[0], "reason": PAYLOADS[1], "figures": figures}
    report = {
        "severity": PAYLOADS[0], "rows": 9, **texts, "limits": dict.fromkeys(PAYLOADS[:6], 1.0), "columns": columns,
        "findings": [dict.fromkeys(("severity", "kind", "column", "text"), one) for one in PAYLOADS],
        "quality": quality, "estimated": quality, "spanish": texts,
        "together": {"auc": 0.9, "pairs": [PAYLOADS[:2], PAYLOADS[2:4]]},
    }  # fmt: skip
    buckets = [{"value": payload, "count": 5} for payload in PAYLOADS]
    common = {"num_present": 200, "num_missing": 200}
    shares = {"common": common, "distribution": {"categorical": {"buckets": buckets}}}
    statistics = {
        "features": [{"name": payload, "string_statistics": shares} for payload in PAYLOADS]
    }
    page = "".join(f"{one}<script>alert(1)</script>" for one in PAYLOADS)
    for key, body in (
        (f"{prefix}/drift_report.json", json.dumps(report)), (f"{prefix}/statistics.json", json.dumps(statistics)),
        (f"{WATCHED}/baseline/statistics.json", json.dumps(statistics)), (f"{prefix}/report.html", page),
    ):  # fmt: skip
        stage.client("s3").put_object(Bucket=bucket, Key=key, Body=body.encode())


def _policy(stage: Any) -> None:
    iam = stage.client("iam")
    iam.create_user(UserName=BAD)
    tests = {"StringEquals": {"aws:username": PAYLOADS}}
    one = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": tests}
    document = json.dumps({"Version": "2012-10-17", "Statement": [one]})
    iam.put_user_policy(UserName=BAD, PolicyName=BAD, PolicyDocument=document)


def _job(stage: Any) -> None:
    stage.client("sagemaker").create_processing_job(
        ProcessingJobName=BAD, RoleArn="arn:aws:iam::123456789012:role/any",
        AppSpecification={
            "ImageUri": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            "ContainerEntrypoint": ["python3", "-c", "import sys; print(*sys.argv[1:], sep=chr(10))"],
            "ContainerArguments": PAYLOADS,
        },
        ProcessingResources={
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
    )  # fmt: skip


def _logs(stage: Any) -> None:
    logs = stage.client("logs")
    logs.create_log_group(logGroupName=GROUP, tags={"for": "nothing"})
    streams = [one.replace(":", "").replace("*", "") for one in PAYLOADS[:5]]
    for stream in (GROUP, *streams):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": payload} for payload in PAYLOADS]
    logs.put_log_events(logGroupName=GROUP, logStreamName=GROUP, logEvents=events)


def _alarms(stage: Any) -> None:
    cloudwatch = stage.client("cloudwatch")
    for payload in PAYLOADS:
        cloudwatch.put_metric_alarm(
            AlarmName=payload, AlarmDescription=payload, Namespace="Shop", MetricName=payload,
            # the first one never gets data, so that its state's reason stays the one set below
            Dimensions=[{"Name": "kind", "Value": payload if payload != PAYLOADS[0] else "none"}],
            Statistic="Sum", Period=60,
            EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",
        )  # fmt: skip
    cloudwatch.set_alarm_state(
        AlarmName=PAYLOADS[0], StateValue="ALARM", StateReason=" ".join(PAYLOADS[:12])
    )
    cloudwatch.put_metric_data(
        Namespace="Shop",
        MetricData=[
            {
                "MetricName": payload,
                "Value": 1.0,
                "Dimensions": [{"Name": "kind", "Value": payload}],
            }
            for payload in PAYLOADS
        ],
    )


def _dashboard(stage: Any) -> None:
    texts = [{"type": "text", "properties": {"markdown": payload}} for payload in PAYLOADS]
    graphs = [
        {
            "type": "metric",
            "properties": {
                "title": payload,
                "region": "us-east-1",
                "metrics": [["Shop", payload, "kind", payload, {"label": payload}]],
                "annotations": {"horizontal": [{"label": payload, "value": 1}]},
            },
        }
        for payload in PAYLOADS[::8]
    ]
    body = json.dumps({"widgets": [*texts, *graphs]})
    stage.client("cloudwatch").put_dashboard(DashboardName=BAD, DashboardBody=body)


#: Address, and how many of the payloads it shows as they are.
PLACES = [
    ("/", 0), ("/endpoints/echo", 20), (f"/endpoints/{BAD}", 1), ("/jobs", 0), (f"/jobs/processing/{BAD}", 40), ("/logs", 0),
    (f"/logs?group={GROUP}", 40), (f"/logs?group=/aws/sagemaker/Endpoints/{BAD}", 1), ("/storage", 0),
    (f"/storage?bucket={BUCKET}", len([one for one in PAYLOADS if "/" not in one])),
    (f"/storage?bucket={BUCKET}&prefix={quote('<script>alert(1)</')}", 0), ("/alarms", 40),
    (f"/alarms/{quote(PAYLOADS[0], safe='')}", 8), ("/dashboards", 0), (f"/dashboards/{BAD}", 38), ("/access", 0), (f"/access/users/{BAD}", 0), ("/doctor", 0),
    ("/monitor", 0), (f"/monitor/{WATCHED}", 40), (f"/monitor/{WATCHED}?feature={quote(PAYLOADS[20], safe='')}", 40),
    (f"/endpoints/{WATCHED}", 4),
]  # fmt: skip


@pytest.mark.parametrize(("address", "count"), PLACES)
def test_texts_stay_texts(hostile: Any, visit: Any, address: str, count: int) -> None:
    del hostile
    visit.go(address)

    def shown() -> list[str]:
        text = " ".join(visit.page.inner_text("main").split())
        return [one for one in PAYLOADS if " ".join(one.split()) in text]

    deadline = time.monotonic() + WAIT_MS / 1000
    while len(shown()) < count:
        assert time.monotonic() < deadline, (len(shown()), visit.page.inner_text("main")[:3000])
        visit.page.wait_for_timeout(50)
    visit.page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 100)))")
    assert visit.told == []


@pytest.mark.parametrize(
    "payload", ["<img src=x onerror=alert(1)>", f"<img src={OUTSIDE}/planted>"]
)
def test_hole_that_is_planted_is_found(visit: Any, payload: str) -> None:
    visit.go("/doctor")
    assert visit.told == []
    visit.page.evaluate("text => { document.querySelector('main h1').innerHTML = text }", payload)
    for _ in range(WAIT_MS // 25):
        if visit.told:
            break
        visit.page.wait_for_timeout(25)
    assert visit.told, "the tests above would not notice a hole"


def test_script_that_runs_is_found(stage: Any, chromium: Browser) -> None:
    """Without the policy, a planted handler runs, and that is told too."""
    from tests.console.conftest import Visit

    context = chromium.new_context(bypass_csp=True)
    visit = Visit(context.new_page(), stage.console)
    visit.watch()
    visit.page.goto(f"{stage.console}/login/x")
    visit.page.evaluate("document.body.innerHTML = '<img src=x onerror=alert(7)>'")
    for _ in range(WAIT_MS // 25):
        if visit.told:
            break
        visit.page.wait_for_timeout(25)
    leave(context)
    assert "ran: 7" in visit.told
