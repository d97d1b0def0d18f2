"""Many writers at once, on every SQL."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest

from farero.base.context import Context, Principal
from farero.base.errors import Conflict, LimitExceeded
from farero.identity.access_keys import AccessKeys
from farero.identity.entities import Entities

CTX = Context(
    account="123456789012",
    region="us-east-1",
    request_id="r",
    now=dt.datetime(2026, 1, 5, tzinfo=dt.UTC),
    principal=Principal(access_key_id="AKIA", arn="arn", user_id="id"),
)


def outcomes(call, arguments, expected):
    """Call in eight threads; return how many calls ended without the expected error."""

    def attempt(argument):
        try:
            call(argument)
        except expected:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(attempt, arguments))


def test_one_of_many_takes_a_name(store):
    entities = Entities(store)

    made = outcomes(lambda _: entities.create(CTX, "user", "ada"), range(8), Conflict)

    assert made == 1


def test_no_tag_of_many_writers_is_lost(store):
    entities = Entities(store)
    entities.create(CTX, "user", "ada")
    names = [f"k{number}" for number in range(16)]

    outcomes(lambda name: entities.tag("user", "ada", {name: "v"}), names, ())

    assert entities.get("user", "ada").document["Tags"] == dict.fromkeys(names, "v")


def test_many_writers_make_two_keys_at_most(store):
    Entities(store).create(CTX, "user", "ada")
    keys = AccessKeys(store)

    made = outcomes(lambda _: keys.create("ada", CTX.now), range(8), LimitExceeded)

    assert made == 2
    assert len(keys.list("ada")) == 2


@pytest.mark.parametrize("kind", ["user", "group"])
def test_reading_what_was_given_out_changes_nothing(store, kind):
    entities = Entities(store)
    entities.create(CTX, kind, "x")

    entities.get(kind, "x").document["Tags"] = {"a": "1"}

    assert entities.get(kind, "x").document == {}
