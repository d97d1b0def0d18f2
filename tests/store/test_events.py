"""Buses, rules and targets in SQL, on every database there is."""

import dataclasses
import datetime as dt

import pytest

from farero.records.events import EventBus, Rule, Target
from farero.store import events as rows

NOW = dt.datetime(2026, 1, 5, 10, 0, tzinfo=dt.UTC)


def rule(name="r", bus="default", **fields):
    arn = f"arn:aws:events:us-east-1:123456789012:rule/{bus}/{name}"
    return Rule(bus=bus, name=name, arn=arn, began_at=NOW, **{"pattern": '{"a": [1]}', **fields})


def target(name="t", uid="u", **fields):
    made = Target(
        bus="default", rule="r", id=name, uid=uid, arn="arn:aws:sqs:::q", given={"Id": name}
    )
    return dataclasses.replace(made, **fields)


@pytest.fixture
def db(store):
    with store.begin() as db:
        yield db


def test_a_bus_is_heard_only_while_an_enabled_rule_with_a_pattern_is_on_it(db):
    assert not rows.is_heard(db)
    rows.put_rule(db, rule("timed", pattern="", schedule="rate(1 hour)"))
    rows.put_rule(db, rule("off", state="DISABLED"))
    rows.put_rule(db, rule("elsewhere", bus="shop"))
    assert not rows.is_heard(db)
    assert rows.is_heard(db, "shop")

    rows.put_rule(db, rule("off"))

    assert rows.is_heard(db)
    assert [one.name for one in rows.listening(db, "default")] == ["off"]


def test_a_rule_is_what_was_written_last(db):
    first = rule(schedule="rate(1 hour)", description="é", next_at=NOW + dt.timedelta(hours=1))
    rows.put_rule(db, first)
    assert rows.find_rule(db, "default", "r", lock=True) == first

    second = rule(state="DISABLED", role_arn="arn:aws:iam::1:role/r")
    rows.put_rule(db, second)

    assert rows.find_rule(db, "default", "r") == second
    rows.set_next(db, second, NOW)
    assert rows.find_rule(db, "default", "r") == dataclasses.replace(second, next_at=NOW)
    rows.delete_rule(db, "default", "r")
    assert rows.find_rule(db, "default", "r") is None


def test_rules_are_listed_by_prefix_from_a_name_on(db):
    for name in ("a_1", "a_2", "a_3", "ax4", "b"):
        rows.put_rule(db, rule(name))

    found = rows.list_rules(db, "default", prefix="a_", after="a_1", limit=5)

    assert [one.name for one in found] == ["a_2", "a_3"]
    assert rows.count_rules(db, "default") == 5


def test_a_target_keeps_its_uid_when_it_is_put_again(db):
    rows.put_target(db, target(uid="first"))
    rows.put_target(
        db, target(uid="second", arn="arn:aws:sns:::t", given={"Id": "t", "Input": "1"})
    )

    [found] = rows.targets_of(db, "default", "r")

    assert (found.uid, found.arn, found.given) == (
        "first",
        "arn:aws:sns:::t",
        {"Id": "t", "Input": "1"},
    )
    assert rows.find_target(db, "first") == found
    assert rows.find_target(db, "second") is None


def test_rules_are_found_by_a_target_each_once(db):
    rows.put_target(db, target("a", "1"))
    rows.put_target(db, target("b", "2"))
    rows.put_target(db, target("a", "3", rule="s"))
    rows.put_target(db, target("a", "4", rule="other", arn="arn:aws:sqs:::other"))

    found = rows.rule_names_by_target(db, "default", "arn:aws:sqs:::q", after="", limit=5)

    assert found == ["r", "s"]
    rows.delete_targets(db, "default", "r", ["a", "b"])
    assert rows.rule_names_by_target(db, "default", "arn:aws:sqs:::q", after="", limit=5) == ["s"]


def test_buses_are_listed_by_name(db):
    for name in ("shop", "bank"):
        rows.insert_bus(
            db,
            EventBus(name=name, arn=f"arn/{name}", created_at=NOW, given={"Description": name}),
        )

    assert [bus.name for bus in rows.list_buses(db)] == ["bank", "shop"]
    assert rows.find_bus(db, "shop").given == {"Description": "shop"}
    rows.delete_bus(db, "shop")
    assert rows.find_bus(db, "shop") is None
