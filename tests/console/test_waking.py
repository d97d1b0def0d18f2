"""The console before NiceGUI is there: while it is imported, when that fails, and where it is not installed."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import PATIENCE

from farero.base.config import Settings
from farero.console.waking import Waking, gate
from farero.gateway.pages import console_login

if TYPE_CHECKING:
    from pathlib import Path

STATIC = "/_nicegui/1/static"
#: How long is waited for what takes a second or two.
WAIT_S = PATIENCE * 20


class Ready:
    """Stands for NiceGUI's application: knows that it was started and ended."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.router = SimpleNamespace(lifespan_context=self.live)

    @asynccontextmanager
    async def live(self, _app: Any) -> Any:
        self.told.append("started")
        yield
        self.told.append("ended")

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a page"})


class Visit:
    """One request that is under way."""

    def __init__(self, app: Waking, path: str) -> None:
        self.got: list[Any] = []
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        return {"type": "http.request", "body": b""}

    async def _send(self, message: Any) -> None:
        self.got.append(message)

    async def body(self) -> bytes:
        await asyncio.wait_for(self.task, WAIT_S)
        return b"".join(one.get("body", b"") for one in self.got)


def test_scripts_come_before_the_application_and_pages_wait_for_it(tmp_path: Path) -> None:
    (tmp_path / "nicegui.js").write_text("//script")
    (tmp_path / "secret.txt").write_text("secret")
    may, app = threading.Event(), Ready()

    async def make() -> Any:
        assert await asyncio.to_thread(may.wait, WAIT_S)
        return app

    async def story() -> None:
        waking, end, said = Waking(make, tmp_path, STATIC), asyncio.Event(), []
        order: asyncio.Queue[str] = asyncio.Queue()
        order.put_nowait("lifespan.startup")

        async def say(message: Any) -> None:
            said.append(message["type"])
            end.set()

        async def hear() -> Any:
            return {"type": await order.get()}

        life = asyncio.create_task(waking({"type": "lifespan"}, hear, say))
        await asyncio.wait_for(end.wait(), WAIT_S)
        assert said == ["lifespan.startup.complete"], "requests are taken at once"
        page, other = Visit(waking, "/"), Visit(waking, f"{STATIC}/secret.txt")
        script = Visit(waking, f"{STATIC}/nicegui.js")
        assert await script.body() == b"//script"
        assert (b"cache-control", b"public, max-age=31536000, immutable") in script.got[0][
            "headers"
        ]
        assert page.got == other.got == []
        may.set()
        assert await page.body() == b"a page"
        assert await other.body() == b"a page"
        assert app.told == ["started"]
        order.put_nowait("lifespan.shutdown")
        await asyncio.wait_for(life, WAIT_S)
        assert app.told == ["started", "ended"]

    asyncio.run(story())


def serve(program: str, folder: Path) -> subprocess.Popen[str]:
    environ = {**os.environ, "FARERO_DATA_DIR": str(folder), "FARERO_PORT": "1"}
    begin = "import sys,runpy;sys.argv=['console','--port','0'];"
    return subprocess.Popen(
        [sys.executable, "-c", f"{begin}{program};runpy.run_module('farero.console',run_name='__main__')"],
        env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_port_says_how_to_install_the_console(tmp_path: Path) -> None:
    hide = (
        "from importlib.machinery import PathFinder as P;o=P.find_spec;"
        "P.find_spec=classmethod(lambda c,n,*x:None if n.startswith('nicegui') else o(n,*x))"
    )
    process = serve(hide, tmp_path)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        for method in ("GET", "POST"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
            connection.request(method, "/endpoints/x")
            answer = connection.getresponse()
            body = answer.read().decode()
            assert answer.status == 503
            assert "pip install 'farero[console]'" in body
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
            connection.close()
    finally:
        process.terminate()
        process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, "the supervisor then waits for a visitor"


def test_failing_import_ends_the_process_with_its_reason(tmp_path: Path) -> None:
    process = serve("sys.modules['fastapi']=None", tmp_path)
    _, told = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1, "the supervisor starts again what did not end well"
    assert "the console cannot start" in told
    assert "fastapi" in told


def test_what_is_never_used_is_not_imported_for_the_first_page(tmp_path: Path) -> None:
    names = ("pydantic.v1", "awscrt", "watchfiles")
    tell = f"import atexit;atexit.register(lambda:print([n for n in {names} if sys.modules.get(n)],'pydantic' in sys.modules))"
    process = serve(tell, tmp_path)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        settings = Settings(data_dir=tmp_path, console_port=port)
        link = console_login(SimpleNamespace(settings=settings))["url"]  # type: ignore[arg-type]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        connection.request(
            "POST",
            f"/login/{link.rpartition('/')[2]}",
            headers={"Origin": f"http://127.0.0.1:{port}"},
        )
        answer = connection.getresponse()
        token = re.search(r'"farero-token","([^"]+)"', answer.read().decode())
        assert token is not None
        kept = {
            "Cookie": answer.headers["set-cookie"].partition(";")[0],
            "x-farero-token": token[1],
        }
        # one question is all that this page asks: a gateway that is not there is tried again, which takes its time
        connection.request("GET", "/logs", headers=kept)
        page = connection.getresponse()
        assert (page.status, "Farero" in page.read().decode()) == (200, True)
        connection.close()
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=WAIT_S)
    assert said.split("\n")[-2] == "[] True"


def test_gate_preloads_files_that_are_there(tmp_path: Path) -> None:
    made = gate(Settings(data_dir=tmp_path), 4748)
    assert made is not None
    assert isinstance(made.app, Waking)
    preloaded = {part.split("'")[0] for part in made._preload.split("href='")[1:]}
    assert len(preloaded) >= 9
    assert preloaded == set(made.app._files)


@pytest.mark.parametrize(
    ("bind", "start"),
    [("127.0.0.1", "http://127.0.0.1:4748/login/"), ("::1", "http://[::1]:4748/login/")],
)
def test_link_is_an_address(tmp_path: Path, bind: str, start: str) -> None:
    settings = Settings(data_dir=tmp_path, bind=bind)
    link = console_login(SimpleNamespace(settings=settings))["url"]  # type: ignore[arg-type]
    assert link.startswith(start)
    assert settings.url.startswith(start.partition("4748")[0])
