"""Transactions, migrations and versions, on every SQL store."""

import threading

import pytest

from farero.base.errors import Conflict
from farero.store import migrations, versions


def test_migrations_run_once(store):
    assert migrations.upgrade(store) == 0


def test_a_database_of_a_newer_program_is_refused_with_advice(store):
    with store.begin() as db:
        versions.put(db, versions.SCHEMA, 99)

    with pytest.raises(Conflict, match="upgrade Farero"):
        migrations.upgrade(store)


def test_writers_wait_for_each_other_and_lose_nothing(store):
    with store.begin() as db:
        versions.raise_routing(db)

    def raise_fifty():
        for _ in range(50):
            with store.begin() as db:
                versions.raise_routing(db)

    threads = [threading.Thread(target=raise_fifty) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with store.read() as db:
        total = versions.get(db, versions.ROUTING)
    assert total == 201


def test_a_reader_sees_one_moment_while_a_writer_commits(store):
    if not store.is_sqlite:
        return
    with store.read() as reader:
        before = versions.get(reader, versions.ROUTING)
        with store.begin() as writer:
            versions.raise_routing(writer)
        during = versions.get(reader, versions.ROUTING)
    with store.read() as reader:
        after = versions.get(reader, versions.ROUTING)

    assert (during, after) == (before, before + 1)


def test_sqlite_is_durable_for_control_state(store):
    if not store.is_sqlite:
        return
    with store.read() as db:
        mode = db.exec_driver_sql("PRAGMA journal_mode").scalar()
        synchronous = db.exec_driver_sql("PRAGMA synchronous").scalar()

    assert (mode, synchronous) == ("wal", 2)
