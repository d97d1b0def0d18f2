"""Our section of AWS's files, and nothing else of them."""

import configparser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farero.identity.profiles import put_section, update_file

VALUES = {"region": "us-east-1", "endpoint_url": "http://127.0.0.1:4747", "aws_session_token": None}
OURS = "[profile farero]\nregion = us-east-1\nendpoint_url = http://127.0.0.1:4747\n"

BEFORE_AND_AFTER = {
    "an empty file": ("", OURS),
    "another profile": ("[default]\nregion=eu-west-1\n", "[default]\nregion=eu-west-1\n\n" + OURS),
    "no last line end": ("[default]\nregion=x", "[default]\nregion=x\n\n" + OURS),
    "our old values": ("[profile farero]\nREGION=old\naws_session_token=t\n\n[b]\nc=1\n", OURS + "\n[b]\nc=1\n"),
    "an option and a comment of the user": (
        "[profile farero]\nregion = old\n# mine\ncli_pager =\ns3 =\n  max_concurrent_requests = 2\n",
        OURS + "# mine\ncli_pager =\ns3 =\n  max_concurrent_requests = 2\n",
    ),
    "a name that begins alike": ("[profile farero2]\na=1\n", "[profile farero2]\na=1\n\n" + OURS),
    "carriage returns": ("[default]\r\nregion=x\r\n", "[default]\r\nregion=x\r\n\n" + OURS),
}  # fmt: skip


@pytest.mark.parametrize("case", BEFORE_AND_AFTER)
def test_section_is_put_among_what_is_there(case):
    before, after = BEFORE_AND_AFTER[case]

    assert put_section(before, "profile farero", VALUES) == after


NAMES = st.sampled_from(["default", "profile a", "profile farero", "b"])
SECTIONS = st.dictionaries(NAMES, st.dictionaries(st.sampled_from("pqr"), st.sampled_from("123")))


@given(SECTIONS)
def test_other_sections_read_the_same_and_a_second_time_changes_nothing(sections):
    text = "".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())
        for name, options in sections.items()
    )

    once = put_section(text, "profile farero", VALUES)

    assert put_section(once, "profile farero", VALUES) == once
    parsed = configparser.RawConfigParser()
    parsed.read_string(once)
    ours = {"region": "us-east-1", "endpoint_url": "http://127.0.0.1:4747"}
    expected = sections | {"profile farero": sections.get("profile farero", {}) | ours}
    assert {name: dict(parsed.items(name)) for name in parsed.sections()} == expected


def test_file_is_private_and_written_once(tmp_path):
    path = tmp_path / "aws" / "config"

    assert update_file(path, "profile farero", VALUES)
    assert path.stat().st_mode & 0o777 == 0o600
    written_at = path.stat().st_mtime_ns
    assert not update_file(path, "profile farero", VALUES)

    assert path.stat().st_mtime_ns == written_at


def test_link_stays_a_link(tmp_path):
    real = tmp_path / "real"
    real.write_text("[default]\na=1\n")
    link = tmp_path / "config"
    link.symlink_to(real)

    update_file(link, "profile farero", VALUES)

    assert link.is_symlink()
    assert real.read_text() == "[default]\na=1\n\n" + OURS
