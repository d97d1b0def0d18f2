"""`python -m farero_container serve`: load the model, listen, answer, drain.

Listens on the Unix socket FARERO_SOCKET, or on port SAGEMAKER_BIND_TO_PORT (8080). The model runs in one thread, so
that user code meets no surprise; requests wait for it in order. /ping answers 200 once the model is loaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from farero_container import contract
from farero_container.contract import StartUpError, write_failure
from farero_container.serve.http import HEAD_LIMIT, Connections, Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

#: As long as one invocation may take.
DRAIN_S = 60.0


class Served(Protocol):
    """A loaded model."""

    def describe(self) -> str:
        """Say what is served."""
        ...

    def warm_up(self) -> None:
        """Predict once."""
        ...

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> Response:
        """Answer one request; called by one thread at a time."""
        ...


def load(folder: Path) -> Served:
    """Load the model that the folder and the image's framework call for. Raises StartUpError."""
    from farero_container.serve.handler import Defaults, UserModel, find_script

    if not folder.is_dir():
        raise StartUpError("E-NO-MODEL-FILE", f"there is no model in {folder.name}/")
    script = find_script(folder)
    name = contract.framework()
    if name == "xgboost" and script is None:
        from farero_container.serve.frameworks.xgboost import XGBoostServer

        return XGBoostServer(folder, contract.framework_version())
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

    def __init__(self, model: Served) -> None:
        self._model = model
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        limit = whole_number("SAGEMAKER_MAX_PAYLOAD_IN_MB", 6)
        told = {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD"}
        self._parameters = json.dumps({**told, "MaxPayloadInMB": limit}).encode()

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.path == "/ping":
            return Response(200, {"content-type": "application/json"}, b"\n")
        if request.path == "/execution-parameters" and request.method == "GET":
            return Response(200, {"content-type": "application/json"}, self._parameters)
        if request.path != "/invocations":
            return Response(
                404, {"content-type": "text/plain"}, b"only /ping and /invocations are here\n"
            )
        if request.method != "POST":
            return Response(405, {"allow": "POST", "content-type": "text/plain"}, b"POST it\n")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._thread, self._model.invoke, request.body, request.headers
            )
        except Exception as error:  # noqa: BLE001 - one of three places: the container's request loop
            print(
                f"farero: internal error: {type(error).__name__}: {error}",
                file=sys.stderr,
                flush=True,
            )
            return Response(
                500, {"content-type": "text/plain"}, b"the model server met an error of its own\n"
            )


async def serve(model: Served, started: float) -> None:
    """Listen until SIGTERM, then finish what is being answered."""
    limit = max(
        whole_number("MAX_CONTENT_LENGTH", contract.MAX_BODY_BYTES),
        whole_number("SAGEMAKER_MAX_PAYLOAD_IN_MB", 0) << 20,
    )
    connections = Connections(Application(model).handle, max_body_bytes=limit)
    path = os.environ.get("FARERO_SOCKET")
    if path:
        _remove(path)
        before = os.umask(0o177)  # the socket is its owner's alone
        server = await asyncio.start_unix_server(connections.accept, path, limit=HEAD_LIMIT)
        os.umask(before)
    else:
        port = whole_number("SAGEMAKER_BIND_TO_PORT", contract.DEFAULT_PORT)
        server = await asyncio.start_server(connections.accept, "127.0.0.1", port, limit=HEAD_LIMIT)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if not path:
        print(f"farero: listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    print(
        f"farero: serving {model.describe()} after {time.monotonic() - started:.2f} s", flush=True
    )
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
    """Send the platform the line it waits for."""
    path, message = (
        os.environ.get("FARERO_NOTIFY_SOCKET"),
        os.environ.get("FARERO_NOTIFY_MESSAGE", ""),
    )
    if path:
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
            contextlib.suppress(OSError),
        ):
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
