"""All settings of the platform: one frozen record, read once by `app.py`, then passed on."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "FARERO_"


def _default_data_dir() -> Path:
    return Path.home() / ".farero"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What can be set; every default works on a laptop, offline, without a file."""

    #: Where everything is kept: database, objects, logs, keys.
    data_dir: Path = field(default_factory=_default_data_dir)
    #: Address to listen on; anything but loopback is refused for now.
    bind: str = "127.0.0.1"
    #: The one port for every AWS service.
    port: int = 4747
    #: Region that requests and ARNs carry.
    region: str = "us-east-1"
    #: Twelve-digit account number.
    account: str = "123456789012"
    #: SQLAlchemy URL of the control database; empty means SQLite in the data directory.
    database_url: str = ""
    #: Number of gateway processes.
    gateways: int = 1
    #: Keep nothing after the end and offer `POST /_farero/reset`.
    ephemeral: bool = False
    #: Largest body of InvokeEndpoint in bytes (AWS: 6 MB real-time).
    max_body_bytes: int = 6_291_456
    #: Seconds a model may take for one answer (AWS: 60).
    invocation_timeout_s: float = 60.0
    #: When captured records reach the disk: `never` (page cache only), `1s` or `always` (fsync).
    capture_durability: str = "1s"
    #: Seconds between the first unpublished captured record and its object in the bucket; a large one: 2.5 or more.
    capture_publish_s: float = 1.0
    #: How far model and job processes are kept apart: `process` or `none`.
    isolation: str = "process"
    #: Fork replicas of the built-in frameworks from a process that has the framework imported; else each starts afresh.
    zygotes: bool = True
    #: Seconds without a request after which a serverless endpoint has no process any more.
    serverless_idle_s: float = 300.0
    #: Longest a request waits for a sleeping serverless endpoint before it is told to come again (503).
    serverless_wait_s: float = 50.0
    #: Port of the web console, which starts when somebody connects; 0 turns it off.
    console_port: int = 4748
    #: Mail server for SNS's e-mail: `smtp://user:password@host:587` (STARTTLS where offered), `smtps://…`; empty: none.
    smtp_url: str = ""
    #: Sender of those mails.
    mail_from: str = "farero@localhost"
    #: Hosts inside this machine or network that notifications may reach, `host` or `host:port`, separated by commas.
    notify_allow_hosts: str = ""
    #: Level of the platform's own log: DEBUG, INFO, WARNING or ERROR.
    log_level: str = "INFO"

    @property
    def host(self) -> str:
        """The address to listen on as URLs hold it: IPv6 in brackets."""
        return f"[{self.bind}]" if ":" in self.bind else self.bind

    @property
    def url(self) -> str:
        """Where clients reach the platform."""
        return f"http://{self.host}:{self.port}"

    @property
    def run_dir(self) -> Path:
        """Pids and Unix sockets."""
        return self.data_dir / "run"

    @property
    def keys_dir(self) -> Path:
        """Secrets, mode 0700."""
        return self.data_dir / "keys"

    @property
    def logs_dir(self) -> Path:
        """Output of every process."""
        return self.data_dir / "logs"

    @property
    def spool_dir(self) -> Path:
        """Captured records that have not reached their bucket."""
        return self.data_dir / "spool"

    @property
    def objects_dir(self) -> Path:
        """Object bodies, in files named by id."""
        return self.data_dir / "objects"

    @property
    def work_dir(self) -> Path:
        """Folders of running jobs and unpacked models."""
        return self.data_dir / "work"

    @property
    def envs_dir(self) -> Path:
        """Python environments made for frameworks and requirements."""
        return self.data_dir / "envs"

    @property
    def sql_url(self) -> str:
        """URL of the control database."""
        return self.database_url or f"sqlite:///{self.data_dir / 'state.db'}"

    @property
    def telemetry_url(self) -> str:
        """URL of logs and metrics: a file of its own on SQLite, where losing a second is allowed."""
        return self.database_url or f"sqlite:///{self.data_dir / 'telemetry.db'}"


def read_settings(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Build Settings from `FARERO_…` variables, then from `overrides` that are not None.

    Raises Invalid for an unknown variable's value, naming the variable.
    """
    source = os.environ if environ is None else environ
    values: dict[str, object] = {}
    for item in dataclasses.fields(Settings):
        name = PREFIX + item.name.upper()
        if name in source:
            values[item.name] = _convert(name, source[name], str(item.type))
    values.update({key: value for key, value in overrides.items() if value is not None})
    if "data_dir" in values:
        values["data_dir"] = Path(str(values["data_dir"])).expanduser().absolute()
    settings = Settings(**values)  # pyright: ignore[reportArgumentType] - converted above
    _check(settings)
    return settings


def _convert(name: str, text: str, kind: str) -> object:
    try:
        if kind == "bool":
            return {"1": True, "true": True, "0": False, "false": False}[text.lower()]
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except (ValueError, KeyError) as error:
        raise Invalid(f"{name}={text!r} is not a valid {kind}") from error
    return text


def _check(settings: Settings) -> None:
    if len(settings.account) != 12 or not settings.account.isdigit():
        raise Invalid(f"account '{settings.account}' is not a number of 12 digits")
    if settings.bind not in ("127.0.0.1", "::1", "localhost"):
        raise Invalid(
            f"bind '{settings.bind}' is not a loopback address; only loopback is served: 127.0.0.1"
        )
    for name, port in (("port", settings.port), ("console_port", settings.console_port)):
        if not 0 <= port <= 65535:
            raise Invalid(f"{name} {port} is not between 0 and 65535")
    if settings.capture_durability not in ("never", "1s", "always"):
        raise Invalid("capture_durability is one of never, 1s, always")
