"""The console in a real browser: hostile names, bodies and log lines run nothing and fetch nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from farero.gateway.pages import LOGIN_S

if TYPE_CHECKING:
    from collections.abc import Iterator

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
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


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    run = tmp_path / "run"
    run.mkdir()
    environ = {**os.environ, "FARERO_DATA_DIR": str(tmp_path), "FARERO_PORT": "1"}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        program = Path(__file__).with_name("hostile.py")
        process = subprocess.Popen(
            [sys.executable, str(program), str(listening.fileno())],
            env=environ,
            pass_fds=[listening.fileno()],
        )
        try:
            yield f"http://127.0.0.1:{port}", run
        finally:
            process.terminate()
            process.wait(10)


def test_forty_payloads_run_nothing(site: tuple[str, Path]) -> None:
    import hashlib
    import secrets

    base, run = site
    assert len(PAYLOADS) == 40
    token = secrets.token_urlsafe(32)
    folder = run / "console-logins"
    folder.mkdir()
    (folder / hashlib.sha256(token.encode()).hexdigest()).write_text(str(time.time() + LOGIN_S))
    told: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.on("dialog", lambda dialog: (told.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on(
            "request",
            lambda one: None if one.url.startswith((base, "data:")) else told.append(one.url),
        )
        page.goto(f"{base}/login/{token}")
        page.wait_for_selector("main h1")
        for address in ("/", "/endpoints/x", "/jobs", "/jobs/x", "/logs", "/logs?group=x", "/storage",
                        "/storage?bucket=x", "/alarms", "/access"):  # fmt: skip
            page.goto(base + address)
            page.wait_for_selector("main >> text=alert(1)")
            shown = page.inner_text("main")
            assert [one for one in PAYLOADS if " ".join(one.split()) not in shown] == [], address
        browser.close()
    assert told == []
