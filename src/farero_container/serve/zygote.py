"""`python -m farero_container zygote FRAMEWORK`: has the framework imported and forks model servers from itself.

It starts no thread and no event loop, loads no model and no user code, so a fork of it is as good as a new process:
one thread, no connection, no file. Each request on descriptor 3 brings three descriptors: the order (JSON), the
output, and a socket on which the fork reports its pid and is told to go on. The fork is orphaned at once, so that the
asker, a child subreaper, becomes its parent. It takes on its environment, folder, limits and namespaces by itself;
where the environment asks for what must be known at the start of Python or of a library, it runs the program anew.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import resource
import select
import signal
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import Any, NoReturn

from farero_container import contract
from farero_container.contract import StartUpError

CHANNEL = 3
CANNOT_RUN = 127
#: Until a fork must have become the asker's child.
ORPHANED_WITHIN_S = 10.0
#: Variables that are read while Python or a library starts; a fork has no say in them any more.
EARLY = ("PYTHON", "LD_", "OMP_", "MKL_", "OPENBLAS_", "KMP_", "GOMP_", "MALLOC_", "GLIBC_", "NUMEXPR_",
         "NPY_", "TORCH", "PYTORCH_", "ATEN_", "DNNL_", "ONEDNN_", "CUDA_", "XGBOOST_", "JOBLIB_")  # fmt: skip
#: What every model server imports.
COMMON = ("uvloop", "farero_container.serve.run", "farero_container.serve.handler")
FRAMEWORKS = {
    "xgboost": ("farero_container.serve.frameworks.xgboost",),
    # without onnxruntime: its import starts a thread; and without xgboost, which later starts do not need
    "xgboost-accelerated": ("farero_container.serve.frameworks.xgboost", "importlib.metadata"),
    "sklearn": (
        "joblib",
        "sklearn.ensemble",
        "sklearn.linear_model",
        "sklearn.pipeline",
        "farero_container.serve.frameworks.sklearn",
    ),
    "pytorch": ("torch", "farero_container.serve.frameworks.pytorch"),
    # without torch: an accelerated network does not need it
    "pytorch-accelerated": (
        "farero_container.serve.frameworks.pytorch_accelerated",
        "importlib.metadata",
    ),
}

# <linux/prctl.h>, <linux/capability.h>
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NAME, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = (
    1,
    4,
    15,
    24,
    38,
)
_CAPABILITY_VERSION_3 = 0x20080522


def main(framework: str) -> int:
    """Import, then fork whenever asked; returns 0 when the asker has gone, and in a fork what the server returns."""
    parent = os.getppid()
    own_env = dict(os.environ)
    channel = socket.socket(fileno=CHANNEL)
    preload(framework)
    gc.collect()
    gc.disable()
    gc.freeze()
    print(f"farero: {framework} is imported", flush=True)
    is_warm = False
    while True:
        if not is_warm and not select.select([channel], [], [], 0)[0]:  # who waits goes first
            _warm_up(framework)
            is_warm = True
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - a fork would lose the others
            print(
                f"farero: {framework} starts threads when imported; nothing is forked", flush=True
            )
            return 1
        data, descriptors, _, _ = socket.recv_fds(channel, 16, 3)
        if not data:
            return 0
        child = os.fork()
        if child == 0:
            if os.fork():
                os._exit(0)
            channel.close()
            order, output, talk = descriptors
            return _become(order, output, talk, parent=parent, own_env=own_env)
        for one in descriptors:
            os.close(one)
        os.waitpid(child, 0)


def preload(framework: str) -> None:
    """Import all that a server of this framework needs; what is not installed is left to the server to complain of."""
    for name in (*COMMON, *FRAMEWORKS[framework]):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if framework == "xgboost":
        from farero_container.serve.frameworks.xgboost_library import import_xgboost

        with contextlib.suppress(StartUpError):
            import_xgboost()
    if framework == "pytorch" and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # before anything makes a pool of threads


def _warm_up(framework: str) -> None:
    """Do once what would make the first answer of every fork slow."""
    if framework == "pytorch" and "torch" in sys.modules:
        with contextlib.suppress(Exception):  # it only makes things quicker
            _run_tiny_network(sys.modules["torch"])
    gc.freeze()


def _run_tiny_network(torch: Any) -> None:
    """Run TorchScript: what the first run of any network sets up is most of the time it takes."""
    nn = torch.nn
    network = nn.Sequential(
        nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.ReLU(), nn.MaxPool1d(2), nn.LSTM(3, 1)
    ).eval()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        sample = torch.zeros(1, 1, 8)
        file = io.BytesIO()
        torch.jit.save(torch.jit.script(network), file)
        file.seek(0)
        loaded = torch.jit.load(file)
        for _ in range(3):  # profiled, optimised, as it stays
            torch.sigmoid(nn.functional.linear(loaded(sample)[0], torch.zeros(1, 1)))


def _become(order: int, output: int, talk: int, *, parent: int, own_env: dict[str, str]) -> int:
    """Turn this fork into the process that the order describes, and serve."""
    channel = socket.socket(fileno=talk)
    try:
        _wait_for(parent)
        os.setsid()
        _die_with(parent)
        channel.send(b"%d" % os.getpid())
        answer, namespaces, _, _ = socket.recv_fds(channel, 16, 2)
        if not answer:
            os._exit(CANNOT_RUN)  # nobody wants it any more
        with open(order, "rb", closefd=False) as file:
            file.seek(0)
            wanted: dict[str, Any] = json.loads(file.read())
        _arrange_descriptors(output, {talk, *namespaces})
        _confine(wanted, namespaces)
        _die_with(parent)
        os.chdir(wanted["cwd"])
        env: dict[str, str] = wanted["env"]
        if _differs_early(own_env, env):
            os.execvpe(wanted["argv"][0], wanted["argv"], env)  # noqa: S606
        _take_on(env)
        if _is_served_by_script():
            os.execvpe(wanted["argv"][0], wanted["argv"], env)  # noqa: S606
        channel.close()
    except BaseException as error:  # noqa: BLE001 - a fork must never go on as a zygote
        _give_up(channel, error)
    gc.enable()
    from farero_container.serve import run

    return run.main()


def _wait_for(parent: int) -> None:
    deadline = time.monotonic() + ORPHANED_WITHIN_S
    while os.getppid() != parent:
        if time.monotonic() > deadline:
            raise TimeoutError("the supervisor is not the parent of a fork")
        time.sleep(0.0002)


def _arrange_descriptors(output: int, keep: set[int]) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(null, 0)
    before = 2
    for one in sorted(keep):
        os.set_inheritable(one, False)
        os.closerange(before + 1, one)
        before = one
    os.closerange(before + 1, os.sysconf("SC_OPEN_MAX"))


def _confine(wanted: dict[str, Any], namespaces: list[int]) -> None:
    """Do to this process what is done to every model and job: namespaces, no privileges, limits."""
    libc = _libc()
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    for one in namespaces:  # the user's first: it gives the right to enter the other
        _check(libc.setns(one, 0))
        os.close(one)
    kept: list[int] = wanted["capabilities"]
    for capability in range(64) if os.geteuid() == 0 else ():
        if capability not in kept:
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    _keep_capabilities(sum(1 << number for number in kept))
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    files: int = wanted["open_files"]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = files if hard == resource.RLIM_INFINITY else min(hard, files)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    libc.prctl(_PR_SET_NAME, b"farero-replica", 0, 0, 0)


def _keep_capabilities(mask: int) -> None:
    """Give up every capability that is not in `mask`, as `exec` with a smaller bounding set does."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (
        ctypes.c_uint32 * 6
    )()  # effective, permitted, inheritable; the low words, then the high ones
    _check(_libc().capget(header, data))
    for word in range(2):
        part = (mask >> 32 * word) & 0xFFFFFFFF
        permitted = data[3 * word + 1] & part
        data[3 * word], data[3 * word + 1], data[3 * word + 2] = permitted, permitted, 0
    _check(_libc().capset(header, data))


def _differs_early(own: dict[str, str], env: dict[str, str]) -> bool:
    """Say whether the environment asks for something that was settled when this process began."""
    return any(
        env.get(name, own.get(name) if name.endswith("_NUM_THREADS") else None) != own.get(name)
        for name in {*own, *env}
        if name.startswith(EARLY)
    )


def _take_on(env: dict[str, str]) -> None:
    """Become what a new Python with this environment would be."""
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv[1:] = ["serve"]
    if sys.path and sys.path[0] in ("", _STARTED_AT):
        sys.path[0] = os.getcwd()  # noqa: PTH109 - as `python -m` puts it there
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random:
        numpy_random.seed()  # forks would all draw the same numbers
    tempfile: Any = sys.modules.get("tempfile")
    if tempfile:
        tempfile.tempdir = None  # TMPDIR is another one now


def _is_served_by_script() -> bool:
    """Say whether a user's script meets an XGBoost that was imported without scikit-learn."""
    from farero_container.serve.script import find_script

    if contract.framework() != "xgboost":
        return False
    try:
        return find_script(contract.model_dir()) is not None
    except StartUpError:
        return False  # the server says so, too


def _give_up(channel: socket.socket, error: BaseException) -> NoReturn:
    text = f"farero: cannot fork a replica: {type(error).__name__}: {error}"
    with contextlib.suppress(OSError):
        os.write(2, (text + "\n").encode())
        channel.send(text.encode())
    os._exit(CANNOT_RUN)


def _die_with(parent: int) -> None:
    _check(_libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(CANNOT_RUN)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_STARTED_AT = sys.path[0] if sys.path else ""
