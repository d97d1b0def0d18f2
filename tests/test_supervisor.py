"""The parent process: what it claims, what it starts again, when it is ready, how it ends.

Gateways and worker are small programs of this file, started as the real ones are.
"""

import dataclasses
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from farero.base.errors import Invalid, NotReady
from farero.compute.control import Control
from farero.compute.local import LocalCompute
from farero.records.compute import ProcessSpec

RUN = """
import json, sys
from farero.base.config import read_settings
from farero.supervisor import Supervisor
from farero.base.errors import Invalid
try:
    sys.exit(Supervisor(read_settings(), json.loads(sys.argv[1])).run())
except Invalid as error:
    sys.exit(f"farero: {error}")
"""

GATEWAY = """
import os, signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
listening = socket.socket(fileno=3)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY", os.environ["NOTIFY_SOCKET"])
while True:
    connection, _ = listening.accept()
    with connection:
        connection.sendall(str(os.getpid()).encode())
"""

WORKER = """
import os, signal, socket, time
signal.signal(signal.SIGTERM, signal.SIG_DFL)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY", os.environ["NOTIFY_SOCKET"])
time.sleep(600)
"""

SAY_READY = """
import os, socket
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notes:
    notes.sendto(b"READY", os.environ["NOTIFY_SOCKET"])
"""

#: Notes its birth, and lives for as long as its word needs to be heard.
SHORT_LIVED = """
import sys, time
with open("births", "a") as births:
    births.write("+")
time.sleep(0.3)
sys.exit(3)
"""

STUBBORN = WORKER.replace("SIG_DFL", "SIG_IGN")

PYTHON = (sys.executable, "-I", "-S", "-c")

#: A supervisor whose worker is a fork of itself, which sees what was imported before.
FORKED = """
import json, os, signal, socket, sys
from farero.base.config import read_settings
from farero.supervisor import Supervisor

def preload():
    global seen
    seen = "preloaded"

def gone():
    ours, theirs = socket.socketpair()
    theirs.close()
    try:
        ours.send(b"x")
    except BrokenPipeError:
        return "an error"

def worker():
    with open("births", "a") as births:
        births.write(json.dumps([seen, os.environ["FARERO_PROCESS"], os.environ.get("GONE"), gone()]) + "\\n")
    os.environ["GONE"] = "of this fork alone"
    if os.path.exists("raise"):
        raise RuntimeError("as it was asked to")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notes:
        notes.sendto(b"READY", os.environ["NOTIFY_SOCKET"])
    open("at rest", "w").close()
    signal.pause()

sys.exit(Supervisor(read_settings(), {"worker": worker}, preload).run())
"""


@pytest.fixture
def start(tmp_path):
    """A function that runs a supervisor with these children; it is killed at the end."""
    running = []

    def run(commands=None, *, data_dir=tmp_path / "data", port=0, program=RUN):
        if commands is None:
            commands = {"gateway-0": (*PYTHON, GATEWAY), "worker": (*PYTHON, WORKER)}
        env = {**os.environ, "FARERO_DATA_DIR": str(data_dir), "FARERO_PORT": str(port)}
        arguments = [sys.executable, "-c", program, json.dumps(commands)]
        process = subprocess.Popen(arguments, env=env, stderr=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture
def control(tmp_path):
    return Control(tmp_path / "data" / "run" / "supervisor.sock")


@pytest.fixture
def compute(tmp_path):
    return LocalCompute(tmp_path / "data" / "run" / "supervisor.sock")


@pytest.fixture
def up(start, control, wait_for):
    """A supervisor whose gateway and worker are ready."""
    process = start()
    wait_for(control.answers)
    control.wait_ready(40)
    return process


def ask(url):
    """Return the pid of the gateway that answers."""
    host, _, port = url.removeprefix("http://").partition(":")
    with (
        socket.create_connection((host, int(port)), timeout=5) as connection,
        connection.makefile() as answer,
    ):
        return int(answer.read())


def is_alive(pid):
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def test_it_is_ready_when_every_child_has_said_so(up, control):
    info = control.info()

    assert control.is_ready()
    assert ask(info["url"]) == info["gateways"][0]
    assert is_alive(info["worker"])
    assert info["pid"] == up.pid


def test_it_is_not_ready_while_a_child_is_silent(start, control, wait_for):
    start({"gateway-0": (*PYTHON, GATEWAY), "worker": ("/bin/sleep", "600")})
    wait_for(control.answers)

    with pytest.raises(NotReady, match=r"within 0\.5 s"):
        control.wait_ready(0.5)

    assert not control.is_ready()


def test_a_stranger_cannot_make_it_ready(start, control, wait_for, tmp_path):
    start({"worker": ("/bin/sleep", "600")})
    wait_for(control.answers)

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notes:
        notes.sendto(b"READY", os.fspath(tmp_path / "data" / "run" / "notify.sock"))

    assert not control.is_ready()


def test_fixed_children_are_no_processes_of_the_seam(up, compute):
    assert compute.list() == []


def test_a_second_one_is_refused_and_told_the_pid_of_the_first(up, start):
    second = start()

    assert second.wait(30) == 1
    assert f"in use by another Farero (pid {up.pid})" in second.stderr.read()


def test_a_busy_port_is_refused_naming_its_holder(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(port=port)

        assert process.wait(30) == 1
        message = process.stderr.read()

    assert f"port {port} is taken by " in message
    assert f"(pid {os.getpid()})" in message


@pytest.mark.parametrize("too_long", [0, 1, 60])
def test_a_data_directory_too_deep_for_sockets_is_refused(start, tmp_path, wait_for, too_long):
    # a replica's socket is the longest: DATA/run/r/ID.sock, of at most 107 bytes
    room = 107 - len(os.fsencode(tmp_path)) - len("//run/r/0123456789ab.sock")
    data_dir = tmp_path / ("d" * (room + too_long))
    process = start(data_dir=data_dir)

    if not too_long:
        control = Control(data_dir / "run" / "supervisor.sock")
        wait_for(control.answers)
        control.wait_ready(30)
        return
    assert process.wait(30) == 1
    said = process.stderr.read()
    assert f"{too_long} bytes too long" in said
    assert "choose a shorter FARERO_DATA_DIR" in said


def test_a_killed_gateway_is_started_again_and_no_connection_is_refused(up, control, wait_for):
    info = control.info()
    before = info["gateways"][0]

    os.kill(before, signal.SIGKILL)
    wait_for(lambda: not is_alive(before))  # until then it may take a connection with it
    answers = {ask(info["url"]) for _ in range(20)}
    wait_for(lambda: control.info()["ready"])

    assert control.info()["gateways"][0] in answers
    assert control.info()["gateways"][0] != before


def test_a_killed_worker_is_started_again_and_processes_go_on(
    up, control, compute, wait_for, tmp_path
):
    compute.start(spec(tmp_path))
    before = control.info()["worker"]

    os.kill(before, signal.SIGKILL)
    wait_for(lambda: control.info()["worker"] not in (None, before))

    assert compute.status("test/one").state == "running"


def test_a_forked_child_has_what_was_imported_and_nothing_else_of_the_supervisor(
    start, control, wait_for, tmp_path
):
    process = start({}, program=FORKED)
    wait_for(control.answers)
    control.wait_ready(40)
    worker = control.info()["worker"]
    wait_for((tmp_path / "data" / "at rest").exists)  # its own socket is closed by then

    births = (tmp_path / "data" / "births").read_text().splitlines()
    name = Path(f"/proc/{worker}/cmdline").read_bytes().rstrip(b"\0")
    opened = [os.fspath(one.readlink()) for one in Path(f"/proc/{worker}/fd").iterdir()]
    process.terminate()

    assert [json.loads(line) for line in births] == [["preloaded", "worker", None, "an error"]]
    assert name == b"farero worker"
    assert not [path for path in opened if path.startswith("socket:")]
    assert process.wait(30) == 0
    wait_for(lambda: not is_alive(worker))


def test_a_forked_child_that_fails_says_why_and_is_started_again(
    start, control, wait_for, tmp_path
):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "raise").touch()
    process = start({}, program=FORKED)
    births = tmp_path / "data" / "births"

    wait_for(lambda: births.exists() and len(births.read_text().splitlines()) > 1)
    process.terminate()

    assert process.wait(30) == 0
    log = (tmp_path / "data" / "logs" / "worker.log").read_text()
    assert "RuntimeError: as it was asked to" in log
    assert "worker ended (code 1)" in process.stderr.read()
    assert {json.loads(line)[2] for line in births.read_text().splitlines()} == {None}


@pytest.mark.parametrize(
    ("says", "quick_death_s", "pauses"),
    [
        pytest.param("", 5.0, [0.05, 0.1, 0.2, 0.4, 0.8], id="never ready"),
        pytest.param("", 0.0, [0.05, 0.1, 0.2, 0.4, 0.8], id="never ready, dies slowly"),
        pytest.param(SAY_READY, 5.0, [0.05, 0.1, 0.2, 0.4, 0.5], id="was ready"),
        pytest.param(SAY_READY, 0.0, [0.05] * 5, id="was ready, dies after a while"),
    ],
)
def test_a_child_that_keeps_dying_waits_longer_each_time(
    start, wait_for, tmp_path, says, quick_death_s, pauses
):
    births = tmp_path / "data" / "births"
    program = RUN.replace(
        "\ntry:", f"\nfrom farero.compute import fixed\nfixed.QUICK_DEATH_S = {quick_death_s}\ntry:"
    )
    process = start({"worker": (*PYTHON, says + SHORT_LIVED)}, program=program)

    wait_for(lambda: births.exists() and len(births.read_text()) > len(pauses), 60)
    process.kill()

    told = re.findall(r"again in ([\d.]+) s", process.stderr.read())
    assert [float(pause) for pause in told[: len(pauses)]] == pauses


def spec(tmp_path, script="sleep 600", name="test/one", **fields):
    return ProcessSpec(
        name=name,
        argv=("/bin/sh", "-c", script),
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        log_path=tmp_path / f"{name.replace('/', '-')}.log",
        **fields,
    )


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "shutdown"])
def test_it_ends_in_order_and_leaves_nothing(up, control, compute, how, tmp_path):
    for name in ("endpoint/iris/1", "job/train"):
        compute.start(spec(tmp_path, name=name))
    pids = [one["pid"] for one in control.info()["processes"]]

    control.shutdown() if how == "shutdown" else up.send_signal(signal.Signals[how])

    assert up.wait(10) == 0
    assert len(pids) == 4
    assert not any(is_alive(pid) for pid in pids)
    assert {one.name for one in (tmp_path / "data" / "run").iterdir()} == {"lock"}


def test_gateways_end_first_and_replicas_last(start, control, compute, wait_for, tmp_path):
    order = tmp_path / "order"
    script = "trap 'echo NAME >> {}; exit 0' TERM; {}; while :; do sleep 0.02; done"
    names = ["endpoint/iris", "job/train", "worker", "gateway-0"]
    scripts = {
        name: script.format(order, f"touch {tmp_path / name.replace('/', '-')}").replace(
            "NAME", name
        )
        for name in names
    }
    process = start({name: ("/bin/sh", "-c", scripts[name]) for name in ("gateway-0", "worker")})
    wait_for(control.answers)
    for name in ("endpoint/iris", "job/train"):
        compute.start(spec(tmp_path, scripts[name], name=name))
    wait_for(lambda: all((tmp_path / name.replace("/", "-")).exists() for name in names))

    process.terminate()

    assert process.wait(10) == 0
    assert order.read_text().split() == ["gateway-0", "worker", "job/train", "endpoint/iris"]


def test_while_it_ends_the_port_is_closed_and_nothing_is_started(
    start, control, compute, wait_for, tmp_path
):
    process = start({"worker": (*PYTHON, STUBBORN)})
    wait_for(control.answers)
    control.wait_ready(40)
    url = control.info()["url"]

    process.terminate()
    wait_for(lambda: not control.is_ready())

    with pytest.raises(NotReady, match="ending"):
        compute.start(spec(tmp_path))
    with pytest.raises(ConnectionRefusedError):
        ask(url)


def test_asked_twice_to_end_it_loses_patience(start, control, wait_for, tmp_path):
    process = start({"worker": (*PYTHON, STUBBORN)})
    wait_for(control.answers)
    control.wait_ready(40)

    process.terminate()
    wait_for(control.answers)
    control.shutdown()

    assert process.wait(8) == 0  # less than the patience of one who is asked once


def test_the_sockets_are_for_the_owner_alone(up, tmp_path):
    run = tmp_path / "data" / "run"

    modes = {
        stat.S_IMODE((run / name).stat().st_mode) for name in ("supervisor.sock", "notify.sock")
    }

    assert modes == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_gets_no_answer_even_with_the_socket_opened_up(up, control, tmp_path):
    path = tmp_path / "data" / "run" / "supervisor.sock"
    for folder in [path, *path.parents][:-2]:
        folder.chmod(folder.stat().st_mode | 0o777)
    ask_as_nobody = (
        "import os, socket, sys; one = socket.socket(socket.AF_UNIX); os.setgid(65534); os.setuid(65534);"
        'one.connect(sys.argv[1]); one.send(b\'{"op": "ping"}\\n\'); print(one.recv(100))'
    )

    answer = subprocess.run(
        [*PYTHON, ask_as_nobody, str(path)], capture_output=True, text=True, check=False
    )

    assert "result" not in answer.stdout


@pytest.mark.parametrize(
    "line",
    [b"\n", b"nonsense\n", b"[]\n", b"{}\n", b'{"op": "fly"}\n', b'{"op": "start"}\n',
     b'{"op": "start", "spec": {"name": 1}}\n', b'{"op": "status", "name": []}\n', b"\xff\xfe\n"],
)  # fmt: skip
def test_nonsense_on_the_control_socket_is_refused_and_harms_nothing(up, control, tmp_path, line):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(os.fspath(tmp_path / "data" / "run" / "supervisor.sock"))
        one.sendall(line)
        with one.makefile() as stream:
            answer = json.loads(stream.read())

    assert answer["error"] == "Invalid"
    assert control.is_ready()


def test_a_client_that_leaves_in_the_middle_harms_nothing(up, control, tmp_path):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(os.fspath(tmp_path / "data" / "run" / "supervisor.sock"))
        one.sendall(b'{"op": "pi')

    assert control.is_ready()


def test_a_program_without_argv_or_log_is_refused(up, compute, tmp_path):
    (tmp_path / "file").touch()
    no_log = ProcessSpec(
        name="x", argv=("/bin/true",), cwd=tmp_path, log_path=tmp_path / "file" / "log"
    )
    no_program = ProcessSpec(name="x", argv=(), cwd=tmp_path, log_path=tmp_path / "log")

    with pytest.raises(Invalid, match="cannot write the log"):
        compute.start(no_log)
    with pytest.raises(Invalid, match="no program"):
        compute.start(no_program)


def test_an_answer_from_nobody_says_that_farero_is_not_running(tmp_path):
    with pytest.raises(NotReady, match="not running"):
        LocalCompute(tmp_path / "none.sock").list()


@pytest.mark.parametrize("name", ["keys/owner.json", "spool/captured", "state.db"])
def test_secrets_are_hidden_from_processes(up, control, compute, wait_for, tmp_path, name):
    secret = tmp_path / "data" / name
    secret.parent.mkdir(exist_ok=True)
    secret.write_text("4c0ffee")

    one = spec(tmp_path, f"umount {secret.parent} {secret}; cat {secret}")
    compute.start(one)
    wait_for(lambda: compute.status("test/one").state == "exited")

    is_hidden = "mount" in control.info()["isolation"]
    assert ("4c0ffee" in one.log_path.read_text()) != is_hidden
    assert secret.read_text() == "4c0ffee"


def test_a_process_cannot_ask_the_supervisor_for_another_outside_its_walls(
    up, control, compute, wait_for, tmp_path
):
    ask_it = 'import socket, sys; one = socket.socket(socket.AF_UNIX); one.connect(sys.argv[1]); one.send(b\'{"op": "ping"}\\n\'); print(one.recv(99))'
    path = tmp_path / "data" / "run" / "supervisor.sock"
    one = dataclasses.replace(spec(tmp_path), argv=(*PYTHON, ask_it, str(path)))

    compute.start(one)
    wait_for(lambda: compute.status("test/one").state == "exited")

    is_walled = "mount" in control.info()["isolation"]
    assert ("result" in one.log_path.read_text()) != is_walled


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to lose")
def test_a_process_of_root_cannot_look_into_the_platform(up, compute, wait_for, tmp_path):
    one = spec(tmp_path, f"ls /proc/{up.pid}/root/ && echo open")

    compute.start(one)
    wait_for(lambda: compute.status("test/one").state == "exited")

    assert "open" not in one.log_path.read_text()


def test_all_is_gone_after_a_kill_and_the_port_is_free(up, control, start, wait_for):
    info = control.info()
    pids = [one["pid"] for one in info["processes"]]

    up.kill()
    wait_for(lambda: not any(is_alive(pid) for pid in pids))
    start(port=int(info["url"].rpartition(":")[2]))
    wait_for(lambda: control.answers() and control.is_ready())

    assert control.info()["url"] == info["url"]


def test_a_flood_of_output_does_not_fill_the_disk(up, compute, wait_for, tmp_path):
    one = spec(tmp_path, "yes a line of output | head -c 250000000; echo the last words")

    compute.start(one)
    wait_for(lambda: compute.status("test/one").state == "exited", seconds=30)

    assert one.log_path.stat().st_size < 101_000_000
    assert b"farero: dropped " in one.log_path.read_bytes()
    assert one.log_path.read_bytes().endswith(b"the last words\n")


@pytest.mark.chaos
def test_a_fork_bomb_is_put_out_and_nobody_else_is_hurt(up, compute, wait_for, tmp_path):
    compute.start(spec(tmp_path, name="test/neighbour"))

    compute.start(spec(tmp_path, "while :; do sleep 600 & done", name="test/bomb"))
    wait_for(lambda: compute.status("test/bomb").state == "exited", seconds=60)

    assert compute.status("test/bomb").exit_code == -signal.SIGKILL
    assert compute.status("test/neighbour").state == "running"
