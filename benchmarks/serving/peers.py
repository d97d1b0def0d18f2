"""The other servers: how each is configured, started, asked and read. None checks signatures, captures or routes.

Configurations are what their own docs advise for throughput on two cores, and among the ones tried the quickest.
Threads of numeric libraries are held to one, as with Farero. Access logs are off where they can be turned off.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.serving import places

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.serving.models import Work

APPS = Path(__file__).parent / "apps"
LOG4J = """<Configuration status="error"><Appenders><Console name="out"><PatternLayout pattern="%d %m%n"/></Console>
</Appenders><Loggers><Root level="error"><AppenderRef ref="out"/></Root></Loggers></Configuration>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How to start a server in its folder, and where it then answers to what."""

    argv: list[str]
    url: str
    body: bytes
    environ: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One other server."""

    #: As `--only` takes it.
    name: str
    #: As the table shows it.
    label: str
    #: Models it is asked to serve.
    works: tuple[str, ...]
    prepare: Callable[[Work, Path], Command]
    #: Numbers of its answer; None for who predicts nothing.
    read: Callable[[object], list[float]] | None


def flat(value: object) -> list[float]:
    """Return the numbers in nested lists."""
    if isinstance(value, list):
        return [number for item in value for number in flat(item)]
    return [float(value)]


def _hello(work: Work, folder: Path) -> Command:
    port = _free_port()
    argv = _uvicorn(places.python("fastapi"), "hello:app", port)
    return _command(argv, f"http://127.0.0.1:{port}/", work, folder)


def _fastapi(work: Work, folder: Path) -> Command:
    port = _free_port()
    python = places.python("fastapi", with_torch=work.is_torch)
    argv = [*_uvicorn(python, "fastapi_app:app", port), "--workers", "2"]
    path = "signals" if work.is_torch else "rows"
    return _command(argv, f"http://127.0.0.1:{port}/{path}", work, folder)


def _torchserve(work: Work, folder: Path) -> Command:
    if shutil.which("java") is None:
        raise places.Missing("TorchServe needs Java: apt-get install openjdk-17-jre-headless")
    python = places.python("torchserve", with_torch=work.is_torch)
    store = folder / "store"
    store.mkdir()
    subprocess.run(
        [str(python.parent / "torch-model-archiver"), "--model-name", "m", "--version", "1.0",
         "--handler", str(APPS / "torchserve_handler.py"), "--export-path", str(store)],
        check=True, capture_output=True,
    )  # fmt: skip
    batched = {"minWorkers": 2, "maxWorkers": 2, "batchSize": 16, "maxBatchDelay": 1}
    model = {
        "m": {"1.0": {"defaultVersion": True, "marName": "m.mar", "responseTimeout": 60, **batched}}
    }
    inference, management, metrics = (_free_port() for _ in range(3))
    lines = [
        f"inference_address=http://127.0.0.1:{inference}",
        f"management_address=http://127.0.0.1:{management}",
        f"metrics_address=http://127.0.0.1:{metrics}",
        "disable_token_authorization=true",
        "load_models=all",
        f"models={json.dumps(model)}",
    ]
    (folder / "config.properties").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "log4j2.xml").write_text(LOG4J, encoding="utf-8")
    argv = [str(python.parent / "torchserve"), "--start", "--foreground", "--ncs", "--disable-token-auth",
            "--model-store", "store", "--ts-config", "config.properties", "--log-config", "log4j2.xml"]  # fmt: skip
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    url = f"http://127.0.0.1:{inference}/predictions/m"
    return _command(argv, url, work, folder, PATH=path)


def _mlserver(work: Work, folder: Path) -> Command:
    python = places.python("mlserver", with_torch=work.is_torch)
    http, grpc, metrics = (_free_port() for _ in range(3))
    settings = {
        "host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics, "debug": False,
        "parallel_workers": 2 if work.is_torch else 0,
    }  # fmt: skip
    model: dict[str, object] = {"name": "m"}
    if work.is_torch:
        model["implementation"] = "mlserver_app.Network"
    else:
        model |= {
            "implementation": "mlserver_xgboost.XGBoostModel",
            "parameters": {"uri": str(work.file), "version": "1"},
            "max_batch_size": 64, "max_batch_time": 0.001,
        }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    rows = work.rows
    shape = [len(rows), len(rows[0]), *([len(rows[0][0])] if work.is_torch else [])]
    request: dict[str, object] = {
        "inputs": [{"name": "x", "shape": shape, "datatype": "FP32", "data": flat(rows)}]
    }
    return _command(
        [str(python.parent / "mlserver"), "start", str(folder)],
        f"http://127.0.0.1:{http}/v2/models/m/infer", work, folder, body=json.dumps(request).encode(),
    )  # fmt: skip


def _bentoml(work: Work, folder: Path) -> Command:
    port = _free_port()
    python = places.python("bentoml", with_torch=work.is_torch)
    service = "bentoml_app:Signals" if work.is_torch else "bentoml_app:Rows"
    argv = [str(python), "-m", "bentoml", "serve", service, "--host", "127.0.0.1", "--port", str(port),
            "--working-dir", str(APPS)]  # fmt: skip
    environ = {"BENTOML_HOME": str(folder / "home"), "BENTOML_DO_NOT_TRACK": "True"}
    return _command(argv, f"http://127.0.0.1:{port}/invocations", work, folder, **environ)


def _litserve(work: Work, folder: Path) -> Command:
    port = _free_port()
    argv = [str(places.python("litserve")), str(APPS / "litserve_app.py"), str(port)]
    return _command(argv, f"http://127.0.0.1:{port}/invocations", work, folder)


def _predictions(answer: object) -> list[float]:
    return flat(answer["predictions"])


PEERS = (
    Peer(name="hello", label='raw ASGI "hello" on uvicorn, no model', works=("a",), prepare=_hello, read=None),
    Peer(name="torchserve", label="TorchServe 0.12.0, 2 workers, batches of 16", works=("a", "b", "c"),
         prepare=_torchserve, read=_predictions),
    Peer(name="fastapi", label="FastAPI 0.165.0 on uvicorn, 2 workers", works=("a", "b", "c"), prepare=_fastapi,
         read=_predictions),
    Peer(name="mlserver", label="MLServer 1.7.1 (a, b: batches of 64; c: 2 parallel workers)", works=("a", "b", "c"),
         prepare=_mlserver, read=lambda answer: flat(answer["outputs"][0]["data"])),
    Peer(name="bentoml", label="BentoML 1.4.39, 2 workers, batches of 64", works=("a", "c"), prepare=_bentoml,
         read=flat),
    Peer(name="litserve", label="LitServe 0.2.19, 2 workers, 2 API servers", works=("a",), prepare=_litserve,
         read=_predictions),
)  # fmt: skip


def _uvicorn(python: Path, app: str, port: int) -> list[str]:
    return [str(python), "-m", "uvicorn", app, "--app-dir", str(APPS), "--port", str(port),
            "--no-access-log", "--log-level", "warning"]  # fmt: skip


def _command(
    argv: list[str], url: str, work: Work, folder: Path, *, body: bytes | None = None, **more: str
) -> Command:
    environ = {
        **os.environ,
        "BENCH_MODEL": str(work.file),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(APPS),
        "TMPDIR": str(folder),
        **more,
    }
    return Command(argv=argv, url=url, body=work.body if body is None else body, environ=environ)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
