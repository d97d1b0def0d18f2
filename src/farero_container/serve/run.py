"""`python -m farero_container serve`: load the model, listen, answer, drain.

Listens on the Unix socket FARERO_SOCKET, or on port SAGEMAKER_BIND_TO_PORT (8080). The model runs in one thread, so
that user code meets no surprise (`batching.py`). /ping answers 200 once the model is loaded, also while it is busy.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from farero_container import contract
from farero_container.contract import StartUpError, write_failure
from farero_container.serve.batching import ModelCaller
from farero_container.serve.connections import Connections
from farero_container.serve.messages import INVOCATIONS, Response
from farero_container.serve.watchdog import TIMEOUT_S, TIMEOUT_VARIABLE, Watchdog

if TYPE_CHECKING:
    from farero_container.serve.batching import Served
    from farero_container.serve.messages import Alike, Reply, Request

#: As long as one invocation may take.
DRAIN_S = 60.0


def load(folder: Path) -> Served:
    """Load the model that the folder and the image's framework call for. Raises StartUpError."""
    from farero_container.serve.handler import Defaults, UserModel
    from farero_container.serve.script import find_script

    if not folder.is_dir():
        raise StartUpError("E-NO-MODEL-FILE", f"there is no model in {folder.name}/")
    script = find_script(folder)
    name = contract.framework()
    if name == "xgboost" and script is None:
        from farero_container.serve.frameworks.xgboost import XGBoostServer

        return XGBoostServer(folder, contract.framework_version())
    if name == "pytorch" and script is None and os.environ.get(contract.ACCELERATE):
        from farero_container.serve.frameworks import pytorch_accelerated

        return UserModel(folder, script, pytorch_accelerated.defaults(folder))
    if name == "pytorch":
        from farero_container.serve.frameworks.pytorch import PyTorch

        return UserModel(folder, script, PyTorch())
    if name == "sklearn":
        from farero_container.serve.frameworks.sklearn import Sklearn

        return UserModel(folder, script, Sklearn())
    if name == "xgboost":
        from farero_container.serve.frameworks.xgboost_script import XGBoostScript

        return UserModel(folder, script, XGBoostScript())
    return UserModel(folder, script, Defaults())


class Application:
    """Routes of the container contract over one model."""

    def __init__(self, model: Served, watchdog: Watchdog | None = None) -> None:
        self._caller = ModelCaller(model, watchdog)
        limit = whole_number("SAGEMAKER_MAX_PAYLOAD_IN_MB", 6)
        told = {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD"}
        self._parameters = json.dumps({**told, "MaxPayloadInMB": limit}).encode()

    def take(self, request: Request, reply: Reply) -> None:
        """Answer one request: the model's in its thread, all others at once, whatever the model does."""
        if request.path == INVOCATIONS and request.method == "POST":
            self._caller.take(request, reply)
        else:
            reply(self._other(request))

    def take_alike(self, alike: Alike) -> None:
        """Have the model answer invocations."""
        self._caller.take_alike(alike)

    def settle(self) -> None:
        """Let the model see what was taken."""
        self._caller.settle()

    def _other(self, request: Request) -> Response:
        if request.path == "/ping":
            return Response(200, {"content-type": "application/json"}, b"\n")
        if request.path == "/execution-parameters" and request.method == "GET":
            return Response(200, {"content-type": "application/json"}, self._parameters)
        if request.path != INVOCATIONS:
            return Response(
                404, {"content-type": "text/plain"}, b"only /ping and /invocations are here\n"
            )
        return Response(405, {"allow": "POST", "content-type": "text/plain"}, b"POST it\n")


async def serve(model: Served, started: float) -> None:
    """Listen until SIGTERM, then finish what is being answered."""
    limit = max(
        whole_number("MAX_CONTENT_LENGTH", contract.MAX_BODY_BYTES),
        whole_number("SAGEMAKER_MAX_PAYLOAD_IN_MB", 0) << 20,
    )
    watchdog = Watchdog(whole_number(TIMEOUT_VARIABLE, TIMEOUT_S))
    connections = Connections(Application(model, watchdog), max_body_bytes=limit)
    watchdog.watch()
    loop = asyncio.get_running_loop()
    path = os.environ.get("FARERO_SOCKET")
    if path:
        _remove(path)
        before = os.umask(0o177)  # the socket is its owner's alone
        server = await loop.create_unix_server(connections.protocol, path)
        os.umask(before)
    else:
        port = whole_number("SAGEMAKER_BIND_TO_PORT", contract.DEFAULT_PORT)
        server = await loop.create_server(connections.protocol, "127.0.0.1", port)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if not path:
        print(f"farero: listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    print(
        f"farero: serving {model.describe()} after {time.monotonic() - started:.2f} s", flush=True
    )
    gc.freeze()  # the model stays: no request shall wait until it has been looked through
    tell_ready()
    await stop.wait()
    server.close()
    await connections.drain(DRAIN_S)
    if path:
        _remove(path)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        Path(path).unlink()


def whole_number(name: str, default: int) -> int:
    """Return the number in an environment variable; what is no number is said in the log and not used."""
    given = os.environ.get(name, "")
    if given.strip().isdecimal():
        return int(given)
    if given:
        print(f"farero: warning: {name}={given!r} is not a number; {default} is used", flush=True)
    return default


def tell_ready() -> None:
    """Send the platform the line it waits for; not when too many wait to be heard, as it looks by itself, too."""
    path, message = (
        os.environ.get("FARERO_NOTIFY_SOCKET"),
        os.environ.get("FARERO_NOTIFY_MESSAGE", ""),
    )
    if path:
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
            contextlib.suppress(OSError),
        ):
            sender.setblocking(False)
            sender.sendto(message.encode(), path)


def main() -> int:
    """Load and serve; a start that fails is told in output/failure.json."""
    started = time.monotonic()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        model = load(contract.model_dir())
        model.warm_up()
    except StartUpError as error:
        write_failure(error.cause, error.message, file=error.file, line=error.line, fix=error.fix)
        return contract.FAILED
    try:
        import uvloop  # quicker where it is there

        uvloop.run(serve(model, started))
    except ImportError:
        asyncio.run(serve(model, started))
    return contract.OK
