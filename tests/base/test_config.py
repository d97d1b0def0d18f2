"""Settings: defaults, variables, and what is refused."""

from pathlib import Path

import pytest

from farero.base.config import Settings, read_settings
from farero.base.errors import Invalid


def test_defaults_need_nothing():
    assert read_settings({}) == Settings(data_dir=Path.home() / ".farero")


def test_variables_set_every_kind_of_field():
    settings = read_settings(
        {
            "FARERO_DATA_DIR": "/srv/farero",
            "FARERO_PORT": "5000",
            "FARERO_EPHEMERAL": "true",
            "FARERO_CAPTURE_PUBLISH_S": "2.5",
            "FARERO_REGION": "eu-west-1",
        }
    )

    assert settings == Settings(
        data_dir=Path("/srv/farero"),
        port=5000,
        ephemeral=True,
        capture_publish_s=2.5,
        region="eu-west-1",
    )


def test_an_argument_wins_over_a_variable():
    assert read_settings({"FARERO_PORT": "5000"}, port=6000).port == 6000


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("FARERO_PORT", "many", "FARERO_PORT='many' is not a valid int"),
        ("FARERO_EPHEMERAL", "perhaps", "FARERO_EPHEMERAL='perhaps' is not a valid bool"),
        ("FARERO_ACCOUNT", "12", "12 digits"),
        ("FARERO_BIND", "0.0.0.0", "only loopback is served"),
        ("FARERO_CAPTURE_DURABILITY", "maybe", "never, 1s, always"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name, value, words):
    with pytest.raises(Invalid, match=words):
        read_settings({name: value})


def test_telemetry_has_a_file_of_its_own_on_sqlite_and_none_elsewhere(tmp_path):
    lite = Settings(data_dir=tmp_path)
    other = Settings(data_dir=tmp_path, database_url="postgresql+psycopg://x/y")

    assert lite.sql_url != lite.telemetry_url
    assert other.sql_url == other.telemetry_url
