import io
import tarfile

import pytest

from farero.base.errors import Invalid
from farero.jobs.sources import read_requirements


def archive(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return path


@pytest.mark.parametrize("name", ["requirements.txt", "./requirements.txt"])
def test_requirements_at_the_top_are_found(tmp_path, name):
    path = archive(tmp_path / "s.tar.gz", {"train.py": b"", name: b"humanize\n"})

    assert read_requirements(path) == "humanize\n"


def test_archive_without_requirements_asks_for_nothing(tmp_path):
    path = archive(tmp_path / "s.tar.gz", {"deep/requirements.txt": b"x"})

    assert read_requirements(path) is None


def test_file_that_is_no_archive_is_named(tmp_path):
    (tmp_path / "s.tar.gz").write_bytes(b"no archive")

    with pytest.raises(Invalid, match="is not a tar"):
        read_requirements(tmp_path / "s.tar.gz")
