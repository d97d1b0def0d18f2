"""Archives made to break out: refused or made harmless, and nothing outside the target changes (T12)."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farero_container.archive import unpack
from farero_container.tarstream import BadArchive

REFUSED, HARMLESS = "refused", "harmless"


def _info(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def _file(name: str, body: bytes = b"evil", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    info = _info(name, mode=mode)
    info.size = len(body)
    return info, body


def _link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return _info(name, kind, to), b""


def _hard(name: str, to: str) -> tuple[tarfile.TarInfo, bytes]:
    return _link(name, to, tarfile.LNKTYPE)


def _folder(name: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    return _info(name, tarfile.DIRTYPE, mode=mode), b""


def _special(name: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = _info(name, kind)
    info.devmajor, info.devminor = 1, 3
    return info, b""


def _pax(name: str, records: dict[str, str]) -> tuple[tarfile.TarInfo, bytes]:
    info, body = _file(name)
    info.pax_headers = records
    return info, body


# CVE-2025-4517 and -4330: a chain of links that each look harmless until joined.
_DEEP = "d" * 200
_CHAIN = [
    item
    for step in "abcdefghijklmnop"
    for item in (_folder("/".join([_DEEP] * 1) + f"{step}"), _link(f"{step}", f"{_DEEP}{step}"))
]

EVIL: dict[str, tuple[str, list[tuple[tarfile.TarInfo, bytes]]]] = {
    "parent": (REFUSED, [_file("../outside")]),
    "parent of parent": (REFUSED, [_file("../../outside")]),
    "parent within": (REFUSED, [_file("a/../../outside")]),
    "parent that stays": (REFUSED, [_file("a/../b")]),
    "parent at the end": (REFUSED, [_folder("a/..")]),
    "only dots": (REFUSED, [_file("..")]),
    "dot as file": (REFUSED, [_file(".")]),
    "absolute": (REFUSED, [_file("/tmp/farero-evil")]),
    "double slash": (REFUSED, [_file("//tmp/farero-evil")]),
    "absolute folder": (REFUSED, [_folder("/tmp/farero-evil-folder")]),
    "symlink out, absolute": (REFUSED, [_link("a", "/etc/passwd")]),
    "symlink out, relative": (REFUSED, [_link("a", "../outside")]),
    "symlink out, deep": (REFUSED, [_folder("x"), _link("x/a", "../../outside")]),
    "symlink to the root": (REFUSED, [_link("a", ".")]),
    "symlink to nothing": (REFUSED, [_link("a", "missing")]),
    "symlink to itself": (REFUSED, [_link("a", "a")]),
    "symlink cycle": (REFUSED, [_link("a", "b"), _link("b", "a")]),
    "symlink to a folder": (REFUSED, [_folder("x"), _link("a", "x")]),
    "symlink, then write through": (REFUSED, [_link("a", "../out"), _file("a/evil")]),
    "symlink within, then write through": (REFUSED, [_folder("x"), _link("a", "x"), _file("a/evil")]),
    "symlink, then overwrite it": (REFUSED, [_file("b"), _link("a", "b"), _file("a")]),
    "symlink to absolute folder, then write": (REFUSED, [_link("a", "/tmp"), _file("a/farero-evil")]),
    "file, then symlink over it": (REFUSED, [_file("a"), _link("a", "/etc/passwd")]),
    "folder, then symlink over it": (REFUSED, [_folder("a"), _link("a", "../out"), _file("a/evil")]),
    "chain of links": (REFUSED, [*_CHAIN, _link("escape", "a/b/c/../../../../outside"), _file("escape/evil")]),
    "link through a link": (REFUSED, [_folder("x"), _link("x/up", ".."), _link("a", "x/up/outside")]),
    "link through a link to parents": (REFUSED, [_link("a", "x/up/../../outside"), _folder("x")]),
    # CVE-2026-27905: each link is checked as a path of its own, the write goes through both.
    "symlink to a symlink, then write through": (
        REFUSED, [_folder("x"), _link("x/in", "."), _link("x/in/up", "../.."), _file("x/in/up/outside")]),
    # CVE-2025-4330: the target is within only as long as no link on its way is followed.
    "symlink through a folder that is replaced": (
        REFUSED, [_folder("x/y"), _link("a", "x/y/../../x"), _link("x/y", "../.."), _file("a/y/outside")]),
    # CVE-2025-4138: a target longer than PATH_MAX, which realpath gives up on.
    "symlink longer than any path": (
        REFUSED, [_link("a", "/".join([_DEEP] * 25) + "/../" * 25 + "../../outside"), _file("a/evil")]),
    # CVE-2024-12718: modes and times of what a name of '.' or '..' stands for.
    "mode of the folder above": (REFUSED, [_folder("..", mode=0o777)]),
    "mode of the target": (HARMLESS, [_folder(".", mode=0), _file("a")]),
    "hardlink out, absolute": (REFUSED, [_hard("a", "/etc/passwd")]),
    "hardlink out, relative": (REFUSED, [_hard("a", "../secret")]),
    "hardlink to nothing": (REFUSED, [_hard("a", "missing")]),
    "hardlink to itself": (REFUSED, [_hard("a", "a")]),
    "hardlink through a symlink": (REFUSED, [_link("s", ".."), _hard("a", "s/secret")]),
    "hardlink, then write": (REFUSED, [_hard("a", "../secret"), _file("a")]),
    "character device": (REFUSED, [_special("null", tarfile.CHRTYPE)]),
    "block device": (REFUSED, [_special("disk", tarfile.BLKTYPE)]),
    "fifo": (REFUSED, [_special("pipe", tarfile.FIFOTYPE)]),
    "unknown type": (REFUSED, [_special("what", b"Z")]),
    "duplicate": (REFUSED, [_file("a"), _file("a", b"other")]),
    "duplicate by dots": (REFUSED, [_file("a"), _file("./a", b"other")]),
    "case clash": (REFUSED, [_file("Model.json"), _file("model.json")]),
    "case clash of folders": (REFUSED, [_file("Code/a"), _file("code/b")]),
    "composed accents": (REFUSED, [_file("caf\u00e9"), _file("cafe\u0301")]),
    "file, then folder": (REFUSED, [_file("a"), _file("a/b")]),
    "folder, then file": (REFUSED, [_file("a/b"), _file("a")]),
    "long name": (REFUSED, [_file("n" * 300)]),
    "long path": (REFUSED, [_file("/".join(["n" * 200] * 20))]),
    "deep path": (REFUSED, [_file("/".join("n" * 100))]),
    "newline": (REFUSED, [_file("a\nb")]),
    "escape": (REFUSED, [_file("a\x1b[2Jb")]),
    "pax path out": (REFUSED, [_pax("good", {"path": "../outside"})]),
    "pax path absolute": (REFUSED, [_pax("good", {"path": "/tmp/farero-evil"})]),
    "pax path with NUL": (REFUSED, [_pax("good", {"path": "a\0b"})]),
    "pax size": (REFUSED, [_pax("good", {"size": "-5"})]),
    "pax sparse": (REFUSED, [_pax("good", {"GNU.sparse.major": "1", "GNU.sparse.name": "../outside"})]),
    "setuid": (HARMLESS, [_file("a", mode=0o6755)]),
    "world writable": (HARMLESS, [_file("a", mode=0o777), _folder("x", mode=0o777)]),
    "unreadable": (HARMLESS, [_folder("x", mode=0), _file("x/a", mode=0)]),
    "symlink within": (HARMLESS, [_file("x/a"), _link("x/b", "a"), _link("c", "./x/../x/b")]),
    "symlink before its file": (HARMLESS, [_link("b", "a"), _file("a")]),
    "hardlink within": (HARMLESS, [_file("x/a"), _hard("b", "x/a")]),
    "pax long comment": (HARMLESS, [_pax("a", {"comment": "c" * 100_000})]),
    "macOS": (HARMLESS, [_file("./._a"), _file("./a"), _pax("b", {"LIBARCHIVE.xattr.com.apple.x": "y"})]),
    "backslash": (HARMLESS, [_file("..\\outside")]),
    "many slashes": (HARMLESS, [_file("x///a")]),
}  # fmt: skip


def _write(
    path: Path, members: list[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT
) -> None:
    with tarfile.open(path, "w:gz", format=form, compresslevel=1) as tar:
        for info, body in members:
            tar.addfile(info, io.BytesIO(body))


def _snapshot(root: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        body = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        links = status.st_nlink if path.is_file() else 0
        found[str(path)] = (status.st_mode, links, body)
    return found


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "secret").write_text("secret")
    return tmp_path


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
@pytest.mark.parametrize("name", EVIL)
def test_nothing_outside_the_target_changes(sandbox: Path, name: str, form: int) -> None:
    fate, members = EVIL[name]
    archive, target = sandbox / "m.tar.gz", sandbox / "work" / "target"
    if form == tarfile.GNU_FORMAT and name.startswith("pax"):
        pytest.skip("GNU tar has no such headers")
    _write(archive, members, form)
    before = _snapshot(sandbox)

    if fate == REFUSED:
        with pytest.raises(BadArchive) as caught:
            unpack(archive, target)
        assert caught.value.cause == "E-TAR-UNSAFE"
    else:
        unpack(archive, target)

    after = {
        path: what for path, what in _snapshot(sandbox).items() if not path.startswith(str(target))
    }
    assert after == before
    assert target.exists() == (fate == HARMLESS)
    assert not Path("/tmp/farero-evil").exists()
    assert not Path("/tmp/farero-evil-folder").exists()


def test_modes_are_masked_and_links_are_copies(tmp_path: Path) -> None:
    members = [
        _file("run", mode=0o6777),
        _file("data", mode=0o666),
        _folder("x", 0o7777),
        _link("x/l", "../data"),
    ]
    _write(tmp_path / "m.tar.gz", [*members, _hard("h", "data")])
    umask = os.umask(0o077)

    try:
        report = unpack(tmp_path / "m.tar.gz", tmp_path / "t")
    finally:
        os.umask(umask)

    modes = {
        p.relative_to(tmp_path / "t").as_posix(): oct(p.lstat().st_mode)
        for p in (tmp_path / "t").rglob("*")
    }
    assert modes == {
        "run": "0o100755",
        "data": "0o100644",
        "x": "0o40755",
        "x/l": "0o100644",
        "h": "0o100644",
    }
    assert all(p.lstat().st_nlink == 1 for p in (tmp_path / "t").rglob("*") if p.is_file())
    assert (report.files, report.bytes) == (4, 16)


def test_a_global_header_cannot_rename_members(tmp_path: Path) -> None:
    with tarfile.open(
        tmp_path / "m.tar.gz", "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"path": "../x"}
    ) as tar:
        info, body = _file("a")
        tar.addfile(info, io.BytesIO(body))

    with pytest.raises(BadArchive, match="global header"):
        unpack(tmp_path / "m.tar.gz", tmp_path / "t")


def test_a_long_name_without_its_file_is_damage(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        info, body = _file("n" * 150)
        tar.addfile(info, io.BytesIO(body))
    (tmp_path / "m.tar.gz").write_bytes(gzip.compress(buffer.getvalue()[:1024] + bytes(1024)))

    with pytest.raises(BadArchive) as caught:
        unpack(tmp_path / "m.tar.gz", tmp_path / "t")

    assert caught.value.cause == "E-TAR-TRUNCATED"


@given(st.data())
def test_any_damage_to_a_header_is_harmless(tmp_path_factory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("m")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, body in [_pax("x/é" * 60, {"comment": "c"}), _file("b"), _link("l", "b")]:
            tar.addfile(info, io.BytesIO(body))
    raw = bytearray(buffer.getvalue())
    at = data.draw(st.integers(0, 6), label="block") * 512
    place = at + data.draw(st.one_of(st.integers(0, 511), st.integers(100, 160)), label="byte")
    bytes_ = data.draw(
        st.sampled_from([b"\0", b"/", b"..", b"\xff", b"1", b"x", b"S", b"\x80\0\0\0\1"])
    )
    raw[place : place + len(bytes_)] = bytes_
    raw[at + 148 : at + 156] = b" " * 8
    raw[at + 148 : at + 156] = b"%06o\0 " % sum(raw[at : at + 512])
    (folder / "m.tar.gz").write_bytes(gzip.compress(raw[: 7 * 512 + 1024], 1))

    try:
        unpack(folder / "m.tar.gz", folder / "t")
        left = ["m.tar.gz", "t"]
    except BadArchive:
        left = ["m.tar.gz"]

    assert sorted(path.name for path in folder.iterdir()) == left


def test_extractall_is_used_nowhere() -> None:
    source = Path(unpack.__code__.co_filename).parents[1]

    found = [
        path for path in source.rglob("*.py") if ".extractall(" in path.read_text(encoding="utf-8")
    ]

    assert found == []
