"""The console's gate: every request and websocket passes here before any page sees it.

In this order: Host (against DNS rebinding), Origin of everything but GET and HEAD (against forged requests),
login, session's cookie, session's token. Browsers send cookies to every port of a host, so whoever listens on another
port may learn the cookie; the token is known to the console's own pages alone. NiceGUI's scripts, which are no secret,
and its websocket, which takes the random id of a page got with the token, need no token.
HTML leaves with a nonce on each script and a policy that lets nothing from outside in.
"""

from __future__ import annotations

import re
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from farero.console import opening
from farero.console.sessions import SESSION_S, LockedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from farero.console.sessions import Sessions

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Message, Receive, Send], Awaitable[None]]

_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
_SCRIPT = re.compile(rb"<script(?=[\s>])")
_HEAD = re.compile(rb"<head>")
_NONCE = re.compile(r"[A-Za-z0-9_-]{24}")
_SOCKET = "/_nicegui_ws/"
_SCRIPTS = "/_nicegui/"
_DOWNLOAD = "/download"
_MOST_BYTES = 4096
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


def policy(nonce: str) -> str:
    """Return the content security policy; docs/console.md tells why each part is as it is."""
    return (
        "default-src 'none'; "
        f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


class Gate:
    """ASGI application around the console's own."""

    def __init__(self, app: App, sessions: Sessions, cookie: str, preload: str = "") -> None:
        """cookie: name of the session's cookie; it names the port, since cookies ignore ports.

        preload: HTML that lets a browser fetch scripts before the first page is ready.
        """
        self.app = app
        self._sessions = sessions
        self._cookie = cookie
        self._preload = preload

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = _read(scope)
        refusal = self._refuse(scope, headers)
        if refusal is not None:
            await _refused(scope, send, *refusal)
            return
        if scope["type"] == "http" and await self._log_in_or_out(scope, headers, send):
            return
        cookie = self._session(headers)
        if not self._sessions.knows(cookie):
            await _refused(scope, send, 401, "Log in", opening.NEEDS_LINK)
            return
        kept = [
            (k, v) for k, v in scope["headers"] if not k.startswith((b"x-forwarded", b"x-farero"))
        ]
        scope = {**scope, "headers": kept}
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
        elif scope["path"].startswith(_SCRIPTS):
            await self.app(scope, receive, _Hardened(send).send)
        else:
            await self._answer(scope, headers, cookie, receive, send)

    async def _answer(
        self,
        scope: Message,
        headers: dict[str, list[str]],
        cookie: str,
        receive: Receive,
        send: Send,
    ) -> None:
        token = "".join(headers.get(opening.TOKEN_HEADER, []))
        if scope["method"] == "POST" and scope["path"] == _DOWNLOAD:
            token = await _token_of_form(receive)
            scope = {**scope, "method": "GET"}
        elif not token and scope["method"] in ("GET", "HEAD"):
            await _send_page(send, 200, opening.opening(self._preload))
            return
        if not self._sessions.trusts(cookie, token):
            await _refused(scope, send, 401, "Log in", opening.NEEDS_LINK)
            return
        nonce = "".join(headers.get(opening.NONCE_HEADER, []))
        await self.app(scope, receive, _Hardened(send, nonce, opening.FILES).send)

    def _refuse(self, scope: Message, headers: dict[str, list[str]]) -> tuple[int, str, str] | None:
        hosts = headers.get("host", [])
        if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
            return 421, "Wrong host", "<p>The console answers at localhost only.</p>"
        websocket = scope["type"] == "websocket"
        if (websocket or scope["method"] not in ("GET", "HEAD")) and headers.get("origin") != [
            f"http://{hosts[0]}"
        ]:
            return 403, "Refused", "<p>The request came from another page.</p>"
        if not websocket and scope["path"].startswith(_SOCKET):
            return 403, "Refused", "<p>Only a websocket is served here.</p>"
        return None

    async def _log_in_or_out(
        self, scope: Message, headers: dict[str, list[str]], send: Send
    ) -> bool:
        method, path = scope["method"], scope["path"]
        if method == "POST" and path == "/logout":
            self._sessions.log_out(self._session(headers))
            await _redirect(
                send, "/", f"{self._cookie}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
            )
            return True
        if not path.startswith("/login/"):
            return False
        if method == "GET":
            await _send_page(send, 200, opening.page("Farero", opening.LOGIN))
        elif method == "POST":
            try:
                session = self._sessions.log_in(path.removeprefix("/login/"))
            except LockedError:
                await _send_page(send, 429, opening.page("Wait a minute", opening.LOCKED))
                return True
            if session is None:
                await _send_page(send, 401, opening.page("This link is used up", opening.USED_UP))
            else:
                cookie = f"{self._cookie}={session.cookie}; Path=/; Max-Age={SESSION_S}; HttpOnly; SameSite=Strict"
                await _send_page(send, 200, opening.opening(self._preload, session.token), cookie)
        else:
            await _send_page(send, 405, opening.page("Refused", ""))
        return True

    def _session(self, headers: dict[str, list[str]]) -> str:
        try:
            found = SimpleCookie("; ".join(headers.get("cookie", []))).get(self._cookie)
        except CookieError:
            return ""
        return found.value if found else ""


class _Hardened:
    """Adds headers to an answer, and to HTML the nonces."""

    def __init__(self, send: Send, nonce: str = "", head: str = "") -> None:
        """nonce: of the document that will hold the HTML, if it has one already; head: HTML for its head."""
        self._send = send
        self._start: Message = {}
        self._parts: list[bytes] | None = None
        self._nonce = nonce if _NONCE.fullmatch(nonce) else secrets.token_urlsafe(18)
        self._head = head

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            allowed = (b"content-security-policy", policy(self._nonce).encode())
            headers = [*message["headers"], *_HEADERS, allowed]
            self._start = {**message, "headers": headers}
            kind = dict(message["headers"]).get(b"content-type", b"")
            if kind.startswith(b"text/html"):
                self._parts = []
                return
            await self._send(self._start)
        elif self._parts is None:
            await self._send(message)
        else:
            self._parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = _HEAD.sub(b"<head>" + self._head.encode(), b"".join(self._parts), count=1)
            body = _SCRIPT.sub(b'<script nonce="' + self._nonce.encode() + b'"', body)
            kept = [(k, v) for k, v in self._start["headers"] if k != b"content-length"]
            kept.append((b"content-length", str(len(body)).encode()))
            await self._send({**self._start, "headers": kept})
            await self._send({"type": "http.response.body", "body": body})


async def _token_of_form(receive: Receive) -> str:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
        if len(body) > _MOST_BYTES:
            return ""
    found = parse_qs(body.decode("latin-1")).get(opening.TOKEN_FIELD, [""])
    return found[0]


async def _refused(scope: Message, send: Send, status: int, title: str, body: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await _send_page(send, status, opening.page(title, body))


async def _send_page(send: Send, status: int, text: str, cookie: str = "") -> None:
    hardened = _Hardened(send)
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
    if cookie:
        headers.append((b"set-cookie", cookie.encode()))
    await hardened.send({"type": "http.response.start", "status": status, "headers": headers})
    await hardened.send({"type": "http.response.body", "body": text.encode()})


async def _redirect(send: Send, where: str, cookie: str) -> None:
    headers = [(b"location", where.encode()), (b"set-cookie", cookie.encode()), *_HEADERS]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _read(scope: Message) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found
