"""The console's gate, called as the ASGI application that it is: links, sessions, Host, Origin, policy."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from farero.console.security import Gate
from farero.console.sessions import Sessions
from farero.console.texts import EN, ES, catalogue

if TYPE_CHECKING:
    from pathlib import Path

OWN = "http://localhost:4748"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def inner(scope: Any, _receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    body = f"<head><script>1</script>secret {scope['method']}".encode()
    headers = [(b"content-type", b"text/html"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Site:
    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, Clock()
        self.gate = Gate(inner, Sessions(folder, self.clock), "sid")

    def link(self) -> str:
        token = secrets.token_urlsafe(32)
        path = self.folder / hashlib.sha256(token.encode()).hexdigest()
        path.write_text(str(self.clock.now + 60))
        return f"/login/{token}"

    def call(
        self, method: str, path: str, sending: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], str]:
        sent: list[Any] = []
        given = {"host": "localhost:4748", **headers}
        scope = {
            "type": "websocket" if method == "WS" else "http",
            "method": method,
            "path": path,
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in given.items()],
        }

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": sending}

        asyncio.run(self.gate(scope, receive, send))
        if method == "WS":
            return (101 if sent[0]["type"] == "websocket.accept" else 403), {}, ""
        found = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], found, b"".join(m["body"] for m in sent[1:]).decode()

    def log_in(self) -> dict[str, str]:
        """Return headers that the console's own pages send."""
        status, headers, body = self.call("POST", self.link(), origin=OWN)
        assert status == 200
        token = body.split('localStorage.setItem("farero-token","')[1].split('"')[0]
        return {"cookie": headers["set-cookie"].split(";")[0], "x_farero_token": token}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_link_works_once(site: Site) -> None:
    link = site.link()
    assert site.call("GET", link)[0] == 200
    assert site.call("GET", link)[0] == 200, "looking at a link must not use it up"
    status, headers, _ = site.call("POST", link, origin=OWN)
    assert status == 200
    assert {"HttpOnly", "SameSite=Strict", "Max-Age=43200"} <= set(
        headers["set-cookie"].split("; ")
    )
    assert site.call("POST", link, origin=OWN)[0] == 401


def test_link_and_session_expire(site: Site) -> None:
    old, session = site.link(), site.log_in()
    site.clock.now += 61
    assert site.call("POST", old, origin=OWN)[0] == 401
    assert "secret" in site.call("GET", "/", **session)[2]
    site.clock.now += 12 * 3600
    assert site.call("GET", "/", **session)[0] == 401


def test_eleventh_try_is_locked_out_for_a_minute(site: Site) -> None:
    wrong = [f"/login/{secrets.token_urlsafe(32)}" for _ in range(11)]
    assert [site.call("POST", path, origin=OWN)[0] for path in wrong] == [401] * 10 + [429]
    good = site.link()
    assert site.call("POST", good, origin=OWN)[0] == 429
    site.clock.now += 60
    assert site.call("POST", site.link(), origin=OWN)[0] == 200


def test_cookie_alone_sees_nothing(site: Site) -> None:
    """Whoever listens on another port of this machine is sent the cookie, and can forge every other header."""
    session, other = site.log_in(), site.log_in()
    cookie = session["cookie"]
    for method in ("GET", "HEAD"):
        status, _, body = site.call(method, "/logs", cookie=cookie)
        assert (status, "secret" in body, session["x_farero_token"] in body) == (200, False, False)
    for token in ("", "made-up", other["x_farero_token"]):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            found = site.call(method, "/logs", cookie=cookie, origin=OWN, x_farero_token=token)
            assert (found[0], "secret" in found[2]) == (401, False)
        form = f"farero-token={token}".encode()
        assert site.call("POST", "/download", form, cookie=cookie, origin=OWN)[0] == 401
    assert site.call("GET", "/", x_farero_token=session["x_farero_token"])[0] == 401, "no cookie"


def test_form_with_the_token_asks_for_a_file(site: Site) -> None:
    session = site.log_in()
    form = f"farero-token={session['x_farero_token']}".encode()
    status, _, body = site.call("POST", "/download", form, cookie=session["cookie"], origin=OWN)
    assert (status, body[-10:]) == (200, "secret GET")
    long = b"x=" + b"y" * 10_000
    assert site.call("POST", "/download", long, cookie=session["cookie"], origin=OWN)[0] == 401


@pytest.mark.parametrize("path", ["/login/../../keys", "/login/", "/login/" + "A" * 42 + "/"])
def test_token_is_never_a_path(site: Site, path: str) -> None:
    assert site.call("POST", path, origin=OWN)[0] == 401


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "WS"])
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:4748", "127.0.0.1@evil", ""]
)
def test_other_hosts_are_refused(site: Site, method: str, host: str) -> None:
    status = site.call(method, "/", host=host, origin=f"http://{host}", **site.log_in())[0]
    assert status == (403 if method == "WS" else 421)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WS"])
@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://localhost:4747", "http://evil.example", "https://localhost:4748"],
)
def test_other_origins_are_refused(site: Site, method: str, origin: str | None) -> None:
    headers = site.log_in() | ({"origin": origin} if origin else {})
    assert site.call(method, "/_nicegui_ws/socket.io/", **headers)[0] == 403


def test_websocket_needs_a_session(site: Site) -> None:
    cookie = site.log_in()["cookie"]
    assert site.call("WS", "/_nicegui_ws/socket.io/", origin=OWN)[0] == 403
    assert site.call("WS", "/_nicegui_ws/socket.io/", origin=OWN, cookie=cookie)[0] == 101
    assert site.call("GET", "/_nicegui_ws/socket.io/", cookie=cookie)[0] == 403


def test_nothing_without_a_session(site: Site) -> None:
    for path in ("/", "/logs", "/download", "/_nicegui/x/static/nicegui.js", "/logout"):
        status, _, body = site.call("GET", path, cookie="sid=made-up")
        assert (status, "farero open" in body) == (401, True)


def test_logout_ends_the_session(site: Site) -> None:
    session = site.log_in()
    assert site.call("GET", "/logout", **session)[0] == 200, "a GET has no effect"
    assert site.call("POST", "/logout", origin=OWN, **session)[0] == 303
    assert site.call("GET", "/", **session)[0] == 401


def test_scripts_run_by_nonce_alone(site: Site) -> None:
    session = site.log_in()
    _, headers, body = site.call("GET", "/", **session)
    nonce = body.split('nonce="')[1].split('"')[0]
    rules = headers["content-security-policy"]
    assert f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval';" in rules
    assert "default-src 'none'" in rules
    assert "frame-ancestors 'none'" in rules
    assert headers["content-length"] == str(len(body))
    assert site.call("GET", "/", **session)[2] != body, "a nonce is used once"


def test_page_takes_the_nonce_of_the_document_that_will_hold_it(site: Site) -> None:
    session = site.log_in()
    _, headers, opening = site.call("GET", "/", cookie=session["cookie"])
    nonce = opening.split('nonce="')[1].split('"')[0]
    assert f"'nonce-{nonce}'" in headers["content-security-policy"]
    body = site.call("GET", "/", x_farero_nonce=nonce, **session)[2]
    assert f'<script nonce="{nonce}">1' in body
    hostile = '"><script>alert(1)</script>'
    assert "alert" not in site.call("GET", "/", x_farero_nonce=hostile, **session)[2]


def test_catalogues_are_alike() -> None:
    assert EN.keys() == ES.keys()
    assert all([*EN.values(), *ES.values()])
    assert catalogue("", "fr, es-MX;q=0.8") is ES
    assert catalogue("en", "es") is EN
    assert catalogue("", "") is EN
