"""Objects on disk: what a crash, a flipped bit or a race leaves behind."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from farero.base.errors import Invalid, NotFound
from farero.objects.conditions import Conditions
from farero.objects.errors import Damaged, PreconditionFailed
from farero.objects.local import LocalObjects
from farero.records.objects import Draft


def test_no_file_is_named_after_a_key(objects, files, root):
    objects.put("things", "../../escape", b"x")

    (path,) = files()
    assert len(path.name) == 32
    assert path.relative_to(root).parts[:2] == (path.name[0], path.name[1])


def test_replacing_and_deleting_leave_no_file(objects, files):
    objects.put("things", "k", b"one")
    objects.put("things", "k", b"two")
    assert len(files()) == 1

    objects.delete("things", "k")
    assert files() == []


def test_a_refused_write_leaves_no_file(objects, files):
    objects.put("things", "k", b"one")
    writer = objects.begin_write()
    writer.write(b"two")

    with pytest.raises(PreconditionFailed):
        objects.commit(
            writer, "things", "k", draft=Draft(), conditions=Conditions(if_none_match="*")
        )
    assert len(files()) == 1


def test_a_write_into_a_missing_bucket_leaves_no_file(objects, files):
    writer = objects.begin_write()
    writer.write(b"x")

    with pytest.raises(NotFound):
        objects.commit(writer, "nowhere", "k", draft=Draft())
    assert files() == []


def test_an_aborted_writer_leaves_no_file(objects, files):
    writer = objects.begin_write()
    writer.write(b"x")

    writer.abort()

    assert files() == []


def test_sweep_removes_what_no_row_names_and_nothing_else(objects, files, root):
    objects.put("things", "k", b"kept")
    upload = objects.uploads.create("things", "k", Draft())
    writer = objects.begin_write()
    writer.write(b"part")
    objects.uploads.commit_part(writer, upload, 1)
    settled = root / "a" / "b" / ("ab" + "0" * 30)
    settled.parent.mkdir(parents=True, exist_ok=True)
    settled.write_bytes(b"orphan")
    (root / "tmp" / ("cd" + "0" * 30)).write_bytes(b"half")

    assert objects.sweep() == 2

    assert len(files()) == 2
    assert objects.open("things", "k").read() == b"kept"


def test_sweep_spares_a_file_that_is_being_written(objects, files):
    writer = objects.begin_write()
    writer.write(b"half")

    assert objects.sweep() == 0

    writer.write(b" done")
    objects.commit(writer, "things", "k", draft=Draft())
    assert objects.sweep() == 0
    assert objects.open("things", "k").read() == b"half done"


def test_sweep_spares_a_file_between_its_renaming_and_its_row(objects):
    writer = objects.begin_write()
    writer.write(b"x")
    writer.seal()

    assert objects.sweep() == 0
    writer.abort()


_DIES = """
import os, signal, sys
from pathlib import Path
from farero.base.clock import SystemClock
from farero.objects.local import LocalObjects
from farero.store.engine import Store
folder = Path(sys.argv[1])
objects = LocalObjects(Store(f"sqlite:///{folder / 'state.db'}"), folder / "objects", SystemClock())
objects.put("things", "acknowledged", b"safe")
print("acknowledged", flush=True)
half, sealed = objects.begin_write(), objects.begin_write()
half.write(b"half")
sealed.write(b"sealed")
sealed.seal()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_loses_nothing_acknowledged_and_leaves_nothing_else(
    objects, files, tmp_path
):
    done = subprocess.run(
        [sys.executable, "-c", _DIES, str(tmp_path)], capture_output=True, check=False, timeout=60
    )

    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"acknowledged\n")
    assert len(files()) == 3
    assert objects.sweep() == 2
    assert objects.open("things", "acknowledged").read() == b"safe"


def test_a_flipped_bit_is_noticed_on_reading(objects, files, tmp_path):
    objects.put("things", "k", bytes(2_000_000))
    (path,) = files()
    with path.open("r+b") as file:
        file.seek(1_500_000)
        file.write(b"\x01")

    with pytest.raises(Damaged):
        objects.verify("things", "k")
    with pytest.raises(Damaged):
        objects.download("things", "k", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_shortened_file_is_noticed_on_reading(objects, files):
    objects.put("things", "k", bytes(2_000_000))
    os.truncate(files()[0], 1000)

    with pytest.raises(Damaged):
        objects.verify("things", "k")


def test_a_copy_shares_the_bytes_on_disk(objects, files):
    source = objects.put("things", "k", bytes(1000))

    objects.copy(objects.get("things", "k"), "things", "c", draft=Draft())

    assert len({path.stat().st_ino for path in files()}) == 1
    assert objects.head("things", "c").etag == source.etag
    objects.delete("things", "k")
    objects.verify("things", "c")


def test_a_copy_of_what_was_replaced_meanwhile_is_a_copy_of_what_is_there(objects):
    objects.put("things", "k", b"old")
    seen = objects.get("things", "k")
    objects.put("things", "k", b"new")

    objects.copy(seen, "things", "c", draft=Draft())

    assert objects.open("things", "c").read() == b"new"


def test_a_copy_of_what_was_deleted_meanwhile_is_refused(objects, files):
    objects.put("things", "k", b"old")
    seen = objects.get("things", "k")
    objects.delete("things", "k")

    with pytest.raises(NotFound):
        objects.copy(seen, "things", "c", draft=Draft())
    assert files() == []


def test_readers_never_meet_a_gap_while_the_object_is_replaced(objects):
    stop = threading.Event()
    objects.put("things", "k", b"0" * 1000)
    failures = []

    def write():
        for number in range(60):
            objects.put("things", "k", str(number % 10).encode() * 1000)
        stop.set()

    def read():
        while not stop.is_set():
            with objects.open("things", "k") as file:
                body = file.read()
            if len(body) != 1000 or len(set(body)) != 1:
                failures.append(body)

    threads = [threading.Thread(target=write), *[threading.Thread(target=read) for _ in range(3)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []


def test_two_stores_on_one_folder_see_each_other(objects, sqlite, root, clock):
    other = LocalObjects(sqlite, root, clock)
    objects.put("things", "k", b"x")

    assert other.open("things", "k").read() == b"x"


def test_aborted_uploads_are_collected_by_age(objects, clock, files):
    upload = objects.uploads.create("things", "k", Draft())
    writer = objects.begin_write()
    writer.write(b"part")
    objects.uploads.commit_part(writer, upload, 1)
    clock.advance(hours=24)
    begun = clock.now()
    clock.advance(seconds=1)
    objects.uploads.create("things", "young", Draft())

    assert objects.collect_uploads(begun_before=begun) == 1
    assert files() == []
    assert len(list(objects.listing.uploads("things", _everything()).items)) == 1


def _everything():
    from farero.objects.listing import Wish

    return Wish()


@pytest.mark.parametrize("key", ["", "a\0b", "\ud800"], ids=["empty", "NUL", "surrogate"])
def test_some_keys_are_none(objects, key):
    with pytest.raises(Invalid):
        objects.put("things", key, b"x")
