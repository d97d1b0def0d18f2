"""What people do with the console, in a real browser over a real platform."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from tests.console import drift
from tests.console.conftest import WAIT_MS, leave

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from tests.console.conftest import Stage, Visit

#: The line of a chart's first series.
LINE = "[role=img] svg path[stroke='var(--c1)']"


@pytest.fixture(autouse=True)
def nothing_went_wrong(visit: Visit) -> Any:
    """No script failed, none was kept from running, and nothing outside was asked, in any journey."""
    yield
    assert visit.told == []


def test_log_in_by_a_link_that_works_once(stage: Stage, chromium: Browser) -> None:
    link = stage.link()
    first = chromium.new_context().new_page()
    first.goto(link)
    first.get_by_role("heading", name="Home").wait_for()
    assert first.url == f"{stage.console}/", "the link is gone from the address"
    first.reload()
    first.get_by_role("heading", name="Home").wait_for()
    second = first.context.new_page()
    second.goto(f"{stage.console}/doctor")
    second.get_by_role("heading", name="Doctor").wait_for()

    other = chromium.new_context().new_page()
    other.goto(link)
    other.get_by_text("used up").wait_for()
    other.goto(f"{stage.console}/doctor")
    other.get_by_text("farero open").wait_for()

    first.get_by_role("button", name="Log out").click()
    first.get_by_text("farero open").wait_for()
    second.reload()
    second.get_by_text("farero open").wait_for()
    leave(first.context)
    leave(other.context)


def test_what_is_fetched_ahead_is_what_pages_need(
    stage: Stage, visit: Visit, chromium: Browser
) -> None:
    context = chromium.new_context()
    page = context.new_page()
    opening = stage.link()
    page.goto(opening, wait_until="commit")
    page.wait_for_function("window.did_handshake")
    needed = page.evaluate("[...document.querySelectorAll('script[src]')].map(one => one.src)")
    needed += page.evaluate(
        "Object.values(JSON.parse(document.querySelector('script[type=importmap]').textContent).imports)"
    )
    styles = page.evaluate(
        "[...document.querySelectorAll('style')].map(one => one.textContent).join()"
    )
    leave(context)
    ahead = re.findall(r"href='([^']+)'", visit.page.request.get(f"{stage.console}/").text())
    assert len(ahead) >= 9
    unused = [
        one for one in ahead if not any(n.endswith(one) for n in needed) and one not in styles
    ]
    assert unused == []


def test_home_shows_an_endpoint_and_opens_it(visit: Visit) -> None:
    visit.go("/")
    main = visit.page.get_by_role("main")
    main.get_by_text("InService").first.wait_for()
    main.get_by_role("link", name="echo", exact=True).click()
    visit.page.get_by_role("heading", name="echo", exact=True).wait_for()
    assert visit.page.url == f"{visit.base}/endpoints/echo"
    visit.page.get_by_text("blue").first.wait_for()


def answered(visit: Visit, text: str) -> None:
    deadline = time.monotonic() + WAIT_MS / 1000
    while (found := visit.page.get_by_role("status", name="Answer").inner_text()) != text:
        body = visit.page.get_by_label("Body").input_value()
        assert time.monotonic() < deadline, (
            f"{found!r} for {body!r}: {visit.page.inner_text('main')}"
        )
        visit.page.wait_for_timeout(50)


def test_try_it_predicts(visit: Visit) -> None:
    visit.go("/endpoints/echo")
    visit.page.get_by_label("Body").fill("3,1,4")
    visit.page.get_by_role("button", name="Send", exact=True).click()
    answered(visit, "3,1,4")


def test_captured_request_is_replayed(visit: Visit, stage: Stage) -> None:
    stage.invoke("echo", b"replay,me")
    visit.go("/endpoints/echo")
    row = visit.page.get_by_role("row").filter(has_text="replay,me").first
    row.get_by_role("button", name="Replay").click()
    answered(visit, "replay,me")
    assert visit.page.get_by_label("Body").input_value() == "replay,me"


def test_captured_requests_of_a_variant_have_an_address(visit: Visit, stage: Stage) -> None:
    runtime = stage.client("sagemaker-runtime")
    for variant in ("blue", "green"):
        runtime.invoke_endpoint(
            EndpointName="echo", TargetVariant=variant, ContentType="text/csv", Body=f"only,{variant}"
        )  # fmt: skip
    visit.go("/endpoints/echo?range=3h")
    rows = visit.page.get_by_role("row")
    rows.filter(has_text="only,blue").first.wait_for()
    visit.page.get_by_role("combobox", name="Variant").click()
    visit.page.get_by_role("option", name="green").click()
    rows.filter(has_text="only,blue").first.wait_for(state="detached")
    visit.page.wait_for_url(re.compile(r"\?range=3h&variant=green$"))
    visit.page.reload()
    rows.filter(has_text="only,green").first.wait_for()
    assert rows.filter(has_text="only,blue").count() == 0


def test_weights_are_changed_with_a_confirmation(visit: Visit, stage: Stage) -> None:
    def weight() -> float:
        found = stage.client("sagemaker").describe_endpoint(EndpointName="echo")
        return {v["VariantName"]: v["DesiredWeight"] for v in found["ProductionVariants"]}["blue"]

    before = weight()
    visit.go("/endpoints/echo")
    row = visit.page.get_by_role("row").filter(has_text="blue")
    row.get_by_label("Weight").fill(str(before + 4))
    visit.page.get_by_role("button", name="Apply weights").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_text("Change where traffic goes?").wait_for()
    assert weight() == before
    dialog.get_by_role("button", name="Apply weights").click()
    dialog.wait_for(state="hidden")
    stage.platform.wait(lambda: weight() == before + 4)


def test_alarm_is_seen_and_tested(visit: Visit, stage: Stage) -> None:
    cloudwatch, sqs, sns = (stage.client(one) for one in ("cloudwatch", "sqs", "sns"))
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    names = ["QueueArn"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="tell")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    cloudwatch.put_metric_alarm(
        AlarmName="slow", Namespace="Shop", MetricName="Latency", Statistic="Maximum", Period=60,
        EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore", AlarmActions=[topic],
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName="slow", StateValue="OK", StateReason="it is fast")

    def told() -> str:
        return sqs.receive_message(QueueUrl=queue).get("Messages", [{}])[0].get("Body", "")

    visit.go("/alarms")
    row = visit.page.get_by_role("row").filter(has_text="slow")
    row.get_by_text("OK", exact=True).wait_for()
    row.get_by_role("link", name="slow", exact=True).click()
    visit.page.get_by_role("heading", name="slow", exact=True).wait_for()
    visit.page.get_by_text("it is fast").first.wait_for()
    visit.page.get_by_role("button", name="Test", exact=True).click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Set to ALARM").click()
    visit.page.get_by_role("main").get_by_text("ALARM", exact=True).first.wait_for()
    assert "ALARM" in stage.platform.wait(told)


def test_dashboard_is_drawn_and_shared_with_its_range(
    visit: Visit, stage: Stage, chromium: Browser, session: Any
) -> None:
    cloudwatch = stage.client("cloudwatch")
    now = datetime.now(UTC)
    cloudwatch.put_metric_data(
        Namespace="Board",
        MetricData=[
            {"MetricName": "Sold", "Timestamp": now - timedelta(minutes=i), "Value": 10.0 + i % 7}
            for i in range(180)
        ],
    )
    graph = {
        "type": "metric", "x": 0, "y": 0, "width": 12, "height": 6,
        "properties": {"title": "Sales", "region": "us-east-1", "metrics": [["Board", "Sold"]], "stat": "Sum"},
    }  # fmt: skip
    text = {
        "type": "text", "x": 12, "y": 0, "width": 12, "height": 6,
        "properties": {"markdown": "# Read me\n**bold** words"},
    }  # fmt: skip
    body = json.dumps({"widgets": [graph, text]})
    cloudwatch.put_dashboard(DashboardName="shop", DashboardBody=body)

    visit.go("/dashboards")
    visit.page.get_by_role("link", name="shop").click()
    visit.page.get_by_role("heading", name="Sales").wait_for()
    visit.page.get_by_role("heading", name="Read me").wait_for()
    visit.page.get_by_role("link", name="3d", exact=True).click()
    visit.page.wait_for_url(re.compile("range=3d"))
    visit.page.locator(LINE).first.wait_for(state="attached")

    context = chromium.new_context(storage_state=session)
    other = context.new_page()
    other.goto(visit.page.url)
    other.get_by_role("heading", name="Sales").wait_for()
    other.locator(LINE).first.wait_for(state="attached")
    chosen = other.get_by_role("link", name="3d", exact=True)
    assert chosen.get_attribute("aria-current") == "true"
    leave(context)


def test_logs_are_filtered_and_followed(visit: Visit, stage: Stage) -> None:
    logs, group = stage.client("logs"), "/console/live"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")

    def say(*texts: str) -> None:
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": text} for text in texts]
        logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=events)

    say("INFO first", "ERROR second")
    visit.go("/logs")
    visit.page.get_by_role("link", name=group).click()
    shown = visit.page.get_by_role("log")
    shown.filter(has_text="INFO first").wait_for()
    visit.hears()  # before that, the key could be told before the text
    field = visit.page.get_by_label("Filter")
    field.fill("ERROR")
    field.press("Enter")
    visit.page.wait_for_url(re.compile("filter=ERROR"))
    shown.filter(has_text="ERROR second").wait_for()
    assert "INFO first" not in shown.inner_text()
    say("INFO third", "ERROR fourth")
    shown.filter(has_text="ERROR fourth").wait_for()
    assert "INFO third" not in shown.inner_text()


def test_job_is_followed_to_its_end(visit: Visit, stage: Stage) -> None:
    s3, bucket = stage.client("s3"), stage.platform.bucket
    rows = "\n".join(f"{i % 2},{i},{i * 2}" for i in range(60))
    s3.put_object(Bucket=bucket, Key="follow/rows.csv", Body=rows.encode())
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/follow/"}
    stage.client("sagemaker").create_training_job(
        TrainingJobName="followed",
        AlgorithmSpecification={
            "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
            "TrainingInputMode": "File",
        },
        HyperParameters={"num_round": "5", "objective": "binary:logistic"},
        RoleArn="arn:aws:iam::123456789012:role/AmazonSageMaker-ExecutionRole-farero",
        InputDataConfig=[
            {"ChannelName": "train", "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/models"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )  # fmt: skip
    visit.go("/jobs")
    visit.page.get_by_role("link", name="followed").click()
    visit.page.get_by_role("heading", name="followed").wait_for()
    main = visit.page.get_by_role("main")
    main.get_by_text("Completed", exact=True).first.wait_for(timeout=3 * WAIT_MS)
    main.get_by_text("Uploading").first.wait_for()
    main.get_by_text("model.tar.gz").first.wait_for()


def test_drift_is_looked_for_and_found(visit: Visit, stage: Stage) -> None:
    drift.watch(stage, "journey-drift")
    page, main = visit.page, visit.page.get_by_role("main")
    visit.go("/endpoints/journey-drift")
    main.get_by_role("link", name="journey-drift", exact=True).click()
    page.wait_for_url(re.compile("/monitor/journey-drift"))
    main.get_by_text("It has not run yet.").wait_for()
    main.get_by_role("button", name="Run now").click()
    main.get_by_text("2 of 3 columns changed: height, colour").first.wait_for(timeout=4 * WAIT_MS)
    bars = main.get_by_role("img", name=re.compile("violet: 0 % →"))
    bars.locator("svg path").first.wait_for(state="attached")
    main.get_by_role("link", name="height", exact=True).click()
    page.wait_for_url(re.compile("feature=height"))
    main.get_by_role("heading", name="Feature: height").wait_for()
    main.get_by_role("img", name=re.compile("^height")).locator("svg path").first.wait_for(
        state="attached"
    )
    with page.expect_download() as waiting:
        main.get_by_role("link", name="Report (HTML)").first.click()
    assert waiting.value.suggested_filename == "report.html"
    assert "columns changed" in Path(waiting.value.path()).read_text(encoding="utf-8")
    visit.hears()
    page.locator("body").press("g")
    page.keyboard.press("m")
    page.wait_for_url(re.compile("/monitor$"))
    main.get_by_role("link", name="journey-drift", exact=True).first.wait_for()


def test_object_is_downloaded_and_never_shown(visit: Visit, stage: Stage) -> None:
    s3 = stage.client("s3")
    s3.create_bucket(Bucket="journeys")
    page = b"<script>document.title = 'ran'</script>"
    s3.put_object(Bucket="journeys", Key="a/page one.html", Body=page, ContentType="text/html")
    visit.go("/storage?bucket=journeys&prefix=a/")
    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("link", name="page one.html").click()
    assert waiting.value.suggested_filename == "page one.html"
    assert Path(waiting.value.path()).read_bytes() == page
    visit.page.get_by_role("heading", name="journeys/a/").wait_for()
    with visit.page.expect_download() as waiting:  # its address, typed in
        visit.page.evaluate("location.href = '/download?bucket=journeys&key=a%2Fpage%20one.html'")
    assert Path(waiting.value.path()).read_bytes() == page
    assert visit.page.title() != "ran"


def test_access_key_is_made_shown_once_and_works(visit: Visit, stage: Stage) -> None:
    visit.go("/access")
    visit.page.get_by_label("Name").fill("bea")
    visit.page.get_by_role("button", name="Create").click()
    visit.page.wait_for_url(re.compile("/access/users/bea"))
    visit.page.get_by_role("button", name="New access key").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_text("Shown once").wait_for()
    told = dict(re.findall(r"(\S+) = (\S+)", dialog.inner_text()))
    visit.page.get_by_role("row").filter(has_text=told["aws_access_key_id"]).wait_for(
        state="attached"
    )
    dialog.get_by_text(told["aws_secret_access_key"]).wait_for()
    session = boto3.Session(region_name="us-east-1", **told)
    who = session.client("sts", endpoint_url=stage.platform.url).get_caller_identity()
    assert who["Arn"].endswith(":user/bea")
    dialog.get_by_role("button", name="Close").click()
    dialog.wait_for(state="hidden")
    visit.go("/access/users/bea")
    visit.page.get_by_text(told["aws_access_key_id"]).first.wait_for()
    assert told["aws_secret_access_key"] not in visit.page.content()


def test_spanish_and_dark_by_the_keyboard_alone(visit: Visit) -> None:
    page, keys = visit.page, visit.page.keyboard
    visit.go("/")
    page.get_by_role("heading", name="Home").wait_for()
    for landmark in ("banner", "navigation", "main"):
        assert page.get_by_role(landmark).count() == 1, landmark

    def tab_to(name: str) -> None:
        for _ in range(60):
            keys.press("Tab")
            told = page.evaluate(
                "(document.activeElement.getAttribute('aria-label')"
                " || document.activeElement.textContent || '').trim()"
            )
            if told == name:
                return
        pytest.fail(f"no way to {name} by the keyboard")

    keys.press("Tab")
    assert page.evaluate("document.activeElement.textContent.trim()") == "Skip to the content"
    tab_to("Español")
    keys.press("Enter")
    page.get_by_role("heading", name="Inicio").wait_for()
    page.wait_for_function("document.documentElement.lang == 'es'")
    tab_to("Claro u oscuro")
    keys.press("Enter")
    page.wait_for_function("document.body.classList.contains('body--dark')")
    page.wait_for_function("document.cookie.includes('farero_theme=dark')")
    page.locator("body").press("g")
    keys.press("l")
    page.get_by_role("heading", name="Registros").wait_for()
    page.wait_for_function("document.body.classList.contains('body--dark')")
    keys.press("?")
    page.get_by_role("dialog").get_by_text("Teclado").wait_for()
    keys.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
