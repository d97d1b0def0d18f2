"""Archives that are cut off, empty, no archives, or far too large: each has its code (T11, T13)."""

from __future__ import annotations

import gzip
import io
import json
import random
import signal
import subprocess
import sys
import tarfile
import zlib
from typing import TYPE_CHECKING

import pytest

from farero_container.archive import unpack
from farero_container.tarstream import BadArchive, Limits

if TYPE_CHECKING:
    from pathlib import Path


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return buffer.getvalue()


def _cause(tmp_path: Path, body: bytes, limits: Limits | None = None) -> str:
    (tmp_path / "m.tar.gz").write_bytes(body)
    with pytest.raises(BadArchive) as caught:
        unpack(tmp_path / "m.tar.gz", tmp_path / "target", limits)
    assert [path.name for path in tmp_path.iterdir()] == ["m.tar.gz"]
    return caught.value.cause


MODEL = gzip.compress(
    _tar({"model.json": random.Random(1).randbytes(50_000), "code/inference.py": b"x" * 5000})
)


@pytest.mark.parametrize("twentieth", range(1, 20))
def test_a_truncated_archive_is_told_as_such(tmp_path: Path, twentieth: int) -> None:
    assert _cause(tmp_path, MODEL[: len(MODEL) * twentieth // 20]) == "E-TAR-TRUNCATED"


@pytest.mark.parametrize("cut", [1, 4, 8], ids=["last byte", "size", "checksum"])
def test_a_gzip_without_its_trailer_is_truncated(tmp_path: Path, cut: int) -> None:
    assert _cause(tmp_path, MODEL[:-cut]) == "E-TAR-TRUNCATED"


@pytest.mark.parametrize("at", [2000, 20_000, 49_000])
def test_a_changed_byte_is_found_by_the_checksum(tmp_path: Path, at: int) -> None:
    body = bytearray(MODEL)
    body[at] ^= 0xFF

    assert _cause(tmp_path, bytes(body)) == "E-TAR-TRUNCATED"


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "E-TAR-EMPTY"),
        (gzip.compress(b""), "E-TAR-EMPTY"),
        (gzip.compress(_tar({})), "E-TAR-EMPTY"),
        (b"hello", "E-TAR-GZIP"),
        (b"PK\x03\x04" + bytes(1000), "E-TAR-GZIP"),
        (b"BZh91AY" + bytes(1000), "E-TAR-GZIP"),
        (_tar({"a": b"b"}), "E-TAR-GZIP"),
        (b"\x1f\x8b\x07" + bytes(1000), "E-TAR-GZIP"),
        (gzip.compress(b"no tar at all" * 100), "E-TAR-GZIP"),
        (b"\x1f\x8b", "E-TAR-TRUNCATED"),
    ],
    ids=["no bytes", "gzip of nothing", "no members", "text", "zip", "bzip2", "plain tar", "wrong method",
         "gzip of text", "two bytes"],
)  # fmt: skip
def test_what_is_no_archive_has_its_code(tmp_path: Path, body: bytes, cause: str) -> None:
    assert _cause(tmp_path, body) == cause


def test_folders_alone_are_empty(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("code")
        info.type = tarfile.DIRTYPE
        tar.addfile(info)

    assert _cause(tmp_path, gzip.compress(buffer.getvalue())) == "E-TAR-EMPTY"


def _zeros(files: int, megabytes: int, size: int | None = None) -> bytes:
    """Return an archive of `files` files of zeros; `size` is what each claims to hold."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    chunk, out = bytes(1 << 20), []
    for number in range(files):
        info = tarfile.TarInfo(f"zeros{number}")
        info.size = size if size is not None else megabytes << 20
        out.append(packer.compress(info.tobuf(tarfile.GNU_FORMAT)))
        out += [packer.compress(chunk) for _ in range(megabytes)]
    return b"".join([*out, packer.flush()])


@pytest.mark.parametrize(
    "body",
    [
        _zeros(1, 2, size=50 << 30),
        _zeros(40, 4),
        _zeros(200, 2) + gzip.compress(random.Random(3).randbytes(1 << 20)),
    ],
    ids=["one file that claims 50 GB", "many files", "zeros before what would weigh them up"],
)
def test_a_bomb_stops_at_the_ratio(tmp_path: Path, body: bytes) -> None:
    assert _cause(tmp_path, body) == "E-TAR-BOMB"


def test_a_million_empty_files_stop_at_the_limit(tmp_path: Path) -> None:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    block = b"".join(tarfile.TarInfo(f"{n:09d}").tobuf(tarfile.USTAR_FORMAT) for n in range(30_000))
    body = packer.compress(block) + packer.flush()

    assert _cause(tmp_path, body, Limits(files=20_000)) == "E-TAR-BOMB"


def test_an_archive_within_an_archive_is_a_file(tmp_path: Path) -> None:
    inner = _zeros(1, 50)
    (tmp_path / "m.tar.gz").write_bytes(
        gzip.compress(_tar({"inner.tar.gz": inner, "m.json": b"{}"}))
    )

    report = unpack(tmp_path / "m.tar.gz", tmp_path / "target")

    assert (report.files, report.bytes) == (2, len(inner) + 2)
    assert (tmp_path / "target/inner.tar.gz").read_bytes() == inner


def test_a_model_of_few_distinct_bytes_is_no_bomb(tmp_path: Path) -> None:
    (tmp_path / "m.tar.gz").write_bytes(_zeros(1, 80))

    assert unpack(tmp_path / "m.tar.gz", tmp_path / "target").bytes == 80 << 20


def test_a_header_of_very_many_records_is_refused_at_once(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    records = b"6 a=b\n" * 170_000
    info.type, info.size = tarfile.XHDTYPE, len(records)
    body = info.tobuf(tarfile.USTAR_FORMAT) + records + bytes(-len(records) % 512)

    assert _cause(tmp_path, gzip.compress(body + tarfile.TarInfo("f").tobuf())) == "E-TAR-UNSAFE"


@pytest.mark.parametrize(
    ("files", "limits"),
    [
        ({f"f{n}": b"" for n in range(101)}, Limits(files=100)),
        ({"a/b/c/d/e/f": b""}, Limits(files=5)),
        ({"big": bytes(20_000)}, Limits(total_bytes=10_000)),
        ({f"f{n}": bytes(1000) for n in range(20)}, Limits(total_bytes=10_000)),
        ({"big": bytes(500_000)}, Limits(ratio=10, ratio_from_bytes=1000)),
    ],
    ids=["files", "folders", "one file", "sum", "ratio"],
)
def test_limits_hold(tmp_path: Path, files: dict[str, bytes], limits: Limits) -> None:
    assert _cause(tmp_path, gzip.compress(_tar(files)), limits) == "E-TAR-BOMB"


def test_links_count_as_the_copies_they_become(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("big")
        info.size = 5000
        tar.addfile(info, io.BytesIO(bytes(5000)))
        for number in range(10):
            link = tarfile.TarInfo(f"l{number}")
            link.type, link.linkname = tarfile.LNKTYPE, "big"
            tar.addfile(link)

    assert (
        _cause(tmp_path, gzip.compress(buffer.getvalue()), Limits(total_bytes=20_000))
        == "E-TAR-BOMB"
    )


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 8 << 30

    assert (
        _cause(tmp_path, gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(100_000)))
        == "E-TAR-BOMB"
    )


def test_a_target_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "m.tar.gz").write_bytes(MODEL)
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "mine").write_text("mine")

    with pytest.raises(FileExistsError):
        unpack(tmp_path / "m.tar.gz", tmp_path / "target")

    assert [path.name for path in (tmp_path / "target").iterdir()] == ["mine"]


def test_a_program_told_to_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    body = _tar(
        {**{f"f{n}": b"" for n in range(3000)}, "z": random.Random(2).randbytes(17_000_000)}
    )
    (tmp_path / "m.tar.gz").write_bytes(gzip.compress(body, 1))
    argv = [
        sys.executable,
        "-m",
        "farero_container",
        "unpack",
        str(tmp_path / "m.tar.gz"),
        str(tmp_path / "t"),
    ]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not any(tmp_path.glob(".t.*/f*")):
        assert process.poll() is None

    process.terminate()
    process.communicate(timeout=60)

    assert process.returncode == 128 + signal.SIGTERM
    assert [path.name for path in tmp_path.iterdir()] == ["m.tar.gz"]


@pytest.mark.parametrize("cut", [0, 1000], ids=["whole", "cut"])
def test_the_program_ends_with_one_line_of_json(tmp_path: Path, cut: int) -> None:
    (tmp_path / "m.tar.gz").write_bytes(MODEL[: len(MODEL) - cut])
    argv = [
        sys.executable,
        "-m",
        "farero_container",
        "unpack",
        str(tmp_path / "m.tar.gz"),
        str(tmp_path / "t"),
    ]

    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    report = json.loads(done.stdout)
    assert done.returncode == (1 if cut else 0)
    assert (
        report.get("cause") == "E-TAR-TRUNCATED" if cut else report == {"files": 2, "bytes": 55_000}
    )
