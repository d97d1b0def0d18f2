"""A Farero of a benchmark's own, in a fresh folder, and what it is asked: clients, archives, signed requests."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from farero.compute.control import Control

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator, Mapping
    from pathlib import Path

REGION = "us-east-1"
BUCKET = f"sagemaker-{REGION}-123456789012"
ROLE = "arn:aws:iam::123456789012:role/AmazonSageMaker-ExecutionRole-farero"


class Site:
    """A platform of its own: free ports and default settings, whatever the environment says.

    settings: names and values of `Settings` that are not to be the default ones.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        self.data = folder / "data"
        self.port, self.console = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.control = Control(self.data / "run" / "supervisor.sock")
        others = ("AWS_", "FARERO_", "PYTHONDONTWRITEBYTECODE")
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(others)},
            "FARERO_DATA_DIR": str(self.data),
            "FARERO_PORT": str(self.port),
            "FARERO_CONSOLE_PORT": str(self.console),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
            "AWS_CONFIG_FILE": str(folder / "config"),
            **{f"FARERO_{name.upper()}": str(value) for name, value in settings.items()},
        }

    def farero(self, *arguments: str) -> str:
        """Run one command; return what it printed. Raises CalledProcessError."""
        command = [sys.executable, "-m", "farero", *arguments]
        return subprocess.run(
            command, env=self.environ, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    @contextlib.contextmanager
    def running(self) -> Generator[None]:
        """Run the platform until the block ends."""
        self.farero("up", "-d")
        try:
            yield
        finally:
            self.farero("down")

    def client(self, service: str, **config: Any) -> Any:
        """Return a client of the owner; config: botocore's."""
        key = owner(self.data)
        return boto3.Session(key.access_key, key.secret_key).client(
            service, endpoint_url=self.url, region_name=REGION, config=Config(**config)
        )

    def signed(self, endpoint: str, body: bytes, kind: str = "text/csv") -> bytes:
        """Return an InvokeEndpoint request as it goes over the wire."""
        return signed(owner(self.data), self.port, endpoint, body, kind)


def owner(data: Path) -> Credentials:
    """Return the owner's key of a data folder."""
    key = json.loads((data / "keys" / "owner.json").read_text(encoding="utf-8"))
    return Credentials(key["access_key_id"], key["secret_access_key"])


def signed(key: Credentials, port: int, endpoint: str, body: bytes, kind: str) -> bytes:
    """Return one InvokeEndpoint request as boto3 writes it; its signature holds for five minutes."""
    headers = {
        "Content-Type": kind,
        "Host": f"127.0.0.1:{port}",
        "Accept-Encoding": "identity",
        "User-Agent": "Boto3/1.40.1 md/Botocore#1.40.1 ua/2.1 os/linux#6.1 lang/python#3.11.7 cfg/retry-mode#standard",
        "amz-sdk-invocation-id": "5d0a1f5e-6a4c-4b63-9f0b-2f2c1d6c8b11",
        "amz-sdk-request": "attempt=1",
    }
    path = f"/endpoints/{endpoint}/invocations"
    request = AWSRequest("POST", f"http://127.0.0.1:{port}{path}", data=body, headers=headers)
    SigV4Auth(key, "sagemaker", REGION).add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    head = [f"POST {path} HTTP/1.1", *lines, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode() + body


async def read_status(reader: asyncio.StreamReader) -> int:
    """Take one whole answer, which has a Content-Length; return its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.split(b"content-length: ")[1].split(b"\r\n")[0]
    await reader.readexactly(int(length))
    return int(head[9:12])


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return model.tar.gz with these files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return made.getvalue()


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
