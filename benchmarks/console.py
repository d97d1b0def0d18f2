"""How long the console's pages take, with 50 endpoints in service and a week of their metrics, in a real browser.

python benchmarks/console.py [ROUNDS] [ENDPOINTS]

A page is ready when its data is on the screen, every chart is drawn and buttons work, counted from the visit of its
address. The first page counts from the start of `farero open` with an empty browser: with a console that runs, as after
`farero up` in a terminal, and with none. Needs Chromium.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import fresh
from fresh import BUCKET, ROLE
from playwright.sync_api import sync_playwright

from farero.base.clock import SystemClock
from farero.records.metrics import Datum, Metric
from farero.store import migrations
from farero.store.engine import Store
from farero.telemetry.metrics.ingest import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

LIMIT_S = 2.0
ENDPOINTS = [f"shop-{i:02}" for i in range(int(sys.argv[2]) if len(sys.argv) > 2 else 50)]
MINUTES = 7 * 24 * 60
#: Metric, unit, and how a value of a minute is drawn: (value, how often it came).
METRICS: list[tuple[str, str, Callable[[random.Random], tuple[float, float]]]] = [
    ("Invocations", "None", lambda draw: (1.0, float(draw.randrange(1, 60)))),
    ("Invocation5XXErrors", "None", lambda draw: (float(draw.random() < 0.01), 1.0)),
    ("ModelLatency", "Microseconds", lambda draw: (draw.lognormvariate(9, 0.4) // 1, 1.0)),
]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
MODEL = b"""def model_fn(folder):
    return 1


def transform_fn(model, body, kind, accept):
    return "1", "text/csv"
"""
CHARTS = """() => {const all = [...document.querySelectorAll('[role=img],.nicegui-echart')]
 .filter(one => one.offsetParent !== null); return all.every(one => one.matches('svg') || one.querySelector('svg'))}"""
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


class Site(fresh.Site):
    """A platform with a console to look at."""

    def link(self) -> str:
        """Return a link to log in by."""
        return json.loads(self.farero("--json", "open", "--print"))["url"]

    def console_process(self) -> Path | None:
        """Return the folder in /proc of the console's process, if it runs."""
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if b"farero.console" in (path / "cmdline").read_bytes() and (
                    str(self.data).encode() in (path / "environ").read_bytes()
                ):
                    return path
        return None

    def console_megabytes(self) -> float:
        """Return what the console's process keeps in memory for itself."""
        path = self.console_process()
        assert path is not None
        text = (path / "smaps_rollup").read_text(encoding="ascii")
        return int(text.split("Pss:")[1].split()[0]) / 1024


def main() -> int:
    """Seed, measure, print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = Site(Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        fill_metrics(site)
        site.farero("up", "-d")
        try:
            deploy(site)
            print(f"{'page':<28} {'median s':>9} {'slowest':>8} {'of 2 s':>7}")
            for name, is_running in (
                ("first, console running", True),
                ("first, no console", False),
            ):
                times = [first_page(site, browser, is_running=is_running) for _ in range(rounds)]
                tell(name, times)
            for name, times in later_pages(site, browser, rounds):
                tell(name, times)
            told = "memory: {:.0f} MB with one page open, {:.2f} MB for each page more"
            print(told.format(*memory(site, browser)))
        finally:
            site.farero("down")
    return 0


def tell(name: str, times: list[float]) -> None:
    """Print one line of figures."""
    median = statistics.median(times)
    print(f"{name:<28} {median:9.2f} {max(times):8.2f} {median / LIMIT_S:7.2f}", flush=True)


def chromium() -> str:
    """Return the browser's path."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        raise SystemExit("no Chromium here: python scripts/browser.py")
    return found


def fill_metrics(site: Site) -> None:
    """Store a value a minute of the week past, of every metric of every endpoint."""
    site.farero("up", "-d")  # makes the folders
    site.farero("down")
    store = Store(f"sqlite:///{site.data / 'telemetry.db'}", durable=False)
    migrations.upgrade(store)
    metrics, draw = Metrics(store, SystemClock()), random.Random(1)
    end = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0)
    for endpoint in ENDPOINTS:
        dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic"}
        for name, unit, value in METRICS:
            metric = Metric.of("AWS/SageMaker", name, dimensions)
            drawn = (value(draw) for _ in range(MINUTES))
            metrics.put(
                [
                    Datum(
                        metric=metric,
                        at=end - dt.timedelta(minutes=minute),
                        values=(found,),
                        counts=(times,),
                        unit=unit,
                    )
                    for minute, (found, times) in enumerate(drawn)
                ]
            )
        metrics.compact()
    store.close()
    print(f"{len(ENDPOINTS) * len(METRICS) * MINUTES:,} points stored", flush=True)


def deploy(site: Site) -> None:
    """Put the endpoints into service, each a process."""
    made = fresh.archive({"code/inference.py": MODEL})
    site.client("s3").put_object(Bucket=BUCKET, Key="model.tar.gz", Body=made)
    sagemaker = site.client("sagemaker")

    def one(name: str) -> None:
        sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"},
        )
        variant = {
            "VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": 1,
            "InstanceType": "ml.t2.medium",
        }  # fmt: skip
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        waiter = sagemaker.get_waiter("endpoint_in_service")
        waiter.wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, ENDPOINTS))
    print(f"{len(ENDPOINTS)} endpoints in service", flush=True)


def first_page(site: Site, browser: Browser, *, is_running: bool) -> float:
    """Return how long the home page takes for a new visitor."""
    running = site.console_process()
    if is_running and running is None:
        page = browser.new_page()
        page.goto(site.link())
        ready(page, ENDPOINTS[-1])
        page.close()
    elif running is not None and not is_running:
        os.kill(int(running.name), signal.SIGTERM)
        while running.exists():
            time.sleep(0.05)
    context = browser.new_context()
    page = context.new_page()
    began = time.monotonic()
    page.goto(site.link(), wait_until="commit")
    ready(page, ENDPOINTS[-1])
    took = time.monotonic() - began
    context.close()
    return took


def later_pages(site: Site, browser: Browser, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Visit each page a few times."""
    page = browser.new_context().new_page()
    page.goto(site.link())
    ready(page, ENDPOINTS[-1])
    group = f"/aws/sagemaker/Endpoints/{ENDPOINTS[0]}"
    places = {
        "home": ("/", ENDPOINTS[-1]),
        "endpoint": (f"/endpoints/{ENDPOINTS[0]}", "AllTraffic"),
        "endpoint, a week": (f"/endpoints/{ENDPOINTS[0]}?range=1w", "AllTraffic"),
        "log groups": ("/logs", group),
        "log of an endpoint": (f"/logs?group={group}", ""),
        "storage": ("/storage", "sagemaker-us-east-1"),
        "alarms": ("/alarms", ""),
        "drift": ("/monitor", ""),
        "access": ("/access", ""),
        "doctor": ("/doctor", ""),
    }
    for name, (address, text) in places.items():
        times: list[float] = []
        for _ in range(rounds):
            began = time.monotonic()
            page.goto(f"http://127.0.0.1:{site.console}{address}", wait_until="commit")
            ready(page, text)
            times.append(time.monotonic() - began)
        yield name, times


def memory(site: Site, browser: Browser) -> tuple[float, float]:
    """Return megabytes of the console with one page open, and of each page more."""
    more, context = 10, browser.new_context()
    page = context.new_page()
    page.goto(site.link())
    ready(page, ENDPOINTS[-1])
    before = site.console_megabytes()
    for _ in range(more):
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{site.console}/")
        ready(page, ENDPOINTS[-1])
    return before, (site.console_megabytes() - before) / more


def ready(page: Page, text: str) -> None:
    """Wait until the page shows `text` and has drawn its charts."""
    main = page.locator("main")
    wanted = main.get_by_text(text) if text else main.locator(".f-card")
    wanted.first.wait_for(timeout=30_000)
    page.wait_for_function(CHARTS, timeout=30_000)
    page.wait_for_function("window.did_handshake", timeout=30_000)


if __name__ == "__main__":
    sys.exit(main())
