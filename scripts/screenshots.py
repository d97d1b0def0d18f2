"""Take pictures of the console: a platform with a model under traffic, and each page light, dark, narrow and wide.

`python scripts/screenshots.py` writes them all to build/screenshots; `--docs` writes only the few that the
documentation shows, to docs/console. Needs Chromium (`python scripts/browser.py`).
Takes a few minutes. The figures of the hours before are made up and put into the store; everything else is real.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import math
import random
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import browser as browsers
import drifting
from botocore.exceptions import BotoCoreError, ClientError
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import fresh
from benchmarks.fresh import BUCKET, ROLE, Site

from farero.base.clock import SystemClock
from farero.records.metrics import Datum, Metric
from farero.store import migrations
from farero.store.engine import Store
from farero.telemetry.metrics.ingest import Metrics

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
OUT, DOCS = ROOT / "build" / "screenshots", ROOT / "docs" / "console"
TRAFFIC_S = 75
MOST_BYTES = 150_000
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
MODEL = b"""import math
import time


def model_fn(folder):
    return [0.9, -0.4, 0.03, -1.1]


def input_fn(body, kind):
    return [float(cell) for cell in body.strip().split(",")]


def predict_fn(row, model):
    time.sleep(0.004 + 0.02 * (hash(tuple(row)) % 100 / 100) ** 4)
    score = 1 / (1 + math.exp(-sum(w * x for w, x in zip(model, row))))
    print(f"INFO scored {row} as {score:.3f}", flush=True)
    return score


def output_fn(score, accept):
    return f"{score:.6f}", "text/csv"
"""
#: Page → address.
PAGES = {
    "home": "/",
    "endpoint": "/endpoints/churn",
    "endpoint-week": "/endpoints/churn?range=1d",
    "jobs": "/jobs",
    "job": "/jobs",
    "logs": "/logs",
    "log": "/logs?group=/aws/sagemaker/Endpoints/churn",
    "storage": f"/storage?bucket={BUCKET}",
    "dashboards": "/dashboards",
    "dashboard": "/dashboards/shop?range=3h",
    "alarms": "/alarms",
    "alarm": "/alarms/churn-errors",
    "drifts": "/monitor",
    "drift": "/monitor/farero-flats",
    "drift-size": "/monitor/farero-flats?feature=size",
    "access": "/access",
    "doctor": "/doctor",
}
SIZES = {"wide": (1440, 900), "narrow": (390, 844)}


@dataclass(frozen=True)
class Picture:
    """A picture of the documentation."""

    page: str
    theme: str = "light"
    size: str = "wide"
    language: str = "en"
    #: How high it is, if not as the window.
    height: int = 0

    @property
    def name(self) -> str:
        """The file's name, without its kind."""
        parts = [self.page, self.theme, self.size, self.language]
        return "-".join(one for one in parts if one not in ("light", "wide", "en"))


SHOWN = [
    Picture("home"), Picture("endpoint"), Picture("dashboard"), Picture("dashboard", "dark"),
    Picture("alarm"), Picture("job", "dark"), Picture("home", size="narrow", language="es"),
    Picture("drift", height=1720), Picture("drift", "dark", "narrow", "es"),
]  # fmt: skip


def main() -> int:
    """Seed, look, keep."""
    chromium = browsers.find()
    if chromium is None:
        raise SystemExit("no Chromium here: python scripts/browser.py")
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = Site(Path(folder))
        past(site)
        site.farero("up", "-d")
        try:
            job = seed(site)
            browser = playwright.chromium.launch(executable_path=chromium, args=flags)
            with traffic(site):
                time.sleep(TRAFFIC_S)
                take(site, browser, job)
        finally:
            site.farero("down")
    return 0


def past(site: Site) -> None:
    """Make up the figures of a day."""
    site.farero("up", "-d")  # makes the folders
    site.farero("down")
    store = Store(f"sqlite:///{site.data / 'telemetry.db'}", durable=False)
    migrations.upgrade(store)
    metrics, draw = Metrics(store, SystemClock()), random.Random(7)
    now = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0)
    shares = {"churn": {"blue": 230.0, "green": 58.0}, "prices": {"AllTraffic": 150.0}}
    for endpoint, variants in shares.items():
        for variant, busy in variants.items():
            dimensions = {"EndpointName": endpoint, "VariantName": variant}
            data: list[Datum] = []
            for minute in range(2, 24 * 60):
                at = now - dt.timedelta(minutes=minute)
                wave = (
                    1.2 + math.sin((at.hour * 60 + at.minute) / 229) + 0.3 * math.sin(minute / 17)
                )
                count = max(1, round(busy * wave * draw.uniform(0.8, 1.2)))
                bad = sum(draw.random() < 0.0015 for _ in range(count))
                millis = [
                    draw.lognormvariate(2.0 + 0.1 * wave, 0.45) for _ in range(min(count, 20))
                ]
                for name, unit, values, counts in (
                    ("Invocations", "None", (1.0,), (float(count),)),
                    ("Invocation5XXErrors", "None", (0.0, 1.0), (float(count - bad), float(bad))),
                    ("Invocation4XXErrors", "None", (0.0,), (float(count),)),
                    ("ModelLatency", "Microseconds", tuple(m * 1000 for m in millis), ()),
                    ("OverheadLatency", "Microseconds", tuple(m * 90 for m in millis), ()),
                ):
                    kept = (
                        [(v, c) for v, c in zip(values, counts, strict=True) if c] if counts else []
                    )
                    data.append(
                        Datum(
                            metric=Metric.of("AWS/SageMaker", name, dimensions), at=at, unit=unit,
                            values=tuple(v for v, _ in kept) or values, counts=tuple(c for _, c in kept),
                        )
                    )  # fmt: skip
            metrics.put(data)
    store.close()


def seed(site: Site) -> str:
    """Deploy, call, alarm; return the name of a training job."""
    site.farero("try", "--keep")
    sagemaker = site.client("sagemaker")
    deploy(site, "churn", ("blue", "green"))
    deploy(site, "prices", ("AllTraffic",))
    topic = site.client("sns").create_topic(Name="oncall")["TopicArn"]
    queue = site.client("sqs").create_queue(QueueName="oncall")["QueueUrl"]
    names = ["QueueArn"]
    found = site.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)
    site.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=found["Attributes"]["QueueArn"]
    )
    alarms(site, topic)
    dashboard(site)
    site.client("iam").create_user(UserName="ana")
    drift(site)
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName="churn", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    return sagemaker.list_training_jobs()["TrainingJobSummaries"][0]["TrainingJobName"]


def drift(site: Site) -> None:
    """Watch an endpoint whose data drifts."""
    name, now = "flats", SystemClock().now()
    deploy(site, name, ("AllTraffic",))
    sagemaker = site.client("sagemaker")
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    data = site.data.parent / "train.csv"
    drifting.training_data(data)
    drifting.captures(site.client("s3"), BUCKET, name, now)
    site.farero("monitor", "baseline", name, str(data))
    site.farero("monitor", "add", name, "--every", "1h")
    drifting.judged(sagemaker, site.data, f"farero-{name}", now)


def deploy(site: Site, name: str, variants: tuple[str, ...]) -> None:
    """Start an endpoint that captures its requests."""
    made = fresh.archive({"code/inference.py": MODEL})
    site.client("s3").put_object(Bucket=BUCKET, Key=f"{name}/model.tar.gz", Body=made)
    sagemaker = site.client("sagemaker")
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/{name}/model.tar.gz"}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    shared = {"ModelName": name, "InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}
    weights = (0.8, 0.2) if len(variants) == 2 else (1.0,)
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {**shared, "VariantName": one, "InitialVariantWeight": weight}
            for one, weight in zip(variants, weights, strict=True)
        ],
        DataCaptureConfig={
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{BUCKET}/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
        },
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


def alarms(site: Site, topic: str) -> None:
    """Watch the endpoint: one alarm that will go off, one that will not."""
    put = site.client("cloudwatch").put_metric_alarm
    shared: dict[str, Any] = {
        "Namespace": "AWS/SageMaker", "Period": 60, "EvaluationPeriods": 3, "DatapointsToAlarm": 1,
        "Dimensions": [{"Name": "EndpointName", "Value": "churn"}, {"Name": "VariantName", "Value": "blue"}],
        "ComparisonOperator": "GreaterThanThreshold", "AlarmActions": [topic], "OKActions": [topic],
    }  # fmt: skip
    put(
        AlarmName="churn-errors", MetricName="Invocation5XXErrors", Statistic="Sum", Threshold=5.0,
        AlarmDescription="The churn model answers with errors", TreatMissingData="notBreaching", **shared,
    )  # fmt: skip
    put(
        AlarmName="churn-slow", MetricName="ModelLatency", ExtendedStatistic="p99", Threshold=250_000.0,
        AlarmDescription="One request in a hundred takes longer than 250 ms", **shared,
    )  # fmt: skip


def dashboard(site: Site) -> None:
    """Put a dashboard with a widget of every kind."""

    def metric(name: str, stat: str, variant: str) -> list[Any]:
        where = ["AWS/SageMaker", name, "EndpointName", "churn", "VariantName", variant]
        return [*where, {"stat": stat, "label": variant}]

    def widget(x: int, y: int, width: int, height: int, kind: str, **properties: Any) -> Any:
        place = {"x": x, "y": y, "width": width, "height": height, "type": kind}
        return {**place, "properties": properties}

    both = ("blue", "green")
    region = {"region": "us-east-1"}
    arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:"
    about = "# Churn\nWho answers: **data science**. If errors rise, see the **log**."
    widgets = [
        widget(0, 0, 8, 4, "text", markdown=about),
        widget(8, 0, 8, 4, "metric", title="Requests, last minute", view="singleValue", sparkline=True,
               metrics=[metric("Invocations", "Sum", one) for one in both], period=60, **region),
        widget(16, 0, 8, 4, "alarm", title="Alarms",
               alarms=[arn + "churn-errors", arn + "churn-slow"]),
        widget(0, 4, 16, 7, "metric", title="Requests", view="timeSeries", stacked=True,
               metrics=[metric("Invocations", "Sum", one) for one in both], period=60, **region),
        widget(16, 4, 8, 7, "metric", title="Share", view="pie",
               metrics=[metric("Invocations", "Sum", one) for one in both], period=3600, **region),
        widget(0, 11, 16, 7, "metric", title="Latency (p50, p99)", view="timeSeries",
               metrics=[[*metric("ModelLatency", stat, "blue")[:-1], {"stat": stat, "label": stat}]
                        for stat in ("p50", "p99")],
               annotations={"horizontal": [{"label": "promised", "value": 250_000}]}, period=60, **region),
        widget(16, 11, 8, 7, "log", title="Newest lines", view="table", **region,
               query="SOURCE '/aws/sagemaker/Endpoints/churn' | fields @message | sort @timestamp desc | limit 6"),
    ]  # fmt: skip
    site.client("cloudwatch").put_dashboard(
        DashboardName="shop", DashboardBody=json.dumps({"widgets": widgets})
    )


@contextlib.contextmanager
def traffic(site: Site) -> Generator[None]:
    """Call the endpoints meanwhile; some requests are wrong."""
    is_over = threading.Event()

    def call(endpoint: str, seed_: int) -> None:
        runtime, draw = site.client("sagemaker-runtime"), random.Random(seed_)
        while not is_over.is_set():
            row = [round(draw.gauss(0, 1), 3) for _ in range(4)]
            body = ",".join(map(str, row)) if draw.random() > 0.03 else "a,b"
            with contextlib.suppress(ClientError, BotoCoreError):
                runtime.invoke_endpoint(EndpointName=endpoint, Body=body, ContentType="text/csv")
            time.sleep(draw.expovariate(3))

    threads = [
        threading.Thread(target=call, args=(name, at))
        for at, name in enumerate(("churn", "churn", "prices"))
    ]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        is_over.set()
        for one in threads:
            one.join()


def take(site: Site, browser: Browser, job: str) -> None:
    """Take every picture."""
    link = json.loads(site.farero("--json", "open", "--print"))["url"]
    context = browser.new_context()
    page = context.new_page()
    page.goto(link)
    page.locator("main h1").first.wait_for()
    visit = (browser, context.storage_state(), f"http://127.0.0.1:{site.console}")
    PAGES["job"] = f"/jobs/{job}"
    if "--docs" in sys.argv:
        DOCS.mkdir(exist_ok=True)
        for picture in SHOWN:
            path = DOCS / f"{picture.name}.webp"
            _one(visit, picture, path)
            size = path.stat().st_size
            print(f"{path.relative_to(ROOT)}: {size / 1000:.0f} kB", flush=True)
            assert size < MOST_BYTES
        return
    for theme in ("light", "dark"):
        for size in SIZES:
            for name in PAGES:
                path = OUT / f"{name}-{theme}-{size}.webp"
                _one(visit, Picture(name, theme, size), path, whole=True)


def _one(
    visit: tuple[Browser, Any, str], picture: Picture, path: Path, *, whole: bool = False
) -> None:
    browser, state, base = visit
    width, height = SIZES[picture.size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        storage_state=state,
        device_scale_factor=1 if picture.size == "wide" else 2,
    )
    context.add_cookies(
        [
            {"name": "farero_theme", "value": picture.theme, "url": base},
            {"name": "farero_lang", "value": picture.language, "url": base},
        ]
    )
    page = context.new_page()
    page.goto(base + PAGES[picture.page])
    page.locator("main h1").first.wait_for()
    page.wait_for_timeout(2500)
    if picture.height:
        page.set_viewport_size({"width": width, "height": picture.height})
        page.wait_for_timeout(300)
    if whole:
        height = min(3000, page.evaluate("document.documentElement.scrollHeight"))
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)
    _keep(page, path)
    context.close()


def _keep(page: Page, path: Path) -> None:
    wire = page.context.new_cdp_session(page)
    for quality in (82, 70, 55, 40):
        taken = wire.send("Page.captureScreenshot", {"format": "webp", "quality": quality})
        data = base64.b64decode(taken["data"])
        if len(data) < MOST_BYTES:
            break
    path.write_bytes(data)


if __name__ == "__main__":
    sys.exit(main())
