"""A stage for tests of the console in a real browser: one platform with a model in service, one Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import shutil
import tarfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tests import conftest as base

from farero.base.config import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
ROLE = "arn:aws:iam::123456789012:role/AmazonSageMaker-ExecutionRole-farero"
#: How long a browser waits for what shall come.
WAIT_MS = base.PATIENCE * 20_000
ECHO = """
def model_fn(folder):
    return 1


def transform_fn(model, body, kind, accept):
    text = body.decode() if isinstance(body, bytes) else body
    print("got", text, flush=True)
    return text, "text/csv"
"""


class Stage:
    """A running platform, and what tests put on it."""

    def __init__(self, platform: Any) -> None:
        self.platform = platform
        self.console = f"http://127.0.0.1:{platform.console_port}"
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """Return a boto3 client of the owner."""
        if service not in self._clients:
            self._clients[service] = self.platform.client(service)
        return self._clients[service]

    def link(self) -> str:
        """Return a link that logs in once."""
        return json.loads(self.platform.farero("--json", "open", "--print").stdout)["url"]

    def model(self, name: str, code: str) -> None:
        """Make a model of a file inference.py."""
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w:gz") as tar:
            info = tarfile.TarInfo("code/inference.py")
            info.size = len(code.encode())
            tar.addfile(info, io.BytesIO(code.encode()))
        bucket = self.platform.bucket
        self.client("s3").put_object(Bucket=bucket, Key=f"{name}.tar.gz", Body=made.getvalue())
        container = {"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/{name}.tar.gz"}
        self.client("sagemaker").create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container
        )

    def deploy(self, name: str, model: str, variants: tuple[str, ...] = ("AllTraffic",)) -> None:
        """Start an endpoint that captures everything; return before it is in service."""
        sagemaker = self.client("sagemaker")
        shared = {"ModelName": model, "InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[{**shared, "VariantName": one} for one in variants],
            DataCaptureConfig={
                "InitialSamplingPercentage": 100,
                "DestinationS3Uri": f"s3://{self.platform.bucket}/capture",
                "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
                "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
            },
        )
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def settled(self, endpoint: str) -> str:
        """Wait until an endpoint is in service or has failed; return which."""

        def status() -> str:
            found = self.client("sagemaker").describe_endpoint(EndpointName=endpoint)
            return "" if found["EndpointStatus"] == "Creating" else found["EndpointStatus"]

        return self.platform.wait(status, 60)

    def invoke(self, endpoint: str, body: bytes) -> bytes:
        """Ask an endpoint."""
        answer = self.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=endpoint, Body=body, ContentType="text/csv"
        )
        return answer["Body"].read()


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A platform with the endpoint `echo`, which answers what it is asked and prints it."""
    platform = base.Platform(tmp_path_factory.mktemp("console"))
    platform.farero("up", "-d")
    try:
        made = Stage(platform)
        made.model("echo", ECHO)
        made.deploy("echo", "echo", ("blue", "green"))
        assert made.settled("echo") == "InService"
        yield made
    finally:
        platform.farero("down", check=False)


@pytest.fixture(
    scope="module"
)  # while it runs, its thread has an event loop that other tests would trip over
def chromium() -> Iterator[Browser]:
    """A Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def leave(context: BrowserContext) -> None:
    """Close a browser whose pages stand still.

    What Chromium 156 is told while a page is on its way to another, it sometimes forgets: to close it, which is then
    waited for without end, or to go elsewhere, so that it is told again.
    """
    from playwright.sync_api import Error

    for page in context.pages:
        for _ in range(5):
            with contextlib.suppress(Error):
                page.goto("about:blank", timeout=WAIT_MS / 4)
                break
    context.close()


@dataclass
class Visit:
    """One browser, logged in, and whatever went wrong in it."""

    page: Page
    base: str
    told: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note scripts that ran or were kept from it, errors, and requests to anywhere else."""
        page = self.page
        page.on(
            "dialog", lambda dialog: (self.told.append(f"ran: {dialog.message}"), dialog.dismiss())
        )
        page.on("pageerror", lambda error: self.told.append(f"error: {error}"))
        page.on("request", self._asked)
        page.on("console", self._said)
        page.on("popup", lambda popup: self.told.append(f"popup: {popup.url}"))

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((f"{self.base}/", "data:", f"blob:{self.base}")):
            self.told.append(f"asked: {request.url}")

    def _said(self, message: Any) -> None:
        if "Content Security Policy" in message.text:
            self.told.append(f"kept from: {message.text}")

    def go(self, address: str) -> None:
        """Visit a page and wait until it stands and hears."""
        self.page.goto(self.base + address, wait_until="commit")
        self.page.locator("main h1").first.wait_for()
        self.hears()

    def hears(self) -> None:
        """Wait until what is done on the page that stands there is heard, in its order."""
        self.page.wait_for_function("window.did_handshake")


@pytest.fixture(scope="module")
def session(stage: Stage, chromium: Browser) -> Any:
    """What a browser keeps that has logged in by a link."""
    context = chromium.new_context()
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.goto(stage.link(), wait_until="commit")
    page.wait_for_function("window.did_handshake")  # the link's own page has a heading too
    state = context.storage_state()
    leave(context)
    return state


@pytest.fixture
def visit(stage: Stage, chromium: Browser, session: Any) -> Iterator[Visit]:
    """A browser of its own, logged in."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 900}, accept_downloads=True, storage_state=session
    )
    context.set_default_timeout(WAIT_MS)
    made = Visit(context.new_page(), stage.console)
    made.watch()
    yield made
    leave(context)


class Person:
    """Somebody in front of the pages, without a browser: NiceGUI's simulated user over the real platform."""

    def __init__(self, user: Any) -> None:
        self.user = user

    async def open(self, path: str, *, language: str = "en") -> None:
        """Visit a page."""
        self.user.http_client.headers["accept-language"] = language
        await self.user.open(path)

    @property
    def elements(self) -> list[Any]:
        """What is on the page."""
        return [one for one in self.user.client.elements.values() if not one.is_deleted]

    @property
    def texts(self) -> list[str]:
        """Every text on the page, in order."""
        return [str(one.text) for one in self.elements if getattr(one, "text", None) is not None]

    async def until(self, claim: Callable[[], Any], seconds: float = 15.0) -> Any:
        """Wait until a claim is true and return it."""
        deadline = time.monotonic() + base.PATIENCE * seconds
        while not (value := claim()):
            assert time.monotonic() < deadline, self.texts
            await asyncio.sleep(0.02)
        return value

    async def sees(self, text: str) -> str:
        """Wait until a text holds `text`; return all of it."""
        return await self.until(lambda: next((one for one in self.texts if text in one), ""))

    def press(self, text: str, place: int = 0) -> None:
        """Press the button with this text; place: which of several, -1 the newest."""
        named = [one for one in self.elements if getattr(one, "text", None) == text]
        buttons = [one for one in map(_clickable, named) if one is not None]
        assert buttons, self.texts
        with self.user.client:
            self._click(buttons[place])

    def field(self, label: str, place: int = 0) -> Any:
        """Return the field with this label."""
        found = [
            one
            for one in self.elements
            if label in (one.props.get("label"), one.props.get("aria-label"))
        ]
        assert found, [one.props.get("label") for one in self.elements]
        return found[place]

    def _click(self, button: Any) -> None:
        from nicegui.testing.user_interaction import UserInteraction

        UserInteraction(self.user, {button}, None).trigger("click")


def _clickable(element: Any) -> Any:
    while element is not None:
        if any(one.type == "click" for one in element._event_listeners.values()):
            return element
        slot = element.parent_slot
        element = slot.parent if slot else None
    return None


@pytest.fixture
def told_by(stage: Stage) -> Callable[[Callable[[Person], Awaitable[None]]], None]:
    """A function that lets a story happen to a person in front of the pages."""

    def tell(story: Callable[[Person], Awaitable[None]]) -> None:
        async def play() -> None:
            from nicegui import core
            from nicegui.testing import user_simulation

            from farero.console import pages
            from farero.console.glances import home

            platform = stage.platform
            settings = Settings(data_dir=platform.data_dir, port=platform.port)
            async with user_simulation() as user:
                pages.register(home(settings), core.app)
                await story(Person(user))

        asyncio.run(play())

    return tell
