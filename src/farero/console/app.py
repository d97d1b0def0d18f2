"""Put the console together: NiceGUI's application, which answers behind the gate."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Generator

    from fastapi import FastAPI

    from farero.base.config import Settings

#: What the websocket's packages import for clients of websockets, which the console is not: 0.2 s and 12 MB.
_UNUSED = ("aiohttp", "requests", "websocket")
#: Services that the first page asks.
_FIRST = ("sagemaker", "cloudwatch")


def build(settings: Settings) -> FastAPI:
    """Import NiceGUI, which takes a second, and return the application."""
    os.environ["NICEGUI_STORAGE_PATH"] = str(settings.run_dir / "console")  # read at import
    with _without(_UNUSED):
        import socketio  # noqa: F401 - before NiceGUI imports it  # pyright: ignore[reportUnusedImport, reportMissingTypeStubs]
    from fastapi import FastAPI
    from nicegui import app as nicegui_app
    from nicegui import ui

    from farero.console import pages
    from farero.console.data import Cloud

    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    cloud = Cloud(settings)
    pages.register(cloud, outer)
    nicegui_app.config.socket_io_js_transports = ["websocket"]
    cast("Any", ui).run_with(
        outer, title="Farero", favicon="🔦", dark=None, tailwind=False,
        gzip_middleware_factory=None, show_welcome_message=False, reconnect_timeout=10,
    )  # fmt: skip
    threading.Thread(target=cloud.warm, args=_FIRST, daemon=True).start()
    return outer


@contextmanager
def _without(names: tuple[str, ...]) -> Generator[None]:
    """Have packages that are imported meanwhile find that `names` are not installed, as they provide for."""
    hidden = [name for name in names if name not in sys.modules]
    cast("Any", sys.modules).update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
