"""T08: the power goes at any fsync. Every system call of a writing process is recorded and replayed up to the cut.

What was not synced may be gone, file names included, or there in part (a random choice of the writes since the last
sync). Whatever was acknowledged before the cut has to be there; the store has to open; no object may be damaged.
"""

import contextlib
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys

import pytest
from tests.chaos.conftest import NIGHTLY

from farero.app.core import App, prepare
from farero.base.clock import SystemClock
from farero.base.config import Settings
from farero.store import endpoints as rows

pytestmark = pytest.mark.chaos
CUTS = int(os.environ.get("FARERO_TEST_CUTS", "500" if NIGHTLY else "60"))
CALLS = "openat,close,write,pwrite64,lseek,ftruncate,fsync,fdatasync,rename,link,unlink,mkdir"

PROGRAM = """
import os, sys
from pathlib import Path
from farero.app.core import App
from farero.base.clock import SystemClock
from farero.base.config import Settings
from farero.base.context import Context
from farero.endpoints.capture import CaptureSpool, CaptureTarget
from farero.endpoints.definitions import Definitions
from farero.records.objects import Draft
from farero.objects.uploads import NamedPart

settings = Settings(data_dir=Path(sys.argv[1]))
app = App(settings, SystemClock())
spool = CaptureSpool(settings.spool_dir, app.clock)
target = CaptureTarget(endpoint="e", variant="v", destination="s3://things/capture")
definitions = Definitions(app.store, app.objects)
ctx = Context(account="1" * 12, region="eu-west-1", request_id="r", now=app.clock.now(), principal=None)
os.write(1, b"ACK 0\\n")
for number in range(1, 41):
    key = f"k{number % 7}"
    if number % 5 == 0:
        app.objects.delete("things", key)
    elif number % 3 == 0:
        begun = app.objects.uploads.create("things", key, Draft())
        writer = app.objects.begin_write()
        with writer.aborting():
            writer.write(b"%d " % number * 3000)
            part = app.objects.uploads.commit_part(writer, begun, 1)
        named = NamedPart(number=1, etag=part.etag)
        app.objects.uploads.complete("things", key, begun.upload_id, [named])
    else:
        app.objects.put("things", key, b"%d " % number * 3000)
    definitions.create_model(ctx, f"m{number}", {"PrimaryContainer": {"Image": "sagemaker-xgboost:3.0-5"}})
    assert spool.append(target, b'{"number":%d}\\n' % number)
    spool.sync()
    os.write(1, b"ACK %d\\n" % number)
"""


def state_after(count):
    """Return the objects that the program has left after `count` steps."""
    state = {}
    for number in range(1, count + 1):
        key = f"k{number % 7}"
        state.pop(key, None) if number % 5 == 0 else state.update({key: b"%d " % number * 3000})
    return state


class Node:
    """A file: what is on the disk for sure, what is in memory, and the writes between."""

    def __init__(self, data=b""):
        self.durable = data
        self.live = bytearray(data)
        self.pending = []

    def write(self, offset, data):
        self.pending.append((offset, data))
        _apply(self.live, offset, data)

    def truncate(self, size):
        self.pending.append((size, None))
        _apply(self.live, size, None)

    def sync(self):
        self.durable, self.pending = bytes(self.live), []

    def torn(self, draw):
        data = bytearray(self.durable)
        for offset, piece in self.pending:
            if draw.random() < 0.5:
                _apply(data, offset, piece)
        return bytes(data)


def _apply(data, offset, piece):
    if piece is None:
        del data[offset:]
        data.extend(bytes(offset - len(data)))
        return
    data.extend(bytes(max(0, offset - len(data))))
    data[offset : offset + len(piece)] = piece


class Disk:
    """What a recorded process did to one folder."""

    def __init__(self, root):
        self.root = str(root)
        self.names = {self.root: None}
        for path in sorted(root.rglob("*")):
            if path.is_dir() or path.is_file():
                self.names[str(path)] = None if path.is_dir() else Node(path.read_bytes())
        self.durable_names = dict(self.names)
        self.open = {}
        self.acknowledged = -1

    def do(self, call, words, result):
        """Replay one call; say whether it was a sync, after which the power may go."""
        arguments = [_path_or_bytes(word) for word in words]
        if call == "openat":
            self._open(arguments[1].decode(), words[2], result)
        elif call == "close":
            self.open.pop(_number(words[0]), None)
        elif call == "write" and words[0].startswith("1<"):
            self.acknowledged = int(arguments[1].split()[1])
        elif call in {"rename", "link"}:
            source, target = arguments[0].decode(), arguments[1].decode()
            if source in self.names:
                self.names[target] = self.names[source]
                if call == "rename":
                    del self.names[source]
        elif call == "unlink":
            self.names.pop(arguments[0].decode(), None)
        elif call == "mkdir" and self._is_ours(arguments[0].decode()):
            self.names[arguments[0].decode()] = None
        elif _number(words[0]) in self.open:
            return self._do_with_open(call, words, arguments, result)
        return False

    def _is_ours(self, path):
        return path == self.root or path.startswith(self.root + "/")

    def _open(self, path, flags, result):
        fd = _number(result)
        if not self._is_ours(path):
            self.open.pop(fd, None)
            return
        if path not in self.names:
            self.names[path] = Node()
        node = self.names[path]
        if "O_TRUNC" in flags and node is not None:
            node.truncate(0)
        self.open[fd] = [path, node, 0, "O_APPEND" in flags]

    def _do_with_open(self, call, words, arguments, result):
        place = self.open[_number(words[0])]
        path, node, offset, appends = place
        if call == "write":
            start = len(node.live) if appends else offset
            node.write(start, arguments[1][: int(result)])
            place[2] = start + int(result)
        elif call == "pwrite64":
            node.write(int(words[3]), arguments[1][: int(result)])
        elif call == "lseek":
            place[2] = int(result)
        elif call == "ftruncate":
            node.truncate(int(words[1]))
        elif node is not None:
            node.sync()
            return True
        else:
            self._sync_folder(path)
            return True
        return False

    def _sync_folder(self, folder):
        for names, others in ((self.durable_names, self.names), (self.names, self.durable_names)):
            for path in [p for p in names if os.path.dirname(p) == folder]:  # noqa: PTH120
                if names is self.durable_names and path not in others:
                    del names[path]
        for path, node in self.names.items():
            if os.path.dirname(path) == folder:  # noqa: PTH120
                self.durable_names[path] = node

    def write_to(self, target, draw=None):
        """Lay down what the disk holds after the cut. draw: also a random part of what was not synced."""
        names = dict(self.durable_names)
        if draw:
            for path in sorted({*self.names, *names}):
                if draw.random() < 0.5:
                    names.pop(path, None)
                    if path in self.names:
                        names[path] = self.names[path]
        for path in sorted(names.keys() - {self.root}):
            place = target / path[len(self.root) + 1 :]
            if not place.parent.is_dir():
                continue  # its folder's own name was lost
            if names[path] is None:
                place.mkdir(exist_ok=True)
            else:
                place.write_bytes(names[path].torn(draw) if draw else names[path].durable)


def _number(word):
    return int(re.match(r"-?\d+", word)[0])


def _path_or_bytes(word):
    if not word.startswith('"'):
        return b""
    return bytes.fromhex(word.strip('".').replace("\\x", ""))


def recorded(path):
    """Yield (call, words, result) of each call that did not fail."""
    line_form = re.compile(r"(\w+)\((.*)\)\s+= (\d\S*)")
    for line in path.read_text(encoding="ascii").splitlines():
        if found := line_form.match(line):
            call, words, result = found.groups()
            yield call, words.split(", "), result


def check(folder, acknowledged):
    """Open what is left as the platform does at its start, and compare."""
    settings = Settings(data_dir=folder)
    prepare(settings, SystemClock())
    app = App(settings, SystemClock())
    try:
        app.objects.sweep()
        found = {
            one.key: app.objects.open("things", one.key).read()
            for one in app.objects.list("things")
        }
        for key in found:
            app.objects.verify("things", key)
        with app.store.read() as db:
            models = {n for n in range(1, 41) if rows.find_model(db, f"m{n}")}
    finally:
        app.close()
    with contextlib.closing(sqlite3.connect(folder / "state.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert found in (state_after(acknowledged), state_after(acknowledged + 1))
    lines = b"".join(p.read_bytes() for p in (folder / "spool").rglob("*.jsonl")).splitlines()
    captured = {int(n) for n in re.findall(rb'"number":(\d+)}', b"\n".join(lines))}
    assert set(range(1, acknowledged + 1)) <= captured
    assert models in (set(range(1, acknowledged + 1)), set(range(1, acknowledged + 2)))


@pytest.fixture
def record(tmp_path):
    """The recording of the program and the disk as it was before."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not on this machine: apt-get install strace")
    folder = tmp_path / "data"
    settings = Settings(data_dir=folder)
    prepare(settings, SystemClock())
    app = App(settings, SystemClock())
    app.objects.ensure_bucket("things")
    app.close()
    disk = Disk(folder)
    trace = tmp_path / "trace"
    command = [strace, "-y", "-xx", "-s", "4000000", "-e", f"trace={CALLS}", "-o", str(trace)]
    done = subprocess.run(
        [*command, sys.executable, "-c", PROGRAM, str(folder)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if "ptrace" in done.stderr and done.returncode != 0 and "ACK" not in done.stdout:
        pytest.skip(f"strace may not trace here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    return disk, list(recorded(trace))


def test_what_was_acknowledged_survives_a_power_loss_at_any_sync(record, tmp_path):
    disk, calls = record
    draw = random.Random(random.getrandbits(32))  # of the run's own seed, which pytest prints
    begin = next(
        i for i, (call, words, _) in enumerate(calls) if call == "write" and words[0][:2] == "1<"
    )
    syncs = [
        i for i, (call, _, _) in enumerate(calls) if call in {"fsync", "fdatasync"} and i > begin
    ]
    cuts = set(draw.sample(syncs, min(CUTS, len(syncs))))

    checked = 0
    for number, (call, words, result) in enumerate(calls):
        is_before_the_sync = number in cuts and draw.random() < 0.5
        if is_before_the_sync:
            checked += look(disk, tmp_path, draw)
        disk.do(call, words, result)
        if number in cuts and not is_before_the_sync:
            checked += look(disk, tmp_path, draw)

    assert checked == 2 * len(cuts)
    assert disk.acknowledged == 40


def look(disk, tmp_path, draw):
    """Check the strict image of this moment and a torn one."""
    for kind in (None, draw):
        image = tmp_path / "image"
        image.mkdir()
        disk.write_to(image, kind)
        check(image, disk.acknowledged)
        shutil.rmtree(image)
    return 2
