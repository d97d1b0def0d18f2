import contextlib
import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from farero.base.clock import ManualClock
from farero.records.telemetry import NewLogEvent
from farero.store import logs as rows
from farero.store import migrations
from farero.store.engine import Store
from farero.telemetry.logs import Logs, Search, Window

#: Batches for two streams: times in seconds before now, sorted within a batch as the API asks.
BATCHES = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.lists(st.integers(0, 5), min_size=1, max_size=4)),
    max_size=6,
)


@contextlib.contextmanager
def filled(batches):
    """Give logs that hold the batches, and what went in as (time, arrival, stream) in reading order."""
    store = Store("sqlite://")
    migrations.upgrade(store)
    clock = ManualClock()
    logs = Logs(store, clock)
    logs.create_group("g", {})
    for name in ("a", "b"):
        logs.create_stream("g", name)
    now_ms = int(clock.now().timestamp() * 1000)
    entries = []
    for name, seconds in batches:
        times = [now_ms - second * 1000 for second in sorted(seconds, reverse=True)]
        events = [
            NewLogEvent(timestamp_ms=ms, message=f"{len(entries) + n} {name}")
            for n, ms in enumerate(times)
        ]
        logs.put_events("g", name, events)
        entries += [(ms, len(entries) + n, name) for n, ms in enumerate(times)]
    yield logs, sorted(entries)
    store.close()


def words(entries):
    return [f"{number} {name}" for _, number, name in entries]


@settings(max_examples=40, deadline=None)
@given(BATCHES, st.integers(1, 4))
def test_pages_of_a_stream_join_to_the_whole_in_both_directions(batches, limit):
    with filled(batches) as (logs, entries):
        expected = words(entry for entry in entries if entry[2] == "a")

        forward, window = [], Window(limit=limit)
        while (page := logs.read_page("g", "a", window)).events:
            forward += [event.message for event in page.events]
            window = dataclasses.replace(window, after=page.forward)
        backward, window = [], Window(limit=limit, newest_first=True)
        while (page := logs.read_page("g", "a", window)).events:
            backward = [event.message for event in page.events] + backward
            window = dataclasses.replace(window, before=page.backward)

        assert forward == expected
        assert backward == expected
        assert [event.message for event in logs.read_stream("g", "a")] == expected


@settings(max_examples=40, deadline=None)
@given(BATCHES, st.integers(1, 4), st.sampled_from(["", "a", "-a", "1"]), st.booleans())
def test_pages_of_a_search_join_to_all_that_match(batches, limit, pattern, newest_first):
    with filled(batches) as (logs, entries):
        if pattern.startswith("-"):
            expected = [text for text in words(entries) if pattern[1:] not in text]
        else:
            expected = [text for text in words(entries) if pattern in text]

        found, window = [], Window(limit=limit, newest_first=newest_first)
        while True:
            page = logs.search("g", Search(pattern=pattern, window=window))
            found += [event.message for event in page.events]
            if page.next is None:
                break
            side = {"before": page.next} if newest_first else {"after": page.next}
            window = dataclasses.replace(window, **side)

        assert found == (expected[::-1] if newest_first else expected)


def test_largest_group_loses_its_oldest_events_when_all_are_too_much(store, clock):
    logs = Logs(store, clock, most_bytes=2_000)
    now_ms = int(clock.now().timestamp() * 1000)
    for group, count in (("/large", 40), ("/small", 3)):
        logs.create_group(group, {})
        logs.create_stream(group, "s")
        logs.put_events(
            group,
            "s",
            [NewLogEvent(timestamp_ms=now_ms + n, message=f"{n:074d}") for n in range(count)],
        )

    gone = logs.apply_retention()

    assert (gone, len(list(logs.read_stream("/small", "s")))) == (40, 3)


def test_events_that_come_after_a_deletion_have_new_numbers(store, clock):
    logs = Logs(store, clock)
    now_ms = int(clock.now().timestamp() * 1000)

    def put():
        logs.create_group("/g", {})
        logs.create_stream("/g", "s")
        logs.put_events("/g", "s", [NewLogEvent(timestamp_ms=now_ms, message="m")] * 3)
        return [event.id for event in logs.read_stream("/g", "s")]

    first = put()
    logs.delete_group("/g")

    assert min(put()) > max(first)


def test_large_events_are_read_in_small_portions(store, clock):
    logs = Logs(store, clock)
    now_ms = int(clock.now().timestamp() * 1000)
    logs.create_group("/g", {})
    logs.create_stream("/g", "s")
    for number in range(60):
        events = [
            NewLogEvent(timestamp_ms=now_ms + number, message=f"{number} " + "x" * 250_000)
        ] * 4
        logs.put_events("/g", "s", events)

    def walk(**options):
        place, found, pages = None, 0, 0
        while True:
            page = logs.search("/g", Search(window=Window(after=place), **options))
            found, pages, place = found + len(page.events), pages + 1, page.next
            if place is None:
                return found, pages

    with store.read() as db:
        portion = rows.select_events(db, rows.EventQuery(group_id=1), {1: "s"})

    assert (len(portion.events), portion.is_end) == (32, False)
    assert len(list(logs.read_stream("/g", "s"))) == 240
    assert walk(pattern="nothing") == (0, 2)
    assert walk()[0] == 240
