"""Making, judging and mending archives."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farero_container import archive_layout as layout
from farero_container.archive_packing import inspect, mend, pack
from farero_container.tarstream import BadArchive

if TYPE_CHECKING:
    from pathlib import Path

LEARNER = b'{"learner":{}}'


def _fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, body in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    return folder


def _archive(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return path


def _names(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


@pytest.mark.parametrize(
    ("name", "body", "framework"),
    [
        ("model.json", LEARNER, "xgboost"),
        ("iris.ubj", b"{", "xgboost"),
        ("xgboost-model", b"{", "xgboost"),
        ("model.joblib", b"\x80sklearn", "sklearn"),
        ("model.pkl", b"\x80\x05cxgboost.core", "xgboost"),
        ("model.pth", b"PK", "pytorch"),
        ("model.onnx", b"x", None),
    ],
)
def test_a_model_file_is_packed_under_its_name(
    tmp_path: Path, name: str, body: bytes, framework: str
) -> None:
    (tmp_path / name).write_bytes(body)

    report = pack(tmp_path / name, tmp_path / "m.tar.gz")

    assert (report.framework, report.files, _names(tmp_path / "m.tar.gz")) == (framework, 1, [name])
    assert report.bytes == (tmp_path / "m.tar.gz").stat().st_size


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("train.py", b"x", "no model file"),
        ("config.json", b"{}", "learner"),
        ("model.pkl", b"", "0 bytes"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, name: str, body: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(body)

    with pytest.raises(BadArchive, match=message):
        pack(tmp_path / name, tmp_path / "m.tar.gz")

    assert not (tmp_path / "m.tar.gz").exists()


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = _fill(tmp_path / str(number), {"b/x": b"x", "model.json": LEARNER, "a": b"y"})
        os.utime(folder / "a", (number, number))
        pack(folder, tmp_path / f"{number}.tar.gz")

    assert (tmp_path / "1.tar.gz").read_bytes() == (tmp_path / "2.tar.gz").read_bytes()


def test_code_and_requirements_go_to_code(tmp_path: Path) -> None:
    files = _fill(tmp_path / "f", {"model.pt": b"x", "handler.py": b"y", "req.txt": b"numpy"})

    pack(
        files / "model.pt",
        tmp_path / "m.tar.gz",
        code=files / "handler.py",
        requirements=files / "req.txt",
    )

    assert _names(tmp_path / "m.tar.gz") == [
        "code/inference.py",
        "code/requirements.txt",
        "model.pt",
    ]


@pytest.mark.parametrize("name", ["rows.json", "mine.csv", "sample.npy", "ROWS.JSON"])
def test_a_sample_lies_beside_the_model_and_takes_the_place_of_an_older_one(
    tmp_path: Path, name: str
) -> None:
    files = _fill(tmp_path / "f", {"model.pt": b"x", "sample.csv": b"old"})
    (tmp_path / name).write_bytes(b"[[1]]")

    report = pack(files, tmp_path / "m.tar.gz", sample=tmp_path / name)

    kind = (tmp_path / name).suffix.lower()
    assert _names(tmp_path / "m.tar.gz") == ["model.pt", f"sample{kind}"]
    assert report.framework == "pytorch"
    again = pack(tmp_path / "m.tar.gz", tmp_path / "n.tar.gz", sample=tmp_path / name)
    assert again.files == 2


def test_a_sample_of_another_type_is_refused(tmp_path: Path) -> None:
    files = _fill(tmp_path / "f", {"model.pt": b"x", "rows.txt": b"1"})

    with pytest.raises(BadArchive, match=r"rows\.txt is no sample: its name must end in one of"):
        pack(files / "model.pt", tmp_path / "m.tar.gz", sample=files / "rows.txt")


def test_given_code_takes_the_place_of_the_archives_own(tmp_path: Path) -> None:
    source = _archive(
        tmp_path / "s.tar.gz", {"model.pt": b"x", "code/old.py": b"o", "code/inference.py": b"o"}
    )
    code = _fill(
        tmp_path / "src", {"inference.py": b"new", "lib/a.py": b"a", "__pycache__/a.pyc": b"junk"}
    )

    pack(source, tmp_path / "m.tar.gz", code=code)

    assert _names(tmp_path / "m.tar.gz") == ["code/inference.py", "code/lib/a.py", "model.pt"]


def test_a_good_archive_passes_through_unchanged(tmp_path: Path) -> None:
    source = _archive(tmp_path / "s.tar.gz", {"model.json": LEARNER})

    report = pack(source, tmp_path / "m.tar.gz")

    assert report.framework == "xgboost"
    assert (tmp_path / "m.tar.gz").read_bytes() == source.read_bytes()


def test_a_plain_tar_is_compressed(tmp_path: Path) -> None:
    source = _archive(tmp_path / "s.tar", {"model.json": LEARNER}, "w")

    pack(source, tmp_path / "m.tar.gz")

    assert gzip.decompress((tmp_path / "m.tar.gz").read_bytes())[:10] == b"model.json"


def test_a_folder_can_be_packed_into_itself_again_and_again(tmp_path: Path) -> None:
    _fill(tmp_path, {"model.json": LEARNER})
    pack(tmp_path, tmp_path / "model.tar.gz")
    first = (tmp_path / "model.tar.gz").read_bytes()

    pack(tmp_path, tmp_path / "model.tar.gz")

    assert (tmp_path / "model.tar.gz").read_bytes() == first
    assert _names(tmp_path / "model.tar.gz") == ["model.json"]


def test_a_link_to_nothing_is_found_without_unpacking(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as tar:
        link = tarfile.TarInfo("model.json")
        link.type, link.linkname = tarfile.SYMTYPE, "models/1/model.json"
        tar.addfile(link)

    with pytest.raises(BadArchive, match="which is no file of the archive"):
        inspect(tmp_path / "m.tar.gz")


PARTS = st.sampled_from(
    ["code", "export", "inference.py", "util.py", "requirements.txt", "model.json", "1"]
)
NAMES = st.lists(
    st.lists(PARTS, min_size=1, max_size=4).map("/".join), min_size=1, max_size=8, unique=True
)


@given(NAMES)
def test_mending_loses_no_file_and_needs_no_second_time(names: list[str]) -> None:
    names = [n for n in names if not any(other.startswith(n + "/") for other in names)]

    moved = layout.moves(names)
    places = [moved.get(name, name) for name in names]

    assert len(set(places)) == len(names)
    assert layout.moves(places) == {}
    assert not any(a.startswith(b + "/") for a in places for b in places)


def test_a_folder_that_links_to_folders_is_refused(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "f", {"model.json": LEARNER})
    (folder / "data").symlink_to("/etc")

    with pytest.raises(BadArchive, match="link to a folder"):
        pack(folder, tmp_path / "m.tar.gz")


LAYOUTS = {
    "wrapping folder": (["export/model.json", "export/code/inference.py"], ["model.json", "code/inference.py"]),
    "two wrapping folders": (["a/b/model.json"], ["model.json"]),
    "handler at the root": (["model.pt", "inference.py", "net.py"], ["model.pt", "code/inference.py", "code/net.py"]),
    "requirements at the root": (["model.pt", "code/inference.py", "requirements.txt"],
                                 ["model.pt", "code/inference.py", "code/requirements.txt"]),
    "code in a folder": (["model.pt", "1/code/inference.py", "1/code/requirements.txt"],
                         ["model.pt", "code/inference.py", "code/requirements.txt"]),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_wrong_layout_is_named_and_mended(tmp_path: Path, name: str) -> None:
    wrong, right = LAYOUTS[name]
    source = _archive(tmp_path / "s.tar.gz", dict.fromkeys(wrong, LEARNER))

    assert not inspect(source).is_fit
    with pytest.raises(BadArchive) as caught:
        pack(source, tmp_path / "m.tar.gz")
    mend(source, tmp_path / "m.tar.gz")

    assert (caught.value.cause, caught.value.fix) == ("E-TAR-LAYOUT", "farero pack --fix s.tar.gz")
    assert _names(tmp_path / "m.tar.gz") == sorted(right)
    assert inspect(tmp_path / "m.tar.gz").is_fit
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.tar.gz", "s.tar.gz"]


def test_what_cannot_be_mended_says_why(tmp_path: Path) -> None:
    source = _archive(tmp_path / "s.tar.gz", {"code/inference.py": b"x"})

    with pytest.raises(BadArchive, match="there is no model file"):
        mend(source, tmp_path / "m.tar.gz")


@pytest.mark.parametrize(
    ("names", "level", "message"),
    [
        (["model.pt", "other.pth"], "error", "exactly one .pth or .pt"),
        (["weights.dat"], "warning", "no known model file"),
        (["model.json", "code/requirements.txt"], "warning", "without any code"),
        (["model.json", "__pycache__/x"], "warning", "need not be packed"),
        (["1/saved_model.pb", "1/variables/x"], "ok", "root"),
    ],
)
def test_each_rule_has_its_verdict(names: list[str], level: str, message: str) -> None:
    verdicts = layout.judge(names)

    assert any(v.level == level and message in v.message for v in verdicts)


def test_the_programs_tell_of_success_and_failure(tmp_path: Path) -> None:
    source = _archive(tmp_path / "s.tar.gz", {"x/model.json": LEARNER, "x/code/inference.py": b""})
    program = [sys.executable, "-m", "farero_container"]

    def run(*argv: str) -> tuple[int, str]:
        done = subprocess.run(
            [*program, *argv], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    code, text = run("inspect", source.name)
    assert code == 1
    assert "error    no wrapping folder: everything lies in x/" in text
    code, text = run("mend", source.name, "m.tar.gz")
    assert (code, json.loads(text)["framework"]) == (0, "xgboost")
    code, text = run("inspect", "m.tar.gz", "--json")
    assert (code, json.loads(text)["files"]) == (0, {"code/inference.py": 0, "model.json": 14})
    code, text = run("pack", "missing", "o.tar.gz")
    assert (code, json.loads(text)["cause"]) == (1, "E-DISK")
