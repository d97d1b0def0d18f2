"""`python -m farero.console`: serve the console on a socket that is handed over, or on a port of its own.

The supervisor holds the port and starts this process at the first connection, with the listening socket as
descriptor 3, so that a console nobody looks at costs no memory.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from farero.base.config import read_settings
from farero.base.sparing import forget, without
from farero.console.waking import gate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_MISSING = (
    b"<!doctype html><meta charset=utf-8><title>Farero</title>"
    b"<h1>The console is not installed</h1><p>Run <code>pip install 'farero[console]'</code>, then reload.</p>"
)


#: What uvicorn imports to start again when a file changes, and FastAPI to refuse models of pydantic's first version.
_RELOADING = ("watchfiles",)
_OLD_MODELS = ("pydantic.v1",)


async def missing(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Tell how to install the console; an ASGI application."""
    if scope["type"] != "http":
        await receive()
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        return
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": _MISSING})


def _end(_number: int, _frame: object) -> None:
    """End well, so that the supervisor waits for the next visitor."""
    sys.exit(0)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m farero.console", description=__doc__)
    parser.add_argument("--fd", type=int, default=3, help="descriptor of a listening socket")
    parser.add_argument("--port", type=int, help="listen on this port of 127.0.0.1 instead; 0: any")
    chosen = parser.parse_args()
    if chosen.port is None:
        listening = socket.socket(fileno=chosen.fd)
    else:
        listening = socket.create_server(("127.0.0.1", chosen.port))
    forget(_OLD_MODELS)
    with without(_RELOADING):
        import uvicorn  # here, so that importing this module does nothing
    settings = read_settings()
    port = int(listening.getsockname()[1])
    app: Any = gate(settings, port)
    config = uvicorn.Config(
        app or missing, lifespan="on" if app else "off", log_level="warning", access_log=False, server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=2,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, _end)
    print(f"console: http://127.0.0.1:{port}", flush=True)  # noqa: T201 - for whoever starts it by hand
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
