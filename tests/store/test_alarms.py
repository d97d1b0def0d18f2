"""The rows of alarms, of what holds their actions back, and of detectors, in every SQL."""

import datetime as dt
from dataclasses import replace

from farero.records.alarms import Alarm, AnomalyDetector, HistoryItem
from farero.store import alarms as rows

NOW = dt.datetime(2026, 1, 5, 10, 0, tzinfo=dt.UTC)


def alarm(name="a", **changes):
    made = Alarm(
        name=name, arn=f"arn:{name}", kind="MetricAlarm", config={"Period": 60}, actions_enabled=True,
        configured_at=NOW, updated_at=NOW, transitioned_at=NOW,
    )  # fmt: skip
    return replace(made, **changes)


def test_who_has_read_an_older_version_writes_nothing(store):
    with store.begin() as db:
        rows.insert(db, alarm())
        read = rows.find(db, "a")
        first = rows.update(db, replace(read, state="ALARM", suppressed_by="Alarm"))
        second = rows.update(db, replace(read, state="OK"))
        found = rows.find(db, "a")

    assert (first, second) == (True, False)
    assert (found.state, found.suppressed_by, found.version) == ("ALARM", "Alarm", 2)


def test_holds_are_written_read_and_go_with_their_alarm(store):
    with store.begin() as db:
        none = rows.find_hold(db, "a")
        rows.put_hold(db, "a", "OK", "WaitPeriod", NOW)
        first = rows.find_hold(db, "a")
        rows.put_hold(db, "a", "ALARM", "", None)
        second = rows.find_hold(db, "a")
        rows.insert(db, alarm())
        rows.delete(db, ["a"])
        after = rows.find_hold(db, "a")
        rows.put_hold(db, "b", "OK", "", None)
        rows.delete_hold(db, "b")

        assert (none, first) == (None, ("OK", "WaitPeriod", NOW))
        assert (second, after) == (("ALARM", "", None), None)
        assert rows.find_hold(db, "b") is None


def test_detectors_are_written_anew_under_their_id(store):
    made = AnomalyDetector(id="1", config={"a": 1}, created_at=NOW)
    with store.begin() as db:
        rows.put_detector(db, made)
        rows.put_detector(db, replace(made, config={"a": 2}, created_at=NOW + dt.timedelta(1)))
        found = rows.list_detectors(db)
        gone = (rows.delete_detector(db, "1"), rows.delete_detector(db, "1"))

    assert found == [replace(made, config={"a": 2})]
    assert gone == (True, False)


def test_history_is_found_by_every_filter(store):
    def item(name, minute, kind="StateUpdate", alarm_kind="MetricAlarm"):
        at = NOW + dt.timedelta(minutes=minute)
        return HistoryItem(
            alarm=name, alarm_kind=alarm_kind, at=at, kind=kind, summary=str(minute), data="{}"
        )

    def found(**wanted):
        return [one.summary for one in rows.list_history(db, **wanted)]

    with store.begin() as db:
        for one in (
            item("a", 0),
            item("a", 1, "Action"),
            item("b", 2),
            item("c", 3, alarm_kind="CompositeAlarm"),
        ):
            rows.add_history(db, one)

        assert found() == ["3", "2", "1", "0"]
        assert found(alarm="a", is_ascending=True) == ["0", "1"]
        assert found(kinds=("CompositeAlarm",)) == ["3"]
        assert found(item_kind="Action") == ["1"]
        assert found(start=NOW + dt.timedelta(minutes=1), end=NOW + dt.timedelta(minutes=2)) == [
            "2",
            "1",
        ]
        assert found(offset=1, limit=2) == ["2", "1"]
        rows.forget_history(db, before=NOW + dt.timedelta(minutes=2))
        assert found() == ["3", "2"]
