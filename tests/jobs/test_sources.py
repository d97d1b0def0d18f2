import gzip
import io
import resource
import tarfile

import pytest

from farero.base.errors import Invalid
from farero.jobs.sources import unpacked_requirements


def archive(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return path


@pytest.mark.parametrize("name", ["requirements.txt", "./requirements.txt"])
def test_requirements_at_the_top_are_found_with_what_lies_beside_them(tmp_path, name):
    files = {"train.py": b"", name: b"-r more/some.txt\n", "more/some.txt": b"humanize\n"}

    with unpacked_requirements(archive(tmp_path / "s.tar.gz", files)) as path:
        assert path.read_text() == "-r more/some.txt\n"
        assert (path.parent / "more/some.txt").read_text() == "humanize\n"

    assert [one.name for one in tmp_path.iterdir()] == ["s.tar.gz"]


def test_archive_without_requirements_asks_for_nothing(tmp_path):
    path = archive(tmp_path / "s.tar.gz", {"deep/requirements.txt": b"x"})

    with unpacked_requirements(path) as found:
        assert found is None


def test_file_that_is_no_archive_is_named(tmp_path):
    path = tmp_path / "s.tar.gz"
    path.write_bytes(b"no archive")

    with pytest.raises(Invalid, match="sagemaker_submit_directory is not fit: E-TAR-GZIP: "):
        unpacked_requirements(path).__enter__()


def test_requirements_that_point_outside_of_the_archive_are_refused(tmp_path):
    path = tmp_path / "s.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        link = tarfile.TarInfo("requirements.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)

    with pytest.raises(Invalid, match="E-TAR-UNSAFE"):
        unpacked_requirements(path).__enter__()


@pytest.mark.parametrize("header_size", [8 << 30, 4 << 30, 0], ids=["file", "long name", "zeros"])
def test_a_bomb_is_refused_in_little_memory(tmp_path, header_size):
    path = tmp_path / "s.tar.gz"
    header = tarfile.TarInfo("requirements.txt")
    header.size = header_size
    if header_size == 4 << 30:
        header.type = tarfile.GNUTYPE_LONGNAME
    with gzip.open(path, "wb", compresslevel=1) as file:
        if header_size:
            file.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(400):
            file.write(bytes(1 << 20))
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(Invalid, match="E-TAR-"):
        unpacked_requirements(path).__enter__()

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used < 20_000  # KiB
    assert [one.name for one in tmp_path.iterdir()] == ["s.tar.gz"]
