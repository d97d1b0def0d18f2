"""Put the console together: NiceGUI's application, which answers behind the gate."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, cast

from farero.console.sparing import without

if TYPE_CHECKING:
    from fastapi import FastAPI

    from farero.base.config import Settings

#: What the websocket's packages import for clients of websockets, which the console is not: 0.2 s and 12 MB.
_CLIENTS = ("aiohttp", "requests", "websocket")
#: What botocore imports for signatures of several regions, where it is installed.
_CRT = ("awscrt",)
#: Services that the first page asks.
_FIRST = ("sagemaker", "cloudwatch")


def build(settings: Settings) -> FastAPI:
    """Import NiceGUI, which takes a second, and return the application."""
    os.environ["NICEGUI_STORAGE_PATH"] = str(settings.run_dir / "console")  # read at import
    with without(_CLIENTS):
        import socketio  # noqa: F401 - before NiceGUI imports it  # pyright: ignore[reportUnusedImport, reportMissingTypeStubs]
    with without(_CRT):
        import botocore.session  # noqa: F401 - before pages import it  # pyright: ignore[reportUnusedImport]
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
