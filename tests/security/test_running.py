"""A running platform keeps to itself: loopback only, secrets closed and unlogged, files of others kept (R1, R2, R23)."""

import configparser
import contextlib
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from tests.conftest import Platform

#: Python runs this at its start, in every process below: one line for every address that is connected to.
RECORDER = """
import os, sys
def _note(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        where = arguments[1] if event != "socket.getaddrinfo" else arguments[:2]
        with open(os.environ["RECORD_TO"], "a") as file:
            file.write(f"{event} {os.getpid()} {where!r}\\n")
def _start(how="start"):
    with open(os.environ["RECORD_TO"], "a") as file:
        file.write(f"{how} {os.getpid()} {open('/proc/self/cmdline').read()!r}\\n")
_start()
os.register_at_fork(after_in_child=lambda: _start("start fork"))
sys.addaudithook(_note)
"""


@pytest.fixture
def platform_in(tmp_path_factory):
    """A platform that has not been started, in a folder with a path short enough for its sockets."""
    prepared = Platform(tmp_path_factory.mktemp("in"))
    yield prepared
    prepared.farero("down", check=False)


@pytest.fixture
def watched(platform_in):
    """A running platform whose every Python process writes down whom it connects to."""
    folder = platform_in.folder / "recorder"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(RECORDER)
    platform_in.env["PYTHONPATH"] = str(folder)
    platform_in.env["RECORD_TO"] = str(platform_in.folder / "connects")
    platform_in.farero("up", "-d")
    yield platform_in
    platform_in.farero("down", check=False)


def family(platform):
    """The supervisor and all its descendants."""
    parent = psutil.Process(platform.control.info()["pid"])
    return [parent, *parent.children(recursive=True)]


def connections(process):
    """What a process is connected to and listens on; one that has just ended has nothing."""
    try:
        return process.net_connections("inet")
    except psutil.NoSuchProcess:
        return []


def test_only_loopback_is_listened_on(platform):
    listening = {
        (c.laddr.ip, c.laddr.port)
        for process in family(platform)
        for c in connections(process)
        if c.status == psutil.CONN_LISTEN or c.type == 2  # a bound UDP socket listens too
    }

    assert listening == {("127.0.0.1", platform.port), ("127.0.0.1", platform.console_port)}


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])
def test_no_other_address_can_be_chosen(platform_in, address):
    by_variable = subprocess.run(
        [sys.executable, "-m", "farero", "up", "-d"],
        env=platform_in.env | {"FARERO_BIND": address},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    by_flag = platform_in.farero("up", "-d", f"--bind={address}", check=False)

    for done in (by_variable, by_flag):
        assert done.returncode == 2, done.stdout
        assert f"'{address}' is not a loopback address" in done.stderr
        assert "fix: " in done.stderr
    assert not (platform_in.data_dir / "keys").exists()


def test_every_installation_has_a_key_of_its_own(platform_in, tmp_path):
    owners = []
    for name in ("one", "two"):
        platform_in.farero("up", "-d", "--data-dir", str(tmp_path / name))
        platform_in.farero("down", "--data-dir", str(tmp_path / name))
        text = (tmp_path / name / "keys" / "owner.json").read_text(encoding="utf-8")
        owners.append(json.loads(text))

    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("one", "two")] == [
        0o700
    ] * 2
    assert owners[0]["access_key_id"] != owners[1]["access_key_id"]
    assert owners[0]["secret_access_key"] != owners[1]["secret_access_key"]
    assert [len(o["secret_access_key"]) for o in owners] == [40, 40]


def test_only_the_owner_may_read_what_is_kept(platform):
    platform.farero("try")
    credentials = platform.folder / "aws" / "credentials"
    # unlike rglob, walk lets a folder go that the platform removes meanwhile
    kept = [
        Path(folder, name)
        for folder, folders, files in os.walk(platform.data_dir)
        for name in (*folders, *files)
    ]
    open_to_others = [
        f"{stat.filemode(path.lstat().st_mode)} {path}"
        for path in [credentials, *kept]
        if path.name in ("credentials", "keys", "run")
        or path.parent.name in ("keys", "run")
        or path.suffix == ".db"
        if path.lstat().st_mode & 0o077 and not path.is_symlink()
    ]

    assert open_to_others == []
    assert stat.S_IMODE((platform.data_dir / "keys" / "owner.json").stat().st_mode) == 0o600


BEFORE = """# my own notes
[default]
aws_access_key_id = AKIAMINEMINEMINEMINE
aws_secret_access_key = mine

; the company
[work]
credential_process = /usr/bin/get-key --x  # with a note
"""
BEFORE_CONFIG = """[default]
region = eu-west-1   # home

[profile work]
region = sa-east-1
s3 =
    max_concurrent_requests = 20
"""


def test_the_files_of_others_are_kept(platform_in):
    folder = platform_in.folder / "aws"
    folder.mkdir()
    (folder / "credentials").write_text(BEFORE)
    (folder / "config").write_text(BEFORE_CONFIG)

    platform_in.farero("up", "-d")
    platform_in.farero("down")

    credentials = (folder / "credentials").read_text()
    config = (folder / "config").read_text()
    parsed = configparser.RawConfigParser()
    parsed.read_string(credentials)
    assert credentials.startswith(BEFORE.rstrip("\n"))
    assert config.startswith(BEFORE_CONFIG.rstrip("\n"))
    assert parsed.sections() == ["default", "work", "farero"]
    assert parsed["farero"]["aws_secret_access_key"] == platform_in.owner["secret_access_key"]


def test_no_log_line_holds_the_secret_and_no_step_leaves_the_machine(watched):
    info = watched.control.info()
    with Sampler(watched) as sampled:
        said = watched.farero("try")
    more = watched.farero("status"), watched.farero("doctor", check=False), watched.farero("ls")
    watched.farero("down")

    secret = watched.owner["secret_access_key"]
    logs = [p for p in (watched.data_dir / "logs").rglob("*") if p.is_file()]
    told = [done.stdout + done.stderr for done in (said, *more)]
    lines = (watched.folder / "connects").read_text().splitlines()
    starts = "\n".join(line for line in lines if line.startswith("start "))
    connects = [line for line in lines if not line.startswith("start ")]
    assert logs
    assert [p for p in logs if secret.encode() in p.read_bytes()] == []
    assert [text for text in told if secret in text] == []
    # Every call of our own processes is recorded; models and jobs have a clean environment, so they are sampled.
    assert [part for part in ("supervisor", "try") if part not in starts] == []
    ours = [*info["gateways"], info["worker"]]
    assert [
        pid for pid in ours if f"start fork {pid} " not in starts
    ] == []  # they take its recorder with them
    assert [line for line in connects if not is_inside(line)] == []
    assert any(f"('127.0.0.1', {watched.port})" in line for line in connects)
    assert {"serve", "train"} <= sampled.roles
    assert sampled.addresses <= {"127.0.0.1", "::1"}


class Sampler(threading.Thread):
    """Looks again and again at whom the platform's processes are connected to, models and jobs among them."""

    def __init__(self, platform):
        super().__init__(daemon=True)
        self.parent = psutil.Process(platform.control.info()["pid"])
        self.roles, self.addresses = set(), set()
        self.ended = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()

    def run(self):
        while not self.ended.wait(0.005):
            for process in self.parent.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    # a server that was forked has its zygote's command and a name of its own
                    words = {*process.cmdline(), process.name().replace("farero-replica", "serve")}
                    self.roles |= {"serve", "train"} & words
                    found = process.net_connections("inet")
                    self.addresses |= {c.raddr.ip for c in found if c.raddr}


def is_inside(line):
    """Say whether a recorded address is a Unix socket's path or this machine."""
    event, _, where = line.split(" ", 2)
    if event == "socket.getaddrinfo":
        return where.startswith(("('127.0.0.1'", "('localhost'", "(None"))
    return where.startswith(("'/", "b'/", "('127.0.0.1'", "('::1'", "''", "b''"))
