"""The two programs that the supervisor runs, as forks of itself: a gateway and the worker.

`python -m farero.processes gateway --fd N` and `… worker` run them by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import importlib
import logging
import os
import signal
import socket
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, cast

from uvicorn.config import Config
from uvicorn.server import Server

from farero.app.core import system_app
from farero.base import logs
from farero.base.config import read_settings
from farero.endpoints.waking import LOOK_EVERY_S
from farero.gateway.connections import LimitedConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from farero.app.core import App
    from farero.app.gateway import GatewayApp
    from farero.base.config import Settings

log = logging.getLogger(__name__)

DRAIN_S = 9
#: Fallback for what normally arrives by a stamp: a change of routes by another host.
REFRESH_EVERY_S = 1.0
#: <malloc.h>: what glibc calls the number of its arenas.
_M_ARENA_MAX = -8
#: What gateways and the worker import late, by name; see `preload`.
LATE = ("sqlalchemy.dialects.sqlite", "uvicorn.lifespan.off", "awscrt.checksums", "uvloop")
#: A worker that has moved many captured requests keeps megabytes that it does not need.
GIVE_BACK_EVERY_S = 5.0
#: New objects after which the gateway looks for garbage: requests leave next to none.
LOOK_FOR_GARBAGE_AFTER = 10_000


def notify_ready() -> None:
    """Tell the supervisor that this process answers, as sd_notify(3) does."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"READY=1", path)


class GatewayServer(Server):
    """uvicorn, telling the supervisor when it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started:
            notify_ready()


async def serve_gateway(app: App, listening: socket.socket) -> None:
    """Answer requests on `listening` until SIGTERM, then drain."""
    from farero.app.gateway import GatewayApp  # each program imports its own half: start-up time

    gateway = GatewayApp(app)
    config = Config(
        gateway.asgi,
        loop="none",
        http=cast("type[LimitedConnection]", partial(LimitedConnection, gateway.fast_path)),
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_S,
    )
    # uvicorn raises its signal once more when it has drained; what follows it here is still to be done.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    gc.freeze()  # what is there now stays: nobody shall wait until it has been looked through
    gc.set_threshold(LOOK_FOR_GARBAGE_AFTER)
    upkeep = asyncio.create_task(keep_up(gateway))
    waking = asyncio.create_task(watch_serverless(gateway))
    try:
        await GatewayServer(config).serve(sockets=[listening])
    finally:
        waking.cancel()
        upkeep.cancel()
        await asyncio.gather(waking, upkeep, return_exceptions=True)
        gateway.close()


async def watch_serverless(gateway: GatewayApp) -> None:
    """Ten times a second: see whether requests of serverless endpoints wait for one another."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            gateway.look_at_serverless()
        except Exception:
            log.exception("serverless endpoints could not be looked after")


async def keep_up(gateway: GatewayApp) -> None:
    """Once a second: rotate the capture spool, look for changed routes, store metrics."""
    storing: asyncio.Task[None] | None = None
    while True:
        try:
            if storing is None or storing.done():  # a locked database holds up nothing but metrics
                storing = asyncio.create_task(asyncio.to_thread(gateway.invocations.flush))
            await asyncio.to_thread(gateway.router.refresh)
            gateway.forget_gone()
            if gateway.spool.retire_old():
                await asyncio.to_thread(gateway.spool.close_retired)
        except Exception:
            log.exception("upkeep failed")
        await asyncio.sleep(REFRESH_EVERY_S)


def gateway_main(settings: Settings, fd: int) -> int:
    """Run one gateway on the listening socket that the supervisor passed on."""
    listening = socket.socket(fileno=fd)
    listening.setblocking(False)
    app = _app(settings)
    try:
        run_loop(serve_gateway(app, listening))
    finally:
        app.close()
    return 0


def _app(settings: Settings) -> App:
    """Return the app; a new folder is prepared in a fork, as to make all tables touches more than all that follows."""
    if not settings.keys_dir.exists():
        pid = os.fork()
        if pid == 0:
            try:
                system_app(settings).close()
            finally:
                os._exit(0)  # what is wrong is said below
        os.waitpid(pid, 0)
    return system_app(settings)


def run_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where it is installed (`farero[fast]`), else on asyncio's own loop."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


def worker_main(settings: Settings) -> int:
    """Run the worker until SIGTERM."""
    from farero.app.worker import WorkerApp

    app = _app(settings)
    worker = WorkerApp(app)
    ear = worker.wake_socket()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ear.stop())
    worker.resume()
    worker.ticker.start()
    notify_ready()
    try:
        worker.worker.run_forever(giving_back(ear.wait))
    finally:
        worker.ticker.stop()
        worker.close()
        ear.close()
        app.close()
    return 0


def preload() -> None:
    """Import what both programs need; no threads, no descriptors, nothing that a fork must not share."""
    importlib.import_module("farero.app.gateway")
    importlib.import_module("farero.app.worker")
    for name in LATE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    give_back()
    gc.freeze()  # or a collection in a fork would write to, and so copy, all of it


def share_one_heap() -> None:
    """Let all threads allocate from one heap: glibc gives each its own, which keeps what it once took (0.4 MB)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give the system back what is free in the heap."""
    with contextlib.suppress(AttributeError, OSError):  # glibc's own
        ctypes.CDLL(None).malloc_trim(0)


def giving_back(wait: Callable[[float], bool]) -> Callable[[float], bool]:
    """Return a `wait` that first gives back what is free, now and then."""
    last = time.monotonic()

    def wait_with_less(seconds: float) -> bool:
        nonlocal last
        if time.monotonic() - last >= GIVE_BACK_EVERY_S:
            give_back()
            last = time.monotonic()
        return wait(seconds)

    return wait_with_less


def main(arguments: Sequence[str]) -> int:
    """Run the named program."""
    settings = read_settings()
    share_one_heap()
    logs.configure(settings.log_level)
    if arguments[0] == "gateway":
        return gateway_main(settings, int(arguments[2]))
    return worker_main(settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
