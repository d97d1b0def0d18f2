"""From a fork to the program: what a child does to itself before it becomes the model server or the job.

It ends with its parent, leads a session of its own, can gain no privilege, holds no descriptor but 0, 1 and 2, dumps
no core, is the kernel's first choice when memory runs out, and (where the host allows) has a mount namespace of its
own in which its folder appears as /opt/ml and the platform's keys do not. Nothing of that leaves a trace on the host.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import select
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: Levels of isolation, weakest first; what `farero status` shows.
PLAIN = "process"
MOUNTS = "process + mount namespace"
USER_MOUNTS = "process + user and mount namespaces"

OPT_ML = Path("/opt/ml")
#: What root keeps: what Docker leaves to a container by default (moby, `caps/defaults.go`), so that a model can
#: neither undo its mounts nor look into the platform's processes. Numbers from <linux/capability.h>.
KEPT_CAPABILITIES = frozenset((0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31))
#: More entries than that in /opt are not rebuilt; the folder is then told by environment only.
MOST_OPT_ENTRIES = 64
CANNOT_RUN = 127
#: What a child says before the program begins.
READY = b"+"
OPEN_FILES = 65536

# <linux/prctl.h>, <sched.h>, <linux/mount.h>
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_CAPBSET_DROP = 1, 15, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT = 1, 2, 4, 32
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_MNT_DETACH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What to become."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    #: Open descriptor for standard output and error.
    output: int
    #: Descriptor that becomes 3 in the child; None for none.
    passed: int | None = None
    #: One of the levels; with `PLAIN` no namespace is made.
    level: str = PLAIN
    opt_ml: Path | None = None
    #: Files and folders that shall look empty.
    hidden: tuple[Path, ...] = ()
    #: The platform's own processes keep their privileges and their place in the memory killer's list.
    is_trusted: bool = False
    #: Called in place of a program, and its result is the exit code; `argv` is then no more than a name.
    run: Callable[[], int] | None = None


def enter(entry: Entry, *, parent: int, talk: int) -> NoReturn:
    """Become the program, in a freshly forked process.

    talk: a close-on-exec socket. It says READY when all namespaces are entered and waits for a byte before the program
    begins; then the parent reads its end, or before that the reason why the program cannot run.
    """
    try:
        _leave_parent()
        talk = _arrange_descriptors(entry, talk)
        _die_with(parent)
        if not entry.is_trusted:
            _limit()
            if entry.level != PLAIN:
                _isolate(entry)
                _die_with(parent)  # the kernel clears it when credentials change
        os.chdir(entry.cwd)
        with contextlib.suppress(OSError):  # the parent waits no longer
            os.write(talk, READY)
        if not os.read(talk, 1):
            os._exit(CANNOT_RUN)
        if entry.run is not None:
            os.close(talk)
            os._exit(_run(entry, entry.run))
        os.execvpe(entry.argv[0], list(entry.argv), dict(entry.env))  # noqa: S606
    except BaseException as error:  # noqa: BLE001 - a forked copy of the supervisor must never go on
        text = f"farero: cannot run {entry.argv[0] if entry.argv else '(no program)'}: {error}"
        with contextlib.suppress(OSError):
            os.write(2, (text + "\n").encode())
            os.write(talk, text.encode())
    finally:
        os._exit(CANNOT_RUN)


def isolation_level() -> str:
    """Try in a child what this host allows, and return the strongest level that works."""
    level = MOUNTS if os.geteuid() == 0 else USER_MOUNTS
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            _new_namespaces(level)
            status = 0
        finally:
            os._exit(status)
    return level if os.waitpid(pid, 0)[1] == 0 else PLAIN


def make_namespaces(entry: Entry, within_s: float) -> list[int]:
    """Return open descriptors of the namespaces that `entry` asks for, to be entered in this order; none for `PLAIN`.

    A short-lived child makes them, which the caller reaps; they live on for as long as somebody is in them or holds
    a descriptor. Raises OSError if the host does not let it, or if a mount takes longer than `within_s` seconds.
    """
    if entry.level == PLAIN:
        return []
    parent = os.getpid()
    done_read, done_write = os.pipe()
    stay_read, stay_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(stay_write)
            _leave_parent()
            _die_with(parent)
            _isolate(entry)
            os.write(done_write, b"+")
            os.read(stay_read, 1)
        finally:
            os._exit(0)
    os.close(done_write)
    os.close(stay_read)
    try:
        if not select.select([done_read], [], [], within_s)[0]:
            os.kill(pid, signal.SIGKILL)
            raise OSError("a mount hangs")
        if not os.read(done_read, 1):
            raise OSError("no namespace could be made")
        kinds = ("user", "mnt") if entry.level == USER_MOUNTS else ("mnt",)
        return [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]
    finally:
        os.close(stay_write)
        os.close(done_read)


def be_subreaper() -> None:
    """Make orphaned grandchildren children of this process, so that they can be seen and ended."""
    _check(_libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def _run(entry: Entry, run: Callable[[], int]) -> int:
    """Do the work of a program that needs none of its own, as it has all that it imports already."""
    os.environ.clear()
    os.environ.update(entry.env)
    _take_name(" ".join(entry.argv))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(
            number, signal.SIG_IGN
        )  # as a new Python does: a caller that has gone is an error, no end
    code = 1
    try:
        code = run()
    except BaseException:  # noqa: BLE001 - a forked copy of the supervisor must never go on
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    return code


def _take_name(name: str) -> None:
    """Be known to `ps` and `top` by another name than the supervisor's."""
    _libc().prctl(_PR_SET_NAME, name.replace(" ", "-").encode()[:15], 0, 0, 0)
    with contextlib.suppress(OSError, ValueError, IndexError):
        # where the kernel finds the command line: in this process's own memory (proc(5), /proc/pid/stat)
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        start, end = int(fields[45]), int(fields[46])
        if 0 < start < end:
            ctypes.memmove(
                start, name.encode()[: end - start - 1].ljust(end - start, b"\0"), end - start
            )


def _leave_parent() -> None:
    signal.set_wakeup_fd(-1)
    # What Python ignores would be ignored by the program too.
    ignored = (signal.SIGPIPE, signal.SIGXFSZ)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, *ignored):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()


def _arrange_descriptors(entry: Entry, talk: int) -> int:
    """Make 0, 1, 2 and perhaps 3 what they shall be and close the rest; return the new `talk`."""
    # Copies above every number in use first, so that no `dup2` overwrites a source.
    output, talk = _high_copy(entry.output), _high_copy(talk)
    passed = None if entry.passed is None else _high_copy(entry.passed)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    first = 3
    if passed is not None:
        os.dup2(passed, 3)
        first = 4
    os.closerange(first, talk)
    os.closerange(talk + 1, os.sysconf("SC_OPEN_MAX"))
    return talk


def _high_copy(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)


def _die_with(parent: int) -> None:
    _check(_libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(CANNOT_RUN)


def _limit() -> None:
    _check(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    for capability in range(64) if os.geteuid() == 0 else ():
        if capability not in KEPT_CAPABILITIES:
            _libc().prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # takes effect with the program
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def _isolate(entry: Entry) -> None:
    _new_namespaces(entry.level)
    for path in entry.hidden:
        if path.is_dir():
            _mount("tmpfs", path, "tmpfs", _MS_RDONLY | _MS_NOSUID | _MS_NODEV, "size=4k")
        elif path.exists():
            _mount(os.devnull, path, None, _MS_BIND)
    if entry.opt_ml is not None:
        # Always told by environment too, so a host where this fails still runs the program.
        with contextlib.suppress(OSError):
            if not OPT_ML.is_dir():
                _rebuild_opt()
            _mount(entry.opt_ml, OPT_ML, None, _MS_BIND | _MS_REC)


def _new_namespaces(level: str) -> None:
    uid, gid = os.geteuid(), os.getegid()
    with_user = level == USER_MOUNTS
    _check(_libc().unshare(_CLONE_NEWNS | (_CLONE_NEWUSER if with_user else 0)))
    if with_user:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")
    _mount("none", Path("/"), None, _MS_REC | _MS_PRIVATE)


def _rebuild_opt() -> None:
    """Put a small file system over /opt that shows all that was there, and a folder `ml`.

    Only this namespace sees it: the host's /opt is not touched.
    """
    opt = OPT_ML.parent
    names = [entry.name for entry in opt.iterdir()]
    if len(names) > MOST_OPT_ENTRIES:
        raise OSError(f"{opt} has more than {MOST_OPT_ENTRIES} entries")
    before = Path(f"/proc/self/fd/{os.open(opt, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)}")
    _mount("tmpfs", opt, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755,size=1m")
    try:
        for name in names:
            _show(before / name, opt / name)
        OPT_ML.mkdir()
        _mount("none", opt, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    except OSError:
        _check(_libc().umount2(os.fsencode(opt), _MNT_DETACH))
        raise


def _show(source: Path, target: Path) -> None:
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    if source.is_dir():
        target.mkdir()
    else:
        target.touch()
    _mount(source, target, None, _MS_BIND | _MS_REC)


def _mount(
    source: Path | str, target: Path, kind: str | None, flags: int, data: str | None = None
) -> None:
    result = _libc().mount(
        os.fsencode(source),
        os.fsencode(target),
        kind and kind.encode(),
        ctypes.c_ulong(flags),
        data and data.encode(),
    )
    _check(result)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
