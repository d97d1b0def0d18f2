"""The way to the supervisor: one JSON line there and one back over its Unix socket."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farero.base.errors import Conflict, DomainError, Invalid, NotFound, NotReady
from farero.records.compute import ProcessSpec, ProcessStatus, Zygote

if TYPE_CHECKING:
    from collections.abc import Mapping

    #: What JSON can carry.
    Value = Any

ANSWER_WITHIN_S = 10.0
#: Longest request or answer.
LINE_LIMIT = 16 * 1024 * 1024


class Control:
    """A client of the control socket; every call is a connection of its own, so any thread may call."""

    def __init__(self, path: Path, *, answer_within_s: float = ANSWER_WITHIN_S) -> None:
        self._path = path
        self._answer_within_s = answer_within_s

    def call(self, op: str, *, timeout_s: float | None = None, **fields: Value) -> Value:
        """Ask for `op` and return its result; timeout_s: how long to wait for it, if not as long as for all.

        Raises NotReady if nobody answers, else the domain error that the supervisor names.
        """
        line = json.dumps({"op": op, **fields}).encode() + b"\n"
        timeout_s = self._answer_within_s if timeout_s is None else timeout_s
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(timeout_s)
                connection.connect(os.fspath(self._path))
                connection.sendall(line)
                with connection.makefile("rb") as answers:
                    answer = answers.readline(LINE_LIMIT)
        except TimeoutError as error:
            detail = f"the supervisor did not answer '{op}' within {timeout_s:g} s"
            raise NotReady("supervisor", str(self._path), detail) from error
        except OSError as error:
            raise NotReady(
                "supervisor", str(self._path), f"Farero is not running ({error})"
            ) from error
        if not answer.endswith(b"\n"):
            raise NotReady("supervisor", str(self._path), "the supervisor ended while it was asked")
        return _result(json.loads(answer))

    def answers(self) -> bool:
        """Say whether a supervisor is there."""
        try:
            self.call("ping", timeout_s=2.0)
        except NotReady:
            return False
        return True

    def is_ready(self) -> bool:
        """Say whether every gateway and the worker have reported that they are ready."""
        return bool(self.call("info")["ready"])

    def wait_ready(self, timeout_s: float) -> None:
        """Block until the platform is ready. Raises NotReady when time is up or it ends."""
        self.call("wait_ready", timeout_s=timeout_s)

    def info(self) -> dict[str, Value]:
        """Return `pid`, `url`, `ready`, `isolation`, `gateways`, `worker` and `processes` (name, pid, state)."""
        return self.call("info")

    def shutdown(self) -> None:
        """Ask for an ordered end; returns at once."""
        self.call("shutdown")


def spec_to_wire(spec: ProcessSpec) -> dict[str, Value]:
    """Return `spec` as JSON values."""
    return {
        "name": spec.name,
        "argv": list(spec.argv),
        "env": dict(spec.env),
        "cwd": str(spec.cwd),
        "opt_ml": None if spec.opt_ml is None else str(spec.opt_ml),
        "log_path": str(spec.log_path),
        "memory_bytes": spec.memory_bytes,
        "memory_note": None if spec.memory_note is None else str(spec.memory_note),
        "wake": spec.wake,
        "grace_s": spec.grace_s,
        "zygote": None if spec.zygote is None else zygote_to_wire(spec.zygote),
    }


def spec_from_wire(wire: Mapping[str, Value]) -> ProcessSpec:
    """Return the spec that `spec_to_wire` wrote."""
    return ProcessSpec(
        name=wire["name"],
        argv=tuple(wire["argv"]),
        env=wire["env"],
        cwd=Path(wire["cwd"]),
        opt_ml=None if wire["opt_ml"] is None else Path(wire["opt_ml"]),
        log_path=Path(wire["log_path"]),
        memory_bytes=wire["memory_bytes"],
        memory_note=None if wire["memory_note"] is None else Path(wire["memory_note"]),
        wake=wire["wake"],
        grace_s=wire["grace_s"],
        zygote=None if wire["zygote"] is None else zygote_from_wire(wire["zygote"]),
    )


def zygote_to_wire(zygote: Zygote) -> dict[str, Value]:
    """Return `zygote` as JSON values."""
    return {
        "name": zygote.name,
        "argv": list(zygote.argv),
        "env": dict(zygote.env),
        "log_path": str(zygote.log_path),
    }


def zygote_from_wire(wire: Mapping[str, Value]) -> Zygote:
    """Return the zygote that `zygote_to_wire` wrote."""
    log_path = Path(wire["log_path"])
    return Zygote(name=wire["name"], argv=tuple(wire["argv"]), env=wire["env"], log_path=log_path)


def status_to_wire(status: ProcessStatus) -> dict[str, Value]:
    """Return `status` as JSON values."""
    return {
        "name": status.name,
        "state": status.state,
        "pid": status.pid,
        "exit_code": status.exit_code,
        "started_at": None if status.started_at is None else status.started_at.isoformat(),
        "ended_at": None if status.ended_at is None else status.ended_at.isoformat(),
        "out_of_memory": status.out_of_memory,
    }


def status_from_wire(wire: Mapping[str, Value]) -> ProcessStatus:
    """Return the status that `status_to_wire` wrote."""
    return ProcessStatus(
        name=wire["name"],
        state=wire["state"],
        pid=wire["pid"],
        exit_code=wire["exit_code"],
        started_at=_time(wire["started_at"]),
        ended_at=_time(wire["ended_at"]),
        out_of_memory=wire["out_of_memory"],
    )


def error_to_wire(error: DomainError) -> dict[str, Value]:
    """Return a refusal as JSON values."""
    return {"error": type(error).__name__, "facts": vars(error)}


def _result(answer: dict[str, Value]) -> Value:
    if "error" not in answer:
        return answer["result"]
    kinds = {kind.__name__: kind for kind in (NotFound, Conflict, Invalid, NotReady)}
    raise kinds[answer["error"]](**answer["facts"])


def _time(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)
