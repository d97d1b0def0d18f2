"""Output files are cut, the last words kept, and writers that append go on."""

import os

import pytest

from farero.base.errors import Invalid
from farero.compute import logfiles


def test_a_file_below_the_limit_is_left_alone(tmp_path):
    path = tmp_path / "log"
    path.write_text("a\n" * 100)

    assert logfiles.cut(path, limit=200) == 0
    assert path.read_text() == "a\n" * 100


def test_a_file_above_the_limit_keeps_its_last_whole_lines_and_says_what_is_gone(tmp_path):
    path = tmp_path / "log"
    lines = "".join(f"line {number:06}\n" for number in range(20_000))
    path.write_text(lines)

    dropped = logfiles.cut(path, limit=100_000)

    first, _, rest = path.read_text().partition("\n")
    assert first == f"farero: dropped {dropped} bytes of output"
    assert lines.endswith(rest)
    assert rest.startswith("line ")
    assert dropped + len(rest) == len(lines)


def test_a_writer_that_holds_the_file_open_goes_on_at_its_new_end(tmp_path):
    path = tmp_path / "log"
    writer = logfiles.open_for(path)
    os.write(writer, b"x" * 200_000 + b"\n")

    logfiles.cut(path, limit=100_000)
    os.write(writer, b"after\n")
    os.close(writer)

    assert path.read_text().splitlines()[1:] == ["after"]
    assert path.stat().st_size < 100


def test_a_file_that_is_gone_is_no_error(tmp_path):
    assert logfiles.cut(tmp_path / "none") == 0


def test_a_log_in_a_new_folder_is_private(tmp_path):
    os.close(logfiles.open_for(tmp_path / "new" / "log"))

    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "log").stat().st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_opened_is_invalid(tmp_path):
    with pytest.raises(Invalid, match="cannot write the log"):
        logfiles.open_for(tmp_path)
