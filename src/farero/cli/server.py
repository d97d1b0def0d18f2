"""`farero up`, `down`, `status`, `doctor`: the platform's own life."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from farero.base.clock import SystemClock
from farero.base.config import PREFIX, Settings
from farero.cli.opening import is_installed, wake
from farero.cli.output import (
    FAILED,
    INTERRUPTED,
    NOT_RUNNING,
    WRONG_USAGE,
    fail,
    options,
    result,
    say,
    table,
)
from farero.cli.session import admin, guarded, settings
from farero.compute.control import Control

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

READY_WITHIN_S = 60.0


def control() -> Control:
    """Return the way to the supervisor of this data directory."""
    return Control(settings().run_dir / "supervisor.sock")


def up(
    *,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background.")] = False,
    port: Annotated[int | None, typer.Option(help="Port for every AWS service.")] = None,
    bind: Annotated[str | None, typer.Option(help="Loopback address to listen on.")] = None,
    gateways: Annotated[int | None, typer.Option(help="Number of gateway processes.")] = None,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Keep nothing; offer POST /_farero/reset.")
    ] = False,
) -> None:
    """Start Farero; the first start makes the owner's key, the AWS profile, a role and a bucket."""
    chosen = _settings_with(port=port, bind=bind, gateways=gateways, ephemeral=ephemeral or None)
    started = time.monotonic()
    if control().answers():
        say(f"Farero is already running at {_running_url()}.")
        result({"url": _running_url(), "already_running": True})
        return
    if chosen.ephemeral:
        _make_ephemeral(chosen)
    first_time = not (chosen.keys_dir / "owner.json").exists()
    process = _start_supervisor(chosen, detach=detach)
    told: list[int] = [] if detach else _pass_signals_on(process)
    _wait_until_ready(process, chosen, told)
    seconds = time.monotonic() - started
    _tell(chosen, seconds=seconds, first_time=first_time)
    if sys.stdout.isatty() and chosen.console_port and is_installed():
        wake(chosen)  # somebody sits there who may open the console
    if detach:
        return
    _leave(process.wait(), told)


def _pass_signals_on(process: subprocess.Popen[bytes]) -> list[int]:
    """Let what ends this process end the supervisor in order; return a list that gets each signal.

    Without it `docker stop`, systemd and a closed terminal would leave the supervisor behind.
    """
    told: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        os.write(2, "Stopping …\n".encode())  # print() may be under way
        process.send_signal(signal.SIGTERM)  # a second one makes it hurry

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    return told


def _leave(code: int, told: list[int]) -> NoReturn:
    """Exit as the supervisor did: 130 after Ctrl-C, 0 after any other order to end."""
    if code in OK_CODES and signal.SIGINT in told:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(OK_CODES.get(code, FAILED))


EPHEMERAL_MARK = "ephemeral"


def _make_ephemeral(chosen: Settings) -> None:
    """Empty a folder that an ephemeral instance used before; refuse one that holds anything else."""
    folder = chosen.data_dir
    mark = folder / EPHEMERAL_MARK
    if folder.exists() and any(folder.iterdir()):
        if not mark.exists():
            fail(
                "E-EPHEMERAL",
                f"{folder} holds data that --ephemeral would delete",
                fix="farero up --ephemeral --data-dir $(mktemp -d)",
                status=WRONG_USAGE,
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o700)
    mark.touch()


OK_CODES = {0: 0, -signal.SIGTERM: 0}


def down(
    *,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a clean end.")] = 45.0,
) -> None:
    """Stop Farero and everything it started; data stays."""
    if not control().answers():
        say("Farero is not running.")
        result({"stopped": False})
        return
    pid = int(control().info()["pid"])
    control().shutdown()
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and _is_alive(pid):
        SystemClock().sleep(0.02)
    if _is_alive(pid):
        fail("E-DOWN", f"the supervisor (pid {pid}) still runs after {timeout:.0f} s",
             fix=f"kill -9 {pid}   # its children end with it")  # fmt: skip
    say("Farero has stopped. Your data is kept in " + str(settings().data_dir))
    result({"stopped": True})


def status() -> None:
    """Show whether Farero is healthy: processes, endpoints, isolation, disk."""
    if not control().answers():
        fail("E-NOT-RUNNING", "Farero is not running", where=str(settings().data_dir),
             fix="farero up -d", status=NOT_RUNNING)  # fmt: skip
    info = control().info()
    state = guarded(lambda: admin("GET", "status"))
    data = {"supervisor": info, **state}
    if options.as_json:
        result(data)
        return
    say(f"Farero at {settings().url}   data {settings().data_dir}")
    say(f"isolation: {state['isolation']}   free disk: {state['disk_free_gb']:.1f} GB")
    rows = [[p["name"], str(p["pid"]), p["state"]] for p in info["processes"]]
    result(data, table(["PROCESS", "PID", "STATE"], rows))
    if state["endpoints"]:
        result(data, _endpoint_table(state["endpoints"]))
    for line in state["notes"]:
        say(f"note: {line}")


def _endpoint_table(endpoints: list[Mapping[str, Any]]) -> Any:
    rows = [[e["name"], e["status"], e["variants"], e["capture"]] for e in endpoints]
    return table(["ENDPOINT", "STATUS", "VARIANTS", "CAPTURE"], rows)


def doctor() -> None:
    """Look for what commonly goes wrong: versions, port, disk, clock, profile, keys."""
    rows = [*_python_checks(), *_host_checks()]
    data = [{"check": c, "ok": ok, "found": found, "advice": tip} for c, ok, found, tip in rows]
    lines = [[c, "ok" if ok else "look", found, "" if ok else tip] for c, ok, found, tip in rows]
    result(data, table(["CHECK", "", "FOUND", "ADVICE"], lines))
    if not all(ok for _, ok, _, _ in rows):
        raise typer.Exit(FAILED)


type_row = tuple[str, bool, str, str]


def _python_checks() -> list[type_row]:
    rows: list[type_row] = [
        ("python", sys.version_info >= (3, 11), sys.version.split()[0], "Python 3.11 or newer")
    ]
    for name in ("boto3", "botocore", "sagemaker", "xgboost-cpu", "scikit-learn", "torch"):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            rows.append((name, True, "not installed here", ""))
            continue
        tip = ""
        if name == "sagemaker" and version.startswith("3."):
            tip = "course code written for 2.x needs: pip install 'sagemaker<3'"
        rows.append((name, not tip, version, tip))
    return rows


def _host_checks() -> list[type_row]:
    home = settings().data_dir
    there = home if home.exists() else home.parent
    free = shutil.disk_usage(there).free / 1e9
    key = home / "keys" / "owner.json"
    safe = not key.exists() or (key.stat().st_mode & 0o077) == 0
    running = control().answers()
    shadow = [n for n in ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN") if n in os.environ]
    url = os.environ.get("AWS_ENDPOINT_URL", "")
    return [
        ("data directory", os.access(there, os.W_OK), str(home), f"make {there} writable"),
        ("free disk", free > 2, f"{free:.1f} GB", "free some space; capture stops when it is full"),
        ("owner key", safe, "0600" if key.exists() else "not made yet", f"chmod 600 {key}"),
        ("running", running, settings().url if running else "no", "farero up -d"),
        ("docker", True, shutil.which("docker") or "absent (not needed)", ""),
        ("AWS_ENDPOINT_URL", url in ("", settings().url), url or "not set", 'eval "$(farero env)"'),
        ("AWS keys in the shell", not shadow, ", ".join(shadow) or "none",
         "they win over the farero profile: unset " + " ".join(shadow)),
    ]  # fmt: skip


def _settings_with(**changes: Any) -> Settings:
    from farero.base.config import read_settings
    from farero.base.errors import Invalid

    try:
        chosen = read_settings(data_dir=options.data_dir, region=options.region, **changes)
    except Invalid as error:
        fail("E-SETTING", str(error), where="flags and FARERO_ variables of farero up",
             fix="farero up --help   # what each setting may be", status=WRONG_USAGE)  # fmt: skip
    for name, value in changes.items():
        if value is not None:
            os.environ[PREFIX + name.upper()] = str(value).lower() if value is True else str(value)
    if options.data_dir:
        os.environ[PREFIX + "DATA_DIR"] = str(chosen.data_dir)
    if options.region:
        os.environ[PREFIX + "REGION"] = chosen.region
    settings.cache_clear()
    return chosen


def _start_supervisor(chosen: Settings, *, detach: bool) -> subprocess.Popen[bytes]:
    chosen.data_dir.parent.mkdir(parents=True, exist_ok=True)
    for folder in (chosen.data_dir, chosen.logs_dir):  # `parents` would ignore the mode
        folder.mkdir(exist_ok=True, mode=0o700)
    log = (chosen.logs_dir / "farero.log").open("ab")
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "farero.supervisor"],  # -P: where we stand gives no modules
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        env=dict(os.environ),
        cwd="/" if detach else None,
    )


def _wait_until_ready(process: subprocess.Popen[bytes], chosen: Settings, told: list[int]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            if told:
                _leave(process.returncode, told)
            fail(*_why_not(chosen, process.returncode))
        if control().answers() and control().is_ready():
            return
        SystemClock().sleep(0.02)
    fail("E-UP", f"Farero was not ready after {READY_WITHIN_S:.0f} s",
         where=str(chosen.logs_dir / "farero.log"), fix="farero doctor")  # fmt: skip


def _why_not(chosen: Settings, code: int | None) -> tuple[str, str]:
    log = chosen.logs_dir / "farero.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    last = lines[-1] if lines else f"the supervisor ended with code {code}"
    return ("E-UP", last)


def _tell(chosen: Settings, *, seconds: float, first_time: bool) -> None:
    data = {"url": chosen.url, "seconds": round(seconds, 2), "first_time": first_time}
    if options.as_json:
        result(data)
        return
    say(f"Farero answers at [bold]{chosen.url}[/]  ({seconds:.1f} s)")
    if first_time:
        say(f"made: owner key {chosen.keys_dir / 'owner.json'} (0600), AWS profile 'farero',")
        say("      role AmazonSageMaker-ExecutionRole-farero, "
            f"bucket sagemaker-{chosen.region}-{chosen.account}")  # fmt: skip
    say('next: eval "$(farero env)"      then run your boto3 or SageMaker SDK code')
    say("      farero try                the whole story in a few seconds")


def _running_url() -> str:
    return str(control().info().get("url", settings().url))


def _is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc").exists():
        try:
            return stat.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
