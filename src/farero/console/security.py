"""The console's gate: every request and websocket passes here before any page sees it.

In this order: Host (against DNS rebinding), Origin of everything but GET and HEAD (against forged requests),
login, session. HTML leaves with a nonce on each script and a policy that lets nothing from outside in.
"""

from __future__ import annotations

import html
import re
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any

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
_SOCKET = "/_nicegui_ws/"
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

    def __init__(self, app: App, sessions: Sessions, cookie: str) -> None:
        """cookie: name of the session's cookie; it names the port, since cookies ignore ports."""
        self.app = app
        self._sessions = sessions
        self._cookie = cookie

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
        if not self._sessions.knows(self._session(headers)):
            await _refused(scope, send, 401, "Log in", "Run <code>farero open</code> for a link.")
            return
        kept = [(k, v) for k, v in scope["headers"] if not k.startswith(b"x-forwarded")]
        scope = {**scope, "headers": kept}
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, _Hardened(send).send)

    def _refuse(self, scope: Message, headers: dict[str, list[str]]) -> tuple[int, str, str] | None:
        hosts = headers.get("host", [])
        if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
            return 421, "Wrong host", "The console answers at localhost only."
        websocket = scope["type"] == "websocket"
        if (websocket or scope["method"] not in ("GET", "HEAD")) and headers.get("origin") != [
            f"http://{hosts[0]}"
        ]:
            return 403, "Refused", "The request came from another page."
        if not websocket and scope["path"].startswith(_SOCKET):
            return 403, "Refused", "Only a websocket is served here."
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
            await _page(send, 200, "Farero", _LOGIN)
        elif method == "POST":
            try:
                session = self._sessions.log_in(path.removeprefix("/login/"))
            except LockedError:
                await _page(send, 429, "Wait a minute", "<p>Too many wrong links.</p>")
                return True
            if session is None:
                text = "<p>Links work once, for 60 seconds. Run <code>farero open</code> again.</p>"
                await _page(send, 401, "This link is used up", text)
            else:
                cookie = f"{self._cookie}={session}; Path=/; Max-Age={SESSION_S}; HttpOnly; SameSite=Strict"
                await _redirect(send, "/", cookie)
        else:
            await _page(send, 405, "Refused", "")
        return True

    def _session(self, headers: dict[str, list[str]]) -> str:
        try:
            found = SimpleCookie("; ".join(headers.get("cookie", []))).get(self._cookie)
        except CookieError:
            return ""
        return found.value if found else ""


class _Hardened:
    """Adds headers to an answer, and to HTML the nonces."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message = {}
        self._parts: list[bytes] | None = None
        self._nonce = secrets.token_urlsafe(18)

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
            mark = b'<script nonce="' + self._nonce.encode() + b'"'
            body = _SCRIPT.sub(mark, b"".join(self._parts))
            kept = [(k, v) for k, v in self._start["headers"] if k != b"content-length"]
            kept.append((b"content-length", str(len(body)).encode()))
            await self._send({**self._start, "headers": kept})
            await self._send({"type": "http.response.body", "body": body})


_STYLE = (
    "<style>:root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;max-width:30rem;"
    "margin:18vh auto;padding:0 1.5rem}code{background:#8883;padding:.1em .35em;border-radius:.3em}"
    "button{font:inherit;padding:.5em 1.2em}</style>"
)
_LOGIN = (
    "<form method=post><button>Open the console</button></form>"
    "<script>document.forms[0].submit()</script>"
)


async def _refused(scope: Message, send: Send, status: int, title: str, text: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await _page(send, status, title, f"<p>{text}</p>")


async def _page(send: Send, status: int, title: str, body: str) -> None:
    text = (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
        f"content='width=device-width'><title>{html.escape(title)}</title>{_STYLE}"
        f"<main><h1>{html.escape(title)}</h1>{body}</main></html>"
    )
    hardened = _Hardened(send)
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
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
