"""A gateway without supervisor and worker, before sockets of models that answer at once."""

from __future__ import annotations

import datetime as dt
import os
import resource
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

from farero.records.endpoint import Endpoint, EndpointStatus, Fleet, Replica, ReplicaState, Variant
from farero.store import endpoints as rows
from farero.store import versions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from farero.app.core import App

ENDPOINT = "iris"
#: Of a frame (farero.endpoints.frames): length of what follows, number of the request, length of its head.
HEAD = struct.Struct(">IIH")


class Off:
    """Metrics that are turned off."""

    def note(self, *_: object) -> None:
        """Remember nothing."""

    def note_alike(self, *_: object) -> None:
        """Remember nothing."""

    def flush(self) -> None:
        """Store nothing."""


def put_endpoint(
    app: App, sockets: Mapping[str, str], capture: Mapping[str, object] | None = None
) -> None:
    """Write an endpoint in service. sockets: variant → its one replica's; the first variant gets all requests."""
    now = dt.datetime.now(dt.UTC)
    variants = tuple(
        Variant(
            name=name, model_name="m", container={}, current_weight=float(not number), current_count=1
        )
        for number, name in enumerate(sockets)
    )  # fmt: skip
    config = {} if capture is None else {"DataCaptureConfig": capture}
    fleet = Fleet(generation=1, config_name="c", config=config, variants=variants, began_at=now)
    endpoint = Endpoint(
        name=ENDPOINT, arn="arn", status=EndpointStatus.IN_SERVICE, created_at=now, modified_at=now,
        current=fleet, generation=1,
    )  # fmt: skip
    with app.store.begin() as db:
        rows.insert(db, endpoint)
        for name, path in sockets.items():
            replica = Replica(
                id=name, endpoint=ENDPOINT, variant=name, generation=1, state=ReplicaState.READY,
                socket_path=path, created_at=now, ready_at=now,
            )  # fmt: skip
            rows.insert_replica(db, replica)
        versions.raise_routing(db)
    app.stamp.touch()


def start(folder: Path, program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a benchmark's own program as a child whose platform's folder is `folder`/data."""
    environ = {
        **os.environ,
        "FARERO_DATA_DIR": f"{folder}/data",
        "AWS_SHARED_CREDENTIALS_FILE": f"{folder}/credentials",
        "AWS_CONFIG_FILE": f"{folder}/config",
    }
    command = [sys.executable, program, *arguments]
    return subprocess.Popen(
        command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def ask(child: subprocess.Popen[str], word: str | None) -> str:
    """Say a word to a child, or nothing; return its next line."""
    assert child.stdin is not None
    assert child.stdout is not None
    if word is not None:
        child.stdin.write(f"{word}\n")
        child.stdin.flush()
    return child.stdout.readline()


def cpu_seconds() -> float:
    """Return what this process has taken so far, all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
