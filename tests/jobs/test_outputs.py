import io
import os
import tarfile

from farero.jobs.outputs import has_files, pack


def names(raw):
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {item.name: tar.extractfile(item).read() for item in tar}


def test_same_files_give_the_same_bytes(tmp_path):
    archives = []
    for turn, order in enumerate((["a", "z/b"], ["z/b", "a"])):
        folder = tmp_path / str(turn)
        for name in order:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
            os.utime(folder / name, (turn, turn))
        pack(folder, tmp_path / f"{turn}.tar.gz")
        archives.append((tmp_path / f"{turn}.tar.gz").read_bytes())

    assert archives[0] == archives[1]
    assert names(archives[0]) == {"a": b"a", "z/b": b"z/b"}


def test_links_out_of_the_folder_are_left_behind(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_text("key")
    (folder / "model.json").write_text("{}")
    (folder / "latest").symlink_to("model.json")
    (folder / "stolen").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to("../secret")
    os.mkfifo(folder / "pipe")

    pack(folder, tmp_path / "m.tar.gz")

    assert names((tmp_path / "m.tar.gz").read_bytes()) == {"latest": b"{}", "model.json": b"{}"}


def test_empty_or_missing_folder_has_nothing_to_upload(tmp_path):
    (tmp_path / "empty" / "deeper").mkdir(parents=True)

    assert not has_files(tmp_path / "empty")
    assert not has_files(tmp_path / "missing")
