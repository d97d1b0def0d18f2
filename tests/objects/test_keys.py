"""Properties of keys: none becomes a path, each comes back exactly, and listing agrees with a model."""

from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farero.base.clock import ManualClock
from farero.objects import names
from farero.objects.listing import Wish
from farero.objects.local import LocalObjects
from farero.objects.names import successor
from farero.store.engine import Store
from farero.store.migrations import upgrade
from farero.store.tables.objects import objects as table

NASTY = st.sampled_from(
    [
        "..",
        "../",
        "/",
        "//",
        "\\",
        "%2e%2e",
        "%00",
        "~",
        ".",
        "CON",
        "a",
        "\n",
        " ",
        "é",
        "🧀",
        "tmp",
        "\uffff",
        "*",
        "?",
    ]
)
KEYS = st.one_of(
    st.lists(NASTY, min_size=1, max_size=12).map("".join),
    st.text(
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40
    ),
)
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@QUICK
@given(key=KEYS)
def test_every_key_comes_back_and_no_file_leaves_the_folder(objects, files, root, tmp_path, key):
    outside = {path for path in tmp_path.rglob("*") if root not in path.parents and path != root}

    objects.put("things", key, key.encode())

    assert objects.open("things", key).read() == key.encode()
    assert [info.key for info in objects.list("things")] == [key]
    assert all(len(path.name) == 32 and path.name.isalnum() for path in files())
    after = {path for path in tmp_path.rglob("*") if root not in path.parents and path != root}
    assert {path.name for path in after - outside} <= {"state.db-wal", "state.db-shm"}
    objects.delete("things", key)
    assert files() == []


@given(text=KEYS, rest=st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
def test_a_successor_is_after_everything_below_its_prefix(text, rest):
    following = successor(text)

    assert following is None or text + rest < following
    assert following is None or (text + rest).encode() < following.encode()


def model(keys, wish):
    """List `keys` the slow, plain way."""
    entries = []
    for key in sorted(keys):
        if not key.startswith(wish.prefix) or key <= wish.after:
            continue
        head, found, _ = key[len(wish.prefix) :].partition(wish.delimiter or "\0")
        entry = (wish.prefix + head + found, True) if wish.delimiter and found else (key, False)
        if entry[1] and entry[0] == wish.after:
            continue
        if entry not in entries:
            entries.append(entry)
    return entries


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Objects whose rows are written directly, for speed."""
    folder = tmp_path_factory.mktemp("shelf")
    store = Store(f"sqlite:///{folder / 'state.db'}")
    upgrade(store)
    yield SimpleNamespace(
        store=store, objects=LocalObjects(store, folder / "objects", ManualClock())
    )
    store.close()


def fill(shelf, bucket, keys):
    shelf.objects.ensure_bucket(bucket)
    same = {
        "bucket": bucket, "version_id": "null", "is_latest": True, "is_delete_marker": False, "size_bytes": 0,
        "etag": "0", "last_modified": ManualClock().now(), "content_type": "", "details": "{}", "tags": "{}",
    }  # fmt: skip
    with shelf.store.begin() as db:
        if keys:
            db.execute(sa.insert(table), [same | {"key": key} for key in keys])


SHORT = st.text(st.sampled_from("ab/\u00e9\U0001f600"), min_size=1, max_size=6)
_count = iter(range(1_000_000))


@QUICK
@given(
    keys=st.sets(SHORT, max_size=40),
    prefix=st.text(st.sampled_from("ab/"), max_size=2),
    delimiter=st.sampled_from(["", "/", "a", "b/"]),
    after=st.one_of(st.just(""), SHORT),
    limit=st.integers(1, 7),
)
def test_listing_agrees_with_a_model(shelf, keys, prefix, delimiter, after, limit):
    bucket = f"bucket-{next(_count)}"
    fill(shelf, bucket, keys)
    wish = Wish(prefix=prefix, delimiter=delimiter, after=after, limit=limit)

    entries = []
    while True:
        page = shelf.objects.listing.objects(bucket, wish)
        entries += sorted([(i.key, False) for i in page.items] + [(p, True) for p in page.prefixes])
        assert len(page.items) + len(page.prefixes) <= limit
        if not page.is_truncated:
            break
        wish = Wish(prefix=prefix, delimiter=delimiter, after=page.last, limit=limit)

    first = Wish(prefix=prefix, delimiter=delimiter, after=after)
    assert entries == model(keys, first)


def test_listing_a_hundred_thousand_keys_reads_only_what_it_shows(shelf):
    fill(shelf, "large", [f"d{n // 1000:03}/{n:06}" for n in range(100_000)])
    seen = []
    from sqlalchemy import event

    event.listen(
        shelf.store.engine, "before_cursor_execute", lambda *call: seen.append((call[2], call[3]))
    )
    page = shelf.objects.listing.objects("large", Wish(delimiter="/"))

    assert len(page.prefixes) == 100
    assert len(seen) <= 110  # one seek a prefix, not one row a key
    statement, parameters = seen[-1]
    with shelf.store.read() as db:
        plan = db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert ["objects_latest" in row[-1] and "SEARCH" in row[-1] for row in plan] == [True]


@pytest.mark.parametrize(
    ("name", "is_good"),
    [("abc", True), ("a.b-c", True), ("a" * 63, True), ("ab", False), ("-ab", False), ("a_b", False),
     ("a..b", False), ("10.0.0.1", False), ("xn--abc", False), ("abc-s3alias", False)],
)  # fmt: skip
def test_bucket_names(name, is_good):
    try:
        names.check_bucket_name(name)
    except names.InvalidBucketName:
        assert not is_good
    else:
        assert is_good
