import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farero.base.clock import ManualClock
from farero.compute import logfiles
from farero.store import migrations
from farero.store.engine import Store
from farero.telemetry.logs import Logs
from farero.telemetry.ship import (
    BACKLOG_BYTES,
    BURST_BYTES,
    EVENT_BYTES,
    FLOOD_BYTES_PER_S,
    LogShipper,
)

GROUP, STREAM = "/aws/sagemaker/TrainingJobs", "iris/algo-1-1767607200"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "iris.log"


def messages(logs):
    return [event.message for event in logs.read_stream(GROUP, STREAM)]


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


def test_lines_become_events_while_the_file_grows(logs, shipper, path):
    shipper.follow(path, GROUP, STREAM)
    shipper.ship_due()
    append(path, b"one\ntwo\nthr")
    shipper.ship_due()
    first = messages(logs)
    append(path, b"ee\n")
    shipper.ship_due()

    assert first == ["one", "two"]
    assert messages(logs) == ["one", "two", "three"]


def test_finish_takes_the_last_line_without_an_end(logs, shipper, path):
    shipper.follow(path, GROUP, STREAM)
    append(path, b"one\ntwo")

    shipper.finish(path)
    shipper.finish(path)
    append(path, b"late\n")
    shipper.ship_due()

    assert messages(logs) == ["one", "two"]


def test_following_survives_a_restart_and_repeats_nothing(store, clock, logs, shipper, path):
    shipper.follow(path, GROUP, STREAM)
    append(path, b"one\n")
    shipper.ship_due()
    append(path, b"two\n")

    again = LogShipper(store, clock)
    again.follow(path, GROUP, STREAM)
    again.ship_due()

    assert messages(logs) == ["one", "two"]


def test_training_logs_show_tabs_as_cloudwatch_does(logs, shipper, path):
    shipper.follow(path, GROUP, STREAM, escapes_tabs=True)
    append(path, b"[0]\ttrain-rmse:0.5\x1b[0m\n")
    shipper.ship_due()

    assert messages(logs) == ["[0]#011train-rmse:0.5#033[0m"]


def test_truncated_file_is_read_from_its_new_start(logs, shipper, path):
    shipper.follow(path, GROUP, STREAM)
    append(path, b"a long first line\n")
    shipper.ship_due()
    path.write_bytes(b"new\n")

    shipper.ship_due()
    shipper.ship_due()

    assert messages(logs) == ["a long first line", "new"]


def test_file_cut_by_the_platform_repeats_and_hides_nothing(logs, shipper, path):
    shipper.follow(path, GROUP, STREAM)
    append(path, b"".join(b"line %06d\n" % n for n in range(10_000)))
    shipper.ship_due()
    append(path, b"before the cut\n")
    logfiles.cut(path, limit=100_000)
    append(path, b"after\n")

    shipper.finish(path)

    assert messages(logs) == [
        *(f"line {n:06d}" for n in range(10_000)),
        "before the cut",
        "after",
    ]


def test_what_a_cut_took_away_is_counted(logs, shipper, path):
    shipper.follow(path, GROUP, STREAM)
    append(path, b"first\n")
    shipper.ship_due()
    append(path, b"x" * 200_000 + b"\n")
    logfiles.cut(path, limit=100_000)
    append(path, b"end\n")

    shipper.finish(path)

    assert messages(logs) == ["first", "farero: dropped 200001 bytes", "end"]


def test_line_that_is_too_long_is_cut_between_characters(logs, shipper, path):
    line = "é" * EVENT_BYTES
    shipper.follow(path, GROUP, STREAM)
    append(path, line.encode() + b"\nend\n")

    shipper.finish(path)

    pieces = messages(logs)
    assert "".join(pieces[:-1]) == line
    assert pieces[-1] == "end"
    assert max(len(piece.encode()) for piece in pieces) <= EVENT_BYTES


LINE = b"x" * 999 + b"\n"


def pour(path, size):
    append(path, LINE * (size // len(LINE)))


def test_flood_is_capped_with_a_marker_line(logs, shipper, path):
    shipper.follow(path, GROUP, STREAM)
    with path.open("wb") as file:
        os.truncate(file.fileno(), 5 * BURST_BYTES)
    append(path, b"\nthe end\n")

    shipper.finish(path)

    assert messages(logs) == [
        "farero: 1 lines (52.4 MB) dropped: over the limit of 1 MB/s",
        "the end",
    ]


def test_what_comes_at_once_is_shipped_at_once_up_to_the_burst(logs, shipper, path):
    shipper.follow(path, GROUP, STREAM)
    pour(path, BURST_BYTES)

    while shipper.ship_due():
        pass

    assert len(messages(logs)) == BURST_BYTES // len(LINE)


def test_long_flood_passes_at_the_limit_and_every_line_is_shipped_or_counted(
    logs, shipper, path, clock
):
    shipper.follow(path, GROUP, STREAM)
    poured = 0
    for _ in range(60):
        pour(path, 3_000_000)
        poured += 3_000
        clock.advance(seconds=0.3)
        shipper.ship_due()
    append(path, b"the end\n")
    shipper.finish(path)

    found = messages(logs)
    markers = [line for line in found if line.startswith("farero:")]
    shipped = len(found) - len(markers) - 1
    dropped = sum(int(line.split()[1]) for line in markers)
    assert shipped + dropped == poured
    assert found[-1] == "the end"
    assert shipped * len(LINE) <= BURST_BYTES + 18 * FLOOD_BYTES_PER_S + BACKLOG_BYTES
    assert shipped * len(LINE) >= 18 * FLOOD_BYTES_PER_S
    assert 3 <= len(markers) <= 5


def test_quiet_stream_is_shipped_with_every_look_beside_floods(
    store, logs, shipper, clock, tmp_path
):
    floods = [tmp_path / f"flood-{number}" for number in range(6)]
    for number, flood in enumerate(floods):
        shipper.follow(flood, GROUP, f"flood-{number}")
    quiet = tmp_path / "quiet"
    shipper.follow(quiet, GROUP, STREAM)
    for look in range(3):
        for flood in floods:
            pour(flood, 1_000_000)
        append(quiet, b"line %d\n" % look)
        clock.advance(seconds=0.3)
        shipper.ship_due()

        assert messages(logs)[-1] == f"line {look}"


def test_carriage_returns_keep_the_last_state_of_a_line(logs, shipper, path):
    shipper.follow(path, GROUP, STREAM)
    append(path, b"10%\r50%\r100%\r\n\n  \nplain\r\n")
    shipper.ship_due()

    assert messages(logs) == ["100%", "plain"]


def test_link_is_not_followed(logs, shipper, path, tmp_path):
    (tmp_path / "key").write_text("TOPSECRET\n")
    shipper.follow(path, GROUP, STREAM)
    path.symlink_to(tmp_path / "key")

    shipper.ship_due()
    shipper.finish(path)

    assert messages(logs) == []


def test_clock_that_is_set_back_keeps_lines_in_order(store, clock, logs, shipper, path):
    shipper.follow(path, GROUP, STREAM)
    append(path, b"first\n")
    shipper.ship_due()
    clock.advance(hours=-1)
    append(path, b"second\n")
    shipper.ship_due()

    assert messages(logs) == ["first", "second"]


def test_stream_deleted_while_followed_is_made_again(logs, shipper, path):
    shipper.follow(path, GROUP, STREAM)
    logs.delete_group(GROUP)
    append(path, b"still here\n")
    shipper.ship_due()

    assert messages(logs) == ["still here"]


@given(
    lines=st.lists(st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1), max_size=8),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
def test_lines_arrive_once_however_the_writes_are_cut(tmp_path_factory, lines, cuts):
    folder = tmp_path_factory.mktemp("ship")
    store = Store(f"sqlite:///{folder / 'logs.db'}", durable=False)
    migrations.upgrade(store)
    clock = ManualClock()
    path = folder / "out.log"
    data = b"".join(line.encode() + b"\n" for line in lines)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]

    LogShipper(store, clock).follow(path, GROUP, STREAM)
    for start, end in itertools.pairwise(places):
        append(path, data[start:end])
        LogShipper(store, clock).ship_due()
    LogShipper(store, clock).finish(path)

    assert messages(Logs(store, clock)) == lines
    store.close()
