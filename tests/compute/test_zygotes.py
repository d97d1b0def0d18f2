"""Processes forked from one that has their framework imported: like any other process, only sooner."""

import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from tests.conftest import RunningSupervisor

import farero_container
from farero.records.compute import ProcessSpec, Zygote

#: A script whose model says what its process sees.
SCRIPT = """
import os, sys
def model_fn(model_dir):
    return None
def transform_fn(model, body, content_type, accept):
    import json
    return json.dumps({
        "environ": dict(os.environ), "cwd": os.getcwd(), "path": sys.path, "pid": os.getpid(),
        "files": sorted(os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                        if os.path.exists(f"/proc/self/fd/{n}")),
    }), "application/json"
"""


@pytest.fixture
def container(tmp_path):
    """A folder for PYTHONPATH with the model server alone."""
    folder = tmp_path / "container"
    folder.mkdir()
    (folder / "farero_container").symlink_to(Path(farero_container.__file__).parent)
    return folder


@pytest.fixture
def zygote(tmp_path, container):
    """A zygote of the framework that is imported soonest."""
    early = {"PYTHONPATH": str(container), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    return Zygote(
        name="zygote/xgboost-test",
        argv=(sys.executable, "-u", "-m", "farero_container", "zygote", "xgboost"),
        env={"PATH": "/usr/bin:/bin", **early},
        log_path=tmp_path / "logs" / "zygote.log",
    )


@pytest.fixture
def spec(tmp_path, container, zygote):
    """A function: number, variables → spec of a model server that can be forked."""

    def make(number=0, *, script=SCRIPT, kind="", env=(), **fields):
        base = tmp_path / f"r{number}"
        for name in ("model/code", "output", "tmp"):
            (base / name).mkdir(parents=True)
        (base / "model" / "code" / "inference.py").write_text(script)
        given = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(container),
            "PYTHONUNBUFFERED": "1",
            "SAGEMAKER_BASE_DIR": str(base),
            "FARERO_SOCKET": str(tmp_path / f"{number}.sock"),
            "FARERO_FRAMEWORK": kind,
            **dict(env),
        }
        values = {
            "name": f"endpoint/e/{number}",
            "argv": (sys.executable, "-u", "-m", "farero_container", "serve"),
            "env": given,
            "cwd": base,
            "opt_ml": base,
            "log_path": tmp_path / "logs" / f"{number}.log",
            "zygote": zygote,
            "grace_s": 5.0,
        }
        return ProcessSpec(**{**values, **fields})

    return make


@pytest.fixture
def compute(supervisor):
    return supervisor.compute


def invoke(path):
    """POST nothing to a model server; return what its model says, None while it is not there."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(path)
            client.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: l\r\nContent-Length: 2\r\n"
                b"Content-Type: application/json\r\nConnection: close\r\n\r\n{}"
            )
            with client.makefile("rb") as stream:
                answer = stream.read()
    except OSError:
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer
    return json.loads(body)


@pytest.fixture
def serve(compute, wait_for):
    """A function: spec → what its model says once it serves."""

    def run(one):
        compute.start(one)
        return wait_for(lambda: invoke(one.env["FARERO_SOCKET"]), 60)

    return run


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def is_alive(pid):
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


def is_forked(pid):
    """Say whether a process never ran a program of its own: it still goes by the zygote's command line."""
    return b"zygote" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_fork_is_a_child_with_its_own_environment_folder_and_no_descriptor_of_others(
    compute, spec, serve, supervisor
):
    first = serve(spec(0))
    one = spec(1, env={"GREETING": "hello"})

    seen = serve(one)

    assert is_forked(seen["pid"])
    assert compute.status(one.name).pid == seen["pid"] != first["pid"]
    assert parent_of(seen["pid"]) == supervisor.process.pid
    own = seen["environ"] | {"PYTHONPATH": one.env["PYTHONPATH"]}  # the server puts code/ in front
    assert own == {**one.env, "OMP_NUM_THREADS": "1"}
    assert seen["cwd"] == str(one.cwd)
    assert seen["path"][0] == str(one.cwd / "model" / "code")
    strange = [file for file in seen["files"] if file.startswith("/") and "/proc/" not in file]
    assert set(strange) <= {"/dev/null", str(one.log_path)}


def test_a_fork_leads_a_session_has_no_privilege_to_gain_and_dumps_no_core(spec, serve):
    pid = serve(spec(0))["pid"]
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    limits = Path(f"/proc/{pid}/limits").read_text()

    assert os.getsid(pid) == os.getpgid(pid) == pid
    assert status["NoNewPrivs"] == "1"
    assert status["Umask"] == "0077"
    assert int(status["CapEff"], 16) & (1 << 21) == 0  # CAP_SYS_ADMIN
    assert status["CapInh"] == "0000000000000000"
    assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "500\n"
    core = next(line for line in limits.splitlines() if line.startswith("Max core"))
    assert core.split()[4:6] == ["0", "0"]


def test_what_a_fork_prints_goes_to_its_own_log(spec, serve):
    one, other = spec(0, script="print('I am one')\n" + SCRIPT), spec(1)

    serve(one)
    serve(other)

    assert "I am one" in one.log_path.read_text()
    assert "I am one" not in other.log_path.read_text()


def test_the_end_of_a_fork_is_seen_with_its_code(compute, spec, serve, wait_for):
    one = spec(0)
    pid = serve(one)["pid"]

    os.kill(pid, signal.SIGKILL)

    wait_for(lambda: compute.status(one.name).state == "exited")
    assert compute.status(one.name).exit_code == -signal.SIGKILL
    assert compute.status("zygote/xgboost-test").state == "running"


def test_a_fork_ends_in_order_when_it_is_stopped(compute, spec, serve, wait_for):
    one = spec(0)
    serve(one)

    compute.stop(one.name)

    wait_for(lambda: compute.status(one.name).state == "exited")
    assert compute.status(one.name).exit_code == 0


def test_a_model_that_cannot_be_loaded_ends_with_the_code_of_the_model_server(
    compute, spec, wait_for
):
    one = spec(0, script="import not_there")

    compute.start(one)

    wait_for(lambda: compute.status(one.name).state == "exited", 60)
    assert compute.status(one.name).exit_code == 1
    assert json.loads((one.cwd / "output" / "failure.json").read_text())["cause"]


def test_a_fork_that_is_stopped_before_the_zygote_is_ready_never_runs(compute, spec, wait_for):
    one = spec(0)
    compute.start(one)

    compute.stop(one.name)

    wait_for(lambda: compute.status(one.name).state == "exited")
    assert compute.status(one.name).pid is None
    assert compute.start(spec(1)).state == "running"


def test_a_killed_zygote_costs_nobody_and_is_started_anew(compute, spec, serve, wait_for, zygote):
    serving = serve(spec(0))["pid"]
    compute.keep([zygote])
    killed = compute.status(zygote.name).pid

    os.kill(killed, signal.SIGKILL)

    wait_for(lambda: compute.status(zygote.name).pid not in (None, killed), 30)
    assert is_alive(serving)
    assert is_forked(serve(spec(1))["pid"])


def test_a_zygote_that_hangs_is_replaced_and_costs_a_fresh_process(
    compute, spec, serve, wait_for, zygote
):
    serve(spec(0))
    hanging = compute.status(zygote.name).pid
    os.kill(hanging, signal.SIGSTOP)

    seen = serve(spec(1))

    assert not is_forked(seen["pid"])
    assert not is_alive(hanging)


def test_a_zygote_killed_while_it_imports_leaves_a_fresh_process(compute, spec, zygote, wait_for):
    one = spec(0)
    compute.start(one)
    os.kill(compute.status(zygote.name).pid, signal.SIGKILL)

    seen = wait_for(lambda: invoke(one.env["FARERO_SOCKET"]), 60)

    assert not is_forked(seen["pid"])


def test_variables_that_python_or_a_library_reads_at_its_start_get_a_new_program(spec, serve):
    seen = serve(spec(0, env={"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2"}))

    assert not is_forked(seen["pid"])
    assert seen["environ"]["PYTHONHASHSEED"] == "7"


def test_a_script_for_xgboost_gets_a_python_that_can_import_scikit_learn_with_it(spec, serve):
    script = "import xgboost\nassert xgboost.XGBClassifier\n" + SCRIPT

    assert not is_forked(serve(spec(0, script=script, kind="xgboost"))["pid"])


def test_kill_9_of_the_supervisor_leaves_neither_zygote_nor_fork(
    supervisor, compute, spec, serve, zygote, wait_for
):
    pids = [serve(spec(0))["pid"], compute.status(zygote.name).pid]

    supervisor.process.kill()

    wait_for(lambda: not any(map(is_alive, pids)))


def test_where_no_namespace_is_made_a_fork_serves_all_the_same(tmp_path, spec, wait_for):
    running = RunningSupervisor(tmp_path / "plain", FARERO_ISOLATION="none")
    try:
        wait_for(running.control.answers)
        one = spec(0)
        running.compute.start(one)
        seen = wait_for(lambda: invoke(one.env["FARERO_SOCKET"]), 60)
        was_forked = is_forked(seen["pid"])
    finally:
        running.stop()

    assert was_forked
    assert not is_alive(seen["pid"])
