"""A replica as a process: its folder (`/opt/ml`), its environment, its socket, its health and what it leaves behind."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import shutil
import socket
from typing import TYPE_CHECKING, Any

from farero.endpoints import memory_notes
from farero.endpoints.commands import KIND
from farero.records.compute import ProcessSpec, Zygote
from farero.records.endpoint import Replica

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from farero.base.config import Settings
    from farero.endpoints.preparing import Prepared
    from farero.records.endpoint import Endpoint, Variant

#: Each attempt of SageMaker at /ping times out after 2 s ("Use Your Own Inference Code with Hosting Services").
PING_TIMEOUT_S = 2.0
#: Link to the unpacked source, below a replica's folder; it says that the source is in use.
SOURCE = "input/source"
#: Lines of the log that may go into a FailureReason.
LAST_LINES = 20
#: More of a log or a report than this is never read.
READ_LIMIT_BYTES = 64 * 1024
#: Ending of the folder beside a model's files in which replicas keep what they made of them.
KEPT = ".kept"
#: Frameworks that `farero_container zygote` knows.
FORKED = ("xgboost", "sklearn", "pytorch")
#: A replica that leaves /ping unanswered for as long as a request may take and this much more is replaced.
SILENCE_GRACE_S = 5.0
#: How long the log of a replica that has ended stays. Its lines are shipped to the endpoint's log group anyway.
LOG_KEPT_S = 7 * 86_400.0
#: Requests in flight get their full time before a stopped replica is killed.
STOP_GRACE_S = 65.0


class Replicas:
    """Everything about one replica except when it happens."""

    def __init__(
        self,
        settings: Settings,
        *,
        container_path: Callable[[], Path],
        credentials: Callable[[str], Mapping[str, str]] | None = None,
    ) -> None:
        self._settings = settings
        self._container_path = container_path
        #: Role ARN → the AWS_… variables with which the model's own calls are signed.
        self._credentials = credentials

    def new(self, endpoint: str, variant: str, generation: int, now: dt.datetime) -> Replica:
        """Return a replica that has no process yet."""
        replica_id = secrets.token_hex(6)
        return Replica(
            id=replica_id,
            endpoint=endpoint,
            variant=variant,
            generation=generation,
            # A Unix socket's path holds at most 107 bytes (unix(7)).
            socket_path=str(self._settings.run_dir / "r" / f"{replica_id}.sock"),
            created_at=now,
        )

    @property
    def longest_silence_s(self) -> float:
        """For how long a replica in service may leave /ping unanswered."""
        return self._settings.invocation_timeout_s + SILENCE_GRACE_S

    def folder(self, replica: Replica) -> Path:
        """Return what the process sees as /opt/ml."""
        return self._settings.work_dir / "replicas" / replica.id

    def folders_in_use(self) -> set[Path]:
        """Return the folders of model files and sources that replicas look into."""
        root = self._settings.work_dir / "replicas"
        links = [link for name in ("model", SOURCE) for link in root.glob(f"*/{name}")]
        return {link.readlink() for link in links if link.is_symlink()}

    def log_path(self, replica: Replica) -> Path:
        """Return where the process writes its output; one file for all its attempts."""
        return self._settings.logs_dir / "endpoints" / replica.endpoint / f"{replica.id}.log"

    def lay_out(self, replica: Replica, prepared: Prepared) -> None:
        """Make the folder anew, without what an earlier attempt left in it."""
        base = self.folder(replica)
        shutil.rmtree(base, ignore_errors=True)
        for name in ("input/config", "output", "tmp"):
            (base / name).mkdir(parents=True)
        if prepared.model_dir is not None:
            (base / "model").symlink_to(prepared.model_dir)
        else:
            (base / "model").mkdir()
        if prepared.source_dir is not None:
            (base / SOURCE).symlink_to(prepared.source_dir)
        (self._settings.run_dir / "r").mkdir(parents=True, exist_ok=True, mode=0o700)
        self.log_path(replica).parent.mkdir(parents=True, exist_ok=True)

    def spec(
        self, endpoint: Endpoint, variant: Variant, replica: Replica, prepared: Prepared
    ) -> ProcessSpec:
        """Return what to run."""
        memory = (variant.serverless or {}).get("MemorySizeInMB")
        return ProcessSpec(
            name=replica.process_name,
            argv=(str(prepared.python), "-u", "-m", "farero_container", "serve"),
            env=self._env(endpoint, variant, replica, prepared),
            cwd=self.folder(replica),
            opt_ml=self.folder(replica),
            log_path=self.log_path(replica),
            memory_bytes=memory * 1024 * 1024 if memory else None,
            memory_note=memory_notes.path_of(replica.socket_path),
            wake=f"{KIND} {endpoint.name}",
            grace_s=STOP_GRACE_S,
            zygote=self.zygote(prepared),
        )

    def zygote(self, prepared: Prepared) -> Zygote | None:
        """Return what replicas of a variant may be forked from; None if they need a fresh process."""
        if not self._settings.zygotes or not prepared.is_plain or prepared.framework not in FORKED:
            return None
        container, framework = str(self._container_path()), prepared.imports
        kind = hashlib.sha256(f"{prepared.python}\0{container}".encode()).hexdigest()[:8]
        return Zygote(
            name=f"zygote/{framework}-{kind}",
            argv=(str(prepared.python), "-u", "-m", "farero_container", "zygote", framework),
            env={
                "PATH": _path(prepared),
                "LANG": "C.UTF-8",
                "PYTHONUNBUFFERED": "1",
                "PYTHONPATH": container,
                "OMP_NUM_THREADS": "1",
                "MKL_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                # What comes with pandas would start a thread, and no thread lives on in a fork.
                "JE_ARROW_MALLOC_CONF": "background_thread:false",
            },
            log_path=self._settings.logs_dir / "zygotes" / f"{framework}.log",
        )

    def say(self, replica: Replica, line: str) -> None:
        """Write a line of the platform into the replica's log."""
        path = self.log_path(replica)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line.rstrip("\n") + "\n")

    def report(self, replica: Replica) -> dict[str, Any] | None:
        """Return the failure.json that the present attempt left, if it did."""
        return self._told(replica, "failure.json")

    def _told(self, replica: Replica, name: str) -> dict[str, Any] | None:
        path = self.folder(replica) / "output" / name
        try:
            with path.open("rb") as file:
                value: Any = json.loads(file.read(READ_LIMIT_BYTES))
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType] - JSON

    def engine(self, replica: Replica) -> dict[str, Any]:
        """Return the engine.json of a replica that was asked to accelerate its model; empty if there is none."""
        return self._told(replica, "engine.json") or {}

    def last_lines(self, replica: Replica) -> list[str]:
        """Return the end of the log."""
        path = self.log_path(replica)
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - READ_LIMIT_BYTES))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return []
        return text.splitlines()[-LAST_LINES:]

    def sweep_logs(self, living: AbstractSet[str], now: dt.datetime) -> int:
        """Remove what replicas wrote that ended a week ago; its lines are events by then. Return how many files.

        living: ids of the replicas that there are.
        """
        before = now.timestamp() - LOG_KEPT_S
        gone = 0
        for path in (self._settings.logs_dir / "endpoints").glob("*/*.log"):
            if path.stem not in living and path.stat().st_mtime < before:
                path.unlink()
                gone += 1
        return gone

    def clear(self, replica: Replica) -> None:
        """Remove folder and socket; the log stays for a while."""
        shutil.rmtree(self.folder(replica), ignore_errors=True)
        path = self._settings.run_dir / "r" / f"{replica.id}.sock"
        path.unlink(missing_ok=True)
        memory_notes.path_of(str(path)).unlink(missing_ok=True)

    def _env(
        self, endpoint: Endpoint, variant: Variant, replica: Replica, prepared: Prepared
    ) -> dict[str, str]:
        settings, base = self._settings, self.folder(replica)
        container = str(self._container_path())
        users: dict[str, str] = dict(variant.container.get("Environment", {}))
        users_path = users.pop("PYTHONPATH", "")
        if prepared.source_dir is not None:
            users["SAGEMAKER_SUBMIT_DIRECTORY"] = str(prepared.source_dir)
        return {
            "PATH": _path(prepared),
            "HOME": str(base),
            "TMPDIR": str(base / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "AWS_ENDPOINT_URL": settings.url,
            "AWS_REGION": settings.region,
            "AWS_DEFAULT_REGION": settings.region,
            "SAGEMAKER_REGION": settings.region,
            "SAGEMAKER_MODEL_SERVER_TIMEOUT": str(math.ceil(self._settings.invocation_timeout_s)),
            **(self._credentials(variant.role_arn) if self._credentials else {}),
            **users,
            "PYTHONPATH": f"{container}:{users_path}" if users_path else container,
            "SAGEMAKER_BASE_DIR": str(base),
            "SM_MODEL_DIR": str(base / "model"),
            "FARERO_SOCKET": replica.socket_path,
            "FARERO_NOTIFY_SOCKET": str(settings.run_dir / "worker.sock"),
            "FARERO_NOTIFY_MESSAGE": f"{KIND} {endpoint.name}",
            "FARERO_IMAGE": str(variant.container.get("Image", "")),
            "FARERO_FRAMEWORK": prepared.framework,
            "FARERO_FRAMEWORK_VERSION": prepared.version_asked,
            **_kept_folder(prepared),
        }


def _kept_folder(prepared: Prepared) -> dict[str, str]:
    """Tell where what was made of a model is kept: beside its files, never among them."""
    if prepared.model_dir is None:
        return {}
    return {"FARERO_KEPT_DIR": str(prepared.model_dir.with_suffix(KEPT))}


def _path(prepared: Prepared) -> str:
    return f"{prepared.python.parent}:/usr/local/bin:/usr/bin:/bin"


def ping(socket_path: str) -> int | None:
    """Ask /ping over HTTP and return its status; None if nothing answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(PING_TIMEOUT_S)
            client.connect(socket_path)
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            head = b""
            while b"\r\n" not in head and len(head) < 1024:
                piece = client.recv(1024)
                if not piece:
                    break
                head += piece
    except OSError:
        return None
    words = head.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1][:3].isdigit() else None
