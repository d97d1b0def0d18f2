"""Put the console together: NiceGUI's application behind the gate."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from farero.base.config import Settings
    from farero.console.security import Gate


def build(settings: Settings, port: int) -> Gate:
    """Return the ASGI application; port: where the console is reached."""
    os.environ["NICEGUI_STORAGE_PATH"] = str(settings.run_dir / "console")  # read at import
    from fastapi import FastAPI
    from nicegui import app as nicegui_app
    from nicegui import ui

    from farero.console import pages
    from farero.console.data import Cloud
    from farero.console.security import Gate
    from farero.console.sessions import Sessions

    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    pages.register(Cloud(settings), outer)
    nicegui_app.config.socket_io_js_transports = ["websocket"]
    cast("Any", ui).run_with(
        outer, title="Farero", favicon="🔦", dark=None, tailwind=False,
        gzip_middleware_factory=None, show_welcome_message=False, reconnect_timeout=10,
    )  # fmt: skip
    sessions = Sessions(settings.run_dir / "console-logins")
    return Gate(outer, sessions, f"farero_console_{port}")
