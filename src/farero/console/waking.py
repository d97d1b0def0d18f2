"""The console while NiceGUI is being imported, which takes a second: requests wait, NiceGUI's scripts do not.

The browser thus has scripts and styles ready when the first page comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import mimetypes
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farero.console import app
from farero.console.security import Gate
from farero.console.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from farero.base.config import Settings
    from farero.console.security import App, Message, Receive, Send

log = logging.getLogger(__name__)

#: What every page of NiceGUI needs, and how it asks for it.
_SCRIPTS = ("socket.io.min.js", "quasar.umd.prod.js", "nicegui.js")
_MODULES = ("vue.esm-browser.prod.js", "dompurify.mjs")
_STYLES = (
    "fonts.css", "quasar.unimportant.prod.css", "quasar.important.prod.css", "nicegui.css",
)  # fmt: skip
_KEPT = b"public, max-age=31536000, immutable"


class Waking:
    """ASGI application that becomes another one as soon as that is made."""

    def __init__(self, make: Callable[[], Awaitable[Any]], folder: Path, address: str) -> None:
        """make: returns the application; folder: of files served at `address`."""
        self.app: App | None = None
        self._make = make
        self._ready = asyncio.Event()
        self._files = {
            f"{address}/{name}": folder / name
            for name in (*_SCRIPTS, *_MODULES, *_STYLES)
            if (folder / name).is_file()
        }
        self._stack = contextlib.AsyncExitStack()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer as soon as possible."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        file = self._files.get(scope["path"]) if self.app is None else None
        if file and scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            await _send_file(send, file)
            return
        await self._ready.wait()
        assert self.app is not None
        await self.app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        waking = asyncio.create_task(self._wake())
        await receive()
        waking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waking
        await self._stack.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _wake(self) -> None:
        try:
            app = await self._make()
            await self._stack.enter_async_context(app.router.lifespan_context(app))
        except Exception:
            log.exception("the console cannot start")
            raise SystemExit(1) from None
        self.app = app
        self._ready.set()


def gate(settings: Settings, port: int) -> Gate | None:
    """Return the console for `port`, or None where NiceGUI is not installed; it answers before NiceGUI is imported."""
    found = importlib.util.find_spec("nicegui")
    if found is None or found.origin is None:
        return None

    folder = Path(found.origin).parent / "static"
    address = f"/_nicegui/{version('nicegui')}/static"
    sessions = Sessions(settings.run_dir / "console-logins")
    waking = Waking(partial(app.make, settings), folder, address)
    return Gate(waking, sessions, f"farero_console_{port}", preload(address))


def preload(address: str) -> str:
    """Return HTML by which a browser fetches what every page needs."""
    return "".join(
        f"<link rel={kind} href='{address}/{name}'>"
        for kind, names in (
            ("modulepreload", _MODULES),
            ("preload as=script", _SCRIPTS),
            ("preload as=style", _STYLES),
        )
        for name in names
    )


async def _send_file(send: Send, path: Path) -> None:
    kind = mimetypes.guess_type(path.name)[0] or "text/javascript"
    body = await asyncio.to_thread(path.read_bytes)
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", _KEPT),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
