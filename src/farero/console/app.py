"""Put the console together: NiceGUI's application, which answers behind the gate.

The first visitor waits for it: what the home page asks the gateway needs no NiceGUI, so both are begun at once.
"""

from __future__ import annotations

import asyncio
import gc
import os
from typing import TYPE_CHECKING, Any, cast

from farero.base.sparing import without

if TYPE_CHECKING:
    from fastapi import FastAPI

    from farero.base.config import Settings
    from farero.console.glances import Home

#: What the websocket's packages import for clients of websockets, which the console is not: 0.2 s and 12 MB.
_CLIENTS = ("aiohttp", "requests", "websocket")
#: What botocore imports for signatures of several regions, where it is installed.
_CRT = ("awscrt",)


async def make(settings: Settings) -> FastAPI:
    """Import all that is needed, which takes a second, ask what the home page shows, and return the application."""
    loading = asyncio.create_task(asyncio.to_thread(_load, settings))
    first = await asyncio.to_thread(_begin, settings)
    reading = asyncio.ensure_future(
        first.read()
    )  # kept for the first page, which asks again if this fails
    reading.add_done_callback(lambda read: read.cancelled() or read.exception())
    await loading
    return await asyncio.to_thread(_build, first)


def _begin(settings: Settings) -> Home:
    with without(_CRT):
        from farero.console.glances import home
    return home(settings)


def _load(settings: Settings) -> None:
    os.environ["NICEGUI_STORAGE_PATH"] = str(settings.run_dir / "console")  # read at import
    gc.disable()  # nothing of what is imported is ever freed: looking for garbage is a tenth of the time
    try:
        with without(_CLIENTS):
            import socketio  # noqa: F401 - before NiceGUI imports it  # pyright: ignore[reportUnusedImport, reportMissingTypeStubs]
        import nicegui  # noqa: F401  # pyright: ignore[reportUnusedImport]

        with without(_CRT):
            import farero.console.pages  # noqa: F401  # pyright: ignore[reportUnusedImport]
    finally:
        gc.freeze()
        gc.enable()


def _build(first: Home) -> FastAPI:
    from fastapi import FastAPI
    from nicegui import app as nicegui_app
    from nicegui import ui

    from farero.console import pages

    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    pages.register(first, outer)
    nicegui_app.config.socket_io_js_transports = ["websocket"]
    cast("Any", ui).run_with(
        outer, title="Farero", favicon="🔦", dark=None, tailwind=False,
        gzip_middleware_factory=None, show_welcome_message=False, reconnect_timeout=10,
    )  # fmt: skip
    return outer
