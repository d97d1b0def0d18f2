"""What every implementation of `farero.compute.base.Compute` must do."""

import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

import pytest

from farero.records.compute import ProcessSpec, ProcessStatus

SCRIPT_ENV = {"PATH": os.environ["PATH"], "LC_ALL": "C"}


@pytest.fixture(params=["local"])
def compute(request):
    return {"local": request.getfixturevalue("supervisor")}[request.param].compute


@pytest.fixture
def spec(tmp_path):
    """A function: shell text → spec of a process that runs it."""

    def make(script, *, name="test/one", **fields):
        values = {
            "name": name,
            "argv": ("/bin/sh", "-c", script),
            "env": SCRIPT_ENV,
            "cwd": tmp_path,
            "log_path": tmp_path / "logs" / "output.log",
        }
        return ProcessSpec(**{**values, **fields})

    return make


@pytest.fixture
def finish(compute, wait_for):
    """A function: spec → its status when it has ended."""

    def run(one, seconds=10.0):
        compute.start(one)
        wait_for(lambda: compute.status(one.name).state == "exited", seconds)
        return compute.status(one.name)

    return run


def python(text):
    """Return the argv of a program that has only the standard library."""
    return (sys.executable, "-I", "-S", "-c", text)


def in_opt():
    return {entry.name for entry in Path("/opt").iterdir()}


def is_alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_a_started_process_runs_until_it_ends_and_says_how(compute, spec, finish):
    status = finish(spec("echo out; echo err >&2; exit 3"))

    assert (status.name, status.state, status.exit_code) == ("test/one", "exited", 3)
    assert status.started_at <= status.ended_at
    assert not status.out_of_memory


def test_output_and_errors_are_appended_to_the_log(compute, spec, finish):
    one = spec("echo out; echo err >&2")
    one.log_path.parent.mkdir()
    one.log_path.write_text("before\n")

    finish(one)

    assert one.log_path.read_text() == "before\nout\nerr\n"


def test_a_process_that_was_never_started_is_unknown(compute):
    assert compute.status("nobody") == ProcessStatus(name="nobody", state="unknown")


def test_starting_a_running_process_again_changes_nothing(compute, spec):
    first = compute.start(spec("sleep 60"))

    second = compute.start(spec("exit 1"))

    assert first.state == "running"
    assert second == first


def test_a_process_that_has_ended_can_be_started_again(compute, spec, finish):
    first = finish(spec("exit 1"))

    second = finish(spec("exit 2"))

    assert (first.exit_code, second.exit_code) == (1, 2)


def test_the_exit_code_of_a_killed_process_is_the_signal_negated(spec, finish):
    assert finish(spec("kill -SEGV $$")).exit_code == -signal.SIGSEGV


def test_a_program_that_does_not_exist_ends_with_127_and_says_so(spec, finish):
    one = spec("", argv=("/no/such/program",))

    status = finish(one)

    assert status.exit_code == 127
    assert "cannot run /no/such/program" in one.log_path.read_text()


def test_a_working_folder_that_does_not_exist_ends_with_127(spec, finish, tmp_path):
    assert finish(spec("true", cwd=tmp_path / "nowhere")).exit_code == 127


def test_processes_are_listed_by_prefix_with_those_that_ended(compute, spec, finish):
    finish(spec("true", name="job/done"))
    compute.start(spec("sleep 60", name="job/going"))
    compute.start(spec("sleep 60", name="endpoint/iris"))

    listed = [(one.name, one.state) for one in compute.list("job/")]

    assert listed == [("job/done", "exited"), ("job/going", "running")]
    assert len(compute.list()) == 3


def test_a_forgotten_process_is_unknown(compute, spec, finish):
    finish(spec("true"))

    compute.forget("test/one")

    assert compute.status("test/one").state == "unknown"


def test_a_running_process_is_forgotten_when_it_ends(compute, spec, wait_for):
    compute.start(spec("sleep 60"))

    compute.forget("test/one")
    before = compute.status("test/one").state
    compute.stop("test/one")

    assert before == "running"
    assert wait_for(lambda: compute.status("test/one").state == "unknown")


def test_stopping_or_forgetting_what_is_not_there_does_nothing(compute):
    compute.stop("nobody")
    compute.forget("nobody")

    assert compute.list() == []


def test_the_environment_is_exactly_the_one_asked_for(spec, finish, tmp_path):
    asked = {"A": "1", "SAGEMAKER_BASE_DIR": "/x y", "LC_ALL": "C"}
    write = "import json,os; json.dump(dict(os.environ), open('env.json','w'))"

    finish(spec("", argv=python(write), env=asked))

    assert json.loads((tmp_path / "env.json").read_text()) == asked


def test_the_process_holds_no_descriptor_but_the_standard_ones(spec, finish, tmp_path):
    write = "import os; open('fds','w').write(' '.join(sorted(f for f in map(str, range(1000)) if os.path.exists('/proc/self/fd/'+f))))"

    finish(spec("", argv=python(write)))

    # 3 is the file it writes the answer to.
    assert (tmp_path / "fds").read_text() == "0 1 2 3"


def test_a_process_starts_in_its_folder_with_no_way_to_gain_privileges(spec, finish, tmp_path):
    one = spec("pwd; grep NoNewPrivs /proc/self/status; ulimit -c; umask")

    finish(one)

    assert one.log_path.read_text().split() == [str(tmp_path), "NoNewPrivs:", "1", "0", "0077"]


def test_a_broken_pipe_ends_a_process_as_it_should(spec, finish, tmp_path):
    # A parent written in Python ignores SIGPIPE, and children inherit that unless it is undone.
    finish(spec("yes | head -n 1; grep SigIgn /proc/self/status"))

    line, _, mask = (tmp_path / "logs" / "output.log").read_text().split()
    undone = (1 << signal.SIGPIPE - 1) | (1 << signal.SIGXFSZ - 1)
    assert (line, int(mask, 16) & undone) == ("y", 0)


def test_the_folder_is_seen_as_opt_ml_or_told_by_the_environment(
    spec, finish, tmp_path, supervisor
):
    folder = tmp_path / "ml"
    (folder / "model").mkdir(parents=True)
    before = in_opt()
    place = "/opt/ml" if "mount" in supervisor.control.info()["isolation"] else str(folder)

    finish(spec(f"echo hello > {place}/model/file; ls /opt > /dev/null", opt_ml=folder))

    assert (folder / "model" / "file").read_text() == "hello\n"
    assert in_opt() == before


def test_blanks_and_letters_beyond_ascii_are_fine_everywhere(spec, finish, tmp_path):
    folder = tmp_path / "año de ñandúes"
    folder.mkdir()
    one = spec(
        "cat /opt/ml/file || cat file; echo $GREETING",
        name="job/señal",
        cwd=folder,
        opt_ml=folder,
        log_path=folder / "el registro.log",
        env={**SCRIPT_ENV, "GREETING": "¿qué tal?"},
    )
    (folder / "file").write_text("hola\n", encoding="utf-8")

    status = finish(one)

    assert status.name == "job/señal"
    assert one.log_path.read_text(encoding="utf-8") == "hola\n¿qué tal?\n"


def test_what_lies_in_opt_is_still_there_beside_opt_ml(spec, finish, tmp_path):
    one = spec("ls /opt", opt_ml=tmp_path)

    finish(one)

    assert in_opt() <= set(one.log_path.read_text().split())


def test_stop_ends_a_process_with_sigterm(compute, spec, wait_for):
    compute.start(spec("sleep 60"))

    compute.stop("test/one")

    wait_for(lambda: compute.status("test/one").state == "exited")
    assert compute.status("test/one").exit_code == -signal.SIGTERM


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(compute, spec, wait_for):
    one = spec("trap '' TERM; echo ready; while :; do sleep 60; done")
    started = compute.start(one)
    wait_for(lambda: one.log_path.read_text() == "ready\n")

    compute.stop("test/one", grace_s=0.3)

    wait_for(lambda: compute.status("test/one").state == "exited")
    ended = compute.status("test/one")
    assert ended.exit_code == -signal.SIGKILL
    assert (ended.ended_at - started.started_at).total_seconds() >= 0.3


def test_stop_without_grace_kills_at_once(compute, spec, wait_for):
    compute.start(spec("trap '' TERM; sleep 60"))

    compute.stop("test/one", grace_s=0)

    wait_for(lambda: compute.status("test/one").state == "exited", seconds=2.0)


GRANDCHILDREN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for leaves_the_session in (False, True):
    if os.fork() == 0:
        if leaves_the_session:
            os.setsid()
        open(f"pid-{leaves_the_session}.new", "w").write(str(os.getpid()))
        os.rename(f"pid-{leaves_the_session}.new", f"pid-{leaves_the_session}")
        time.sleep(60)
        os._exit(0)
while not (os.path.exists("pid-True") and os.path.exists("pid-False")):
    time.sleep(0.01)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
open("up", "w").close()
if len(sys.argv) < 2:
    time.sleep(60)
"""


@pytest.mark.parametrize("ends_itself", [False, True], ids=["stopped", "ends itself"])
def test_no_grandchild_outlives_a_process(
    compute, spec, wait_for, tmp_path, ends_itself, supervisor
):
    arguments = ("quit",) if ends_itself else ()
    compute.start(spec("", argv=(*python(GRANDCHILDREN), *arguments)))
    wait_for((tmp_path / "up").exists)

    compute.stop("test/one")
    wait_for(lambda: compute.status("test/one").state == "exited")

    in_session = int((tmp_path / "pid-False").read_text())
    out_of_session = int((tmp_path / "pid-True").read_text())
    assert not is_alive(in_session)
    # Only a namespace holds on to what has left the session.
    assert not is_alive(out_of_session) or supervisor.control.info()["isolation"] == "process"


def test_a_process_above_its_memory_limit_is_killed_and_the_reason_kept(spec, finish):
    eat = "import time; kept = bytearray(200_000_000); time.sleep(60)"

    status = finish(spec("", argv=python(eat), memory_bytes=100_000_000))

    assert status.out_of_memory
    assert status.exit_code == -signal.SIGKILL


def test_memory_counts_for_the_children_of_a_process_too(spec, finish):
    eat = "import os, time; os.fork(); kept = bytearray(80_000_000); time.sleep(60)"

    assert finish(spec("", argv=python(eat), memory_bytes=120_000_000)).out_of_memory


def test_memory_that_forked_children_share_counts_once(compute, spec, wait_for, tmp_path):
    share = (
        "import os, time; kept = bytearray(80_000_000); [os.fork() for _ in range(2)];"
        "time.sleep(1.5); open('over', 'w').close(); time.sleep(60)"
    )
    compute.start(spec("", argv=python(share), memory_bytes=200_000_000))

    wait_for((tmp_path / "over").exists)

    assert compute.status("test/one").state == "running"


def test_the_worker_is_woken_when_a_process_ends(spec, finish, supervisor):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as worker:
        worker.bind(os.fspath(supervisor.run_dir / "worker.sock"))
        worker.settimeout(40)

        finish(spec("true", wake="endpoint.reconcile iris"))

        assert worker.recv(100) == b"endpoint.reconcile iris"


def test_the_status_is_there_before_the_worker_is_woken(compute, spec, supervisor):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as worker:
        worker.bind(os.fspath(supervisor.run_dir / "worker.sock"))
        worker.settimeout(40)

        compute.start(spec("exit 7", wake="job.reconcile train"))
        worker.recv(100)

        assert compute.status("test/one").exit_code == 7


BUSY = "import os, time\nheld = b'x' * 50_000_000\nwhile time.process_time() < 0.4: pass\n"
CHILD = f"import os, time\nif os.fork() == 0:\n  os.setsid()\n  exec({BUSY!r})\ntime.sleep(60)\n"


def test_usage_counts_what_a_process_and_its_children_take(compute, spec, wait_for, tmp_path):
    limit = 1_000_000_000
    compute.start(spec("", name="test/busy", argv=python(CHILD), memory_bytes=limit))
    compute.start(spec("sleep 60", name="test/idle"))
    compute.start(spec("sleep 60", name="other"))

    wait_for(lambda: compute.usage("test/busy")[0].cpu_s >= 0.3)
    found = {one.name: one for one in compute.usage("test/")}

    assert found.keys() == {"test/busy", "test/idle"}
    assert found["test/busy"].started_at == compute.status("test/busy").started_at
    assert found["test/busy"].memory_limit_bytes == limit
    assert found["test/idle"].cpu_s < 0.2
    assert 0 < found["test/idle"].memory_bytes < 20_000_000
    assert found["test/idle"].memory_limit_bytes > limit
    disk = shutil.disk_usage(tmp_path)
    assert found["test/idle"].disk_used_bytes == pytest.approx(disk.used, rel=0.1)
    assert disk.used < found["test/idle"].disk_size_bytes <= disk.total


def test_memory_of_a_child_is_part_of_the_usage(compute, spec, wait_for):
    compute.start(spec("", name="test/parent", argv=python(CHILD)))

    wait_for(lambda: compute.usage("test/parent")[0].memory_bytes > 50_000_000)


def test_what_has_ended_takes_nothing(compute, spec, finish):
    finish(spec("exit 0"))

    assert compute.usage("test/") == []
