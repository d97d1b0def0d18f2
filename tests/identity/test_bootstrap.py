"""What the first start makes, and that the second makes nothing."""

import json
import subprocess
import sys

import pytest

from farero.base.clock import ManualClock
from farero.base.config import Settings
from farero.identity.bootstrap import ROLE, bootstrap
from farero.identity.directory import MOST_MISSES_PER_S, Directory
from farero.store import identity as rows


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws" / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws" / "config"))
    return Settings(data_dir=tmp_path / "data")


def test_first_start_makes_a_private_owner_key_and_a_role(settings, store, clock):
    owner = bootstrap(settings, store, clock)

    path = settings.keys_dir / "owner.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert json.loads(path.read_text())["secret_access_key"] == owner.secret_access_key
    assert owner.is_owner
    with store.read() as db:
        assert rows.find_credential(db, owner.access_key_id) == owner
        role = rows.find_entity(db, "role", ROLE)
    assert role.arn == f"arn:aws:iam::123456789012:role/{ROLE}"
    assert owner.user_id == f"{role.id}:owner"


def test_second_start_makes_nothing(settings, store, clock, tmp_path):
    first = bootstrap(settings, store, clock)
    files = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and "db" not in p.name}

    assert bootstrap(settings, store, clock) == first
    assert {p: p.read_bytes() for p in files} == files
    with store.read() as db:
        assert len(rows.list_entities(db, "role")) == 1


def test_key_file_that_outlived_its_row_is_taken_up(settings, store, clock):
    first = bootstrap(settings, store, clock)
    with store.begin() as db:
        rows.delete_credential(db, first.access_key_id)

    assert bootstrap(settings, store, clock) == first


def test_two_starts_have_different_keys(settings, store, clock, tmp_path):
    first = bootstrap(settings, store, clock)
    (settings.keys_dir / "owner.json").unlink()

    second = bootstrap(settings, store, clock)

    assert first.secret_access_key != second.secret_access_key


def test_boto3_reads_the_profile(settings, store, clock):
    owner = bootstrap(settings, store, clock)
    program = (
        "import boto3; s = boto3.Session(profile_name='farero'); c = s.client('s3');"
        "k = s.get_credentials(); print(k.access_key, k.secret_key, s.region_name, c.meta.endpoint_url)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == [
        owner.access_key_id, owner.secret_access_key, "us-east-1", "http://127.0.0.1:4747",
    ]  # fmt: skip


def test_profile_default_stays_untouched(settings, store, clock, tmp_path):
    before = "[default]\naws_access_key_id = AKIAMINE\naws_secret_access_key = mine\n"
    path = tmp_path / "aws" / "credentials"
    path.parent.mkdir()
    path.write_text(before)

    bootstrap(settings, store, clock)

    assert path.read_text().startswith(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_directory_sees_a_new_key_at_once_and_a_change_after_a_second(settings, store):
    clock = ManualClock()
    directory = Directory(store, clock)
    assert directory.find("AKIANOBODY") is None
    owner = bootstrap(settings, store, clock)
    assert directory.find(owner.access_key_id) == owner

    with store.begin() as db:
        rows.delete_credential(db, owner.access_key_id)

    assert directory.find(owner.access_key_id) == owner
    clock.advance(seconds=1)
    assert directory.find(owner.access_key_id) is None


def test_directory_bounds_how_often_unknown_keys_are_looked_up(settings, store):
    clock = ManualClock()
    directory = Directory(store, clock)
    for number in range(MOST_MISSES_PER_S):
        directory.find(f"AKIA{number}")
    owner = bootstrap(settings, store, clock)

    assert directory.find(owner.access_key_id) is None
    clock.advance(seconds=1)
    assert directory.find(owner.access_key_id) == owner
