"""Running totals of one process, for Prometheus: counters, histograms and levels, added up over all processes.

Any gateway may answer a scrape, so each process writes its own totals to `<folder>/<id>.json` and whoever answers adds
the files up. A process holds a lock on `<id>.lock` while it lives. What dead ones left is joined into `past.json` at
the next start; a counter therefore never falls, be it one process that died or the whole platform that was restarted.
Figures of what no longer exists are left out, so that there are never more of them than there are variants.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from bisect import bisect_left
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping
    from pathlib import Path

#: Upper bounds of latency histograms, in seconds; a last bucket holds what is above.
BUCKETS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
PAST = "past.json"

#: Pairs of name and value, in the order in which they are shown. The first two name who a figure belongs to.
Labels = tuple[tuple[str, str], ...]


class Histogram(msgspec.Struct):
    """How many values fell into each bucket, and their sum."""

    counts: list[int]
    total: float = 0.0


class Figures(msgspec.Struct):
    """Everything one process, or all of them, have to tell."""

    counters: dict[tuple[str, Labels], float] = {}
    histograms: dict[tuple[str, Labels], Histogram] = {}
    #: What holds now; of a process that ended it holds no longer.
    gauges: dict[tuple[str, Labels], float] = {}

    def add(self, other: Figures) -> None:
        """Add everything, each to its own."""
        for key, value in other.counters.items():
            self.counters[key] = self.counters.get(key, 0.0) + value
        for key, found in other.histograms.items():
            mine = self.histograms.setdefault(key, Histogram([0] * len(found.counts)))
            mine.counts = [a + b for a, b in zip(mine.counts, found.counts, strict=True)]
            mine.total += found.total
        for key, value in other.gauges.items():
            self.gauges[key] = self.gauges.get(key, 0.0) + value


class _File(msgspec.Struct):
    """Figures as they are written: JSON has no keys but texts."""

    counters: list[tuple[str, Labels, float]] = []
    histograms: list[tuple[str, Labels, Histogram]] = []
    gauges: list[tuple[str, Labels, float]] = []
    #: Of `past.json`: ids whose files are in it already, in case they could not be removed.
    joined: list[str] = []


class Totals:
    """The totals of this process."""

    def __init__(
        self, folder: Path, owners: Callable[[], Collection[Labels]] | None = None
    ) -> None:
        """Take up what ended processes left.

        owners: returns the first two labels of everything that exists; None to keep all.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._owners = owners
        self._figures = Figures()
        self._is_changed = False
        self._id = f"{os.getpid()}-{secrets.token_hex(4)}"
        with _locked(folder, fcntl.LOCK_EX):
            self._lock = os.open(self._path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            _join_dead(folder, self._owners)

    def add(self, name: str, labels: Labels, value: float = 1.0) -> None:
        """Let a counter grow; with 0 it comes into being."""
        counters = self._figures.counters
        counters[name, labels] = counters.get((name, labels), 0.0) + value
        self._is_changed = True

    def observe(self, name: str, labels: Labels, microseconds: Mapping[int, int]) -> None:
        """Count times in a histogram of seconds; microseconds: how often each occurred."""
        found = self._figures.histograms.get((name, labels))
        if found is None:
            found = Histogram([0] * (len(BUCKETS) + 1))
            self._figures.histograms[name, labels] = found
        total = 0
        for value, count in microseconds.items():
            found.counts[bisect_left(BUCKETS, value / 1e6)] += count
            total += value * count
        found.total += total / 1e6
        self._is_changed = True

    def levels_at_rest(self) -> dict[tuple[str, Labels], float]:
        """Return a zero for every level that there was."""
        return dict.fromkeys(self._figures.gauges, 0.0)

    def set_levels(self, levels: dict[tuple[str, Labels], float]) -> None:
        """Replace all levels."""
        self._is_changed = self._is_changed or levels != self._figures.gauges
        self._figures.gauges = levels

    def save(self) -> None:
        """Write what has changed where every process can read it."""
        if not self._is_changed:
            return
        # What cannot be written now is written the next time, with what has come since.
        with contextlib.suppress(OSError):
            _write(self._path("json"), _file_of(self._figures))
            self._is_changed = False

    def forget_others(self) -> None:
        """Drop the figures of what no longer exists; any thread may call."""
        # Seen before the owners are read: what came into being meanwhile stays.
        mine = self._figures
        seen = [list(one) for one in (mine.counters, mine.histograms, mine.gauges)]
        if self._owners is None:
            return
        owners = self._owners()
        for figures, keys in zip((mine.counters, mine.histograms, mine.gauges), seen, strict=True):
            for key in keys:
                if not _is_kept(key[1], owners):
                    figures.pop(key, None)
                    self._is_changed = True

    def read_all(self) -> Figures:
        """Return the sum over all processes, past ones too."""
        found = Figures()
        with _locked(self._folder, fcntl.LOCK_SH):
            past = _read(self._folder / PAST)
            found.add(_figures_of(past))
            for path in self._folder.glob("*.json"):
                if path.name == PAST or path.stem in past.joined:
                    continue
                figures = _figures_of(_read(path))
                if _is_dead(path.with_suffix(".lock"), fcntl.LOCK_SH):
                    figures.gauges = {}
                found.add(figures)
        return _kept(found, self._owners)

    def close(self) -> None:
        """Write for the last time."""
        self._figures.gauges = {}
        self._is_changed = True
        self.save()
        os.close(self._lock)

    def _path(self, kind: str) -> Path:
        return self._folder / f"{self._id}.{kind}"


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Generator[None]:
    """Keep files from being joined while they are read, and the other way round."""
    with (folder / "join").open("a") as file:
        fcntl.flock(file, how)
        yield


def _join_dead(folder: Path, owners: Callable[[], Collection[Labels]] | None) -> None:
    past = _read(folder / PAST)
    figures = _figures_of(past)
    dead = [path.stem for path in folder.glob("*.lock") if _is_dead(path, fcntl.LOCK_EX)]
    if not dead:
        return
    for name in dead:
        if name not in past.joined:
            figures.add(_figures_of(_read(folder / f"{name}.json")))
    figures.gauges = {}
    file = _file_of(_kept(figures, owners))
    file.joined = dead
    _write(folder / PAST, file, is_durable=True)
    for name in dead:
        for kind in ("json", "new", "lock"):
            (folder / f"{name}.{kind}").unlink(missing_ok=True)


def _is_dead(path: Path, how: int) -> bool:
    """Say whether nobody holds the lock; `how` is shared where several may ask at a time."""
    try:
        with path.open("r+") as file:
            fcntl.flock(file, how | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


def _kept(figures: Figures, find: Callable[[], Collection[Labels]] | None) -> Figures:
    if find is None:
        return figures
    owners = find()
    return Figures(
        counters={key: v for key, v in figures.counters.items() if _is_kept(key[1], owners)},
        histograms={key: v for key, v in figures.histograms.items() if _is_kept(key[1], owners)},
        gauges={key: v for key, v in figures.gauges.items() if _is_kept(key[1], owners)},
    )


def _is_kept(labels: Labels, owners: Collection[Labels]) -> bool:
    return not labels or labels[:2] in owners


def _file_of(figures: Figures) -> _File:
    return _File(
        counters=[
            (name, labels, value) for (name, labels), value in list(figures.counters.items())
        ],
        histograms=[
            (name, labels, found) for (name, labels), found in list(figures.histograms.items())
        ],
        gauges=[(name, labels, value) for (name, labels), value in list(figures.gauges.items())],
    )


def _figures_of(file: _File) -> Figures:
    return Figures(
        counters={(name, labels): value for name, labels, value in file.counters},
        histograms={
            (name, labels): found
            for name, labels, found in file.histograms
            if len(found.counts) == len(BUCKETS) + 1  # another release may have had other bounds
        },
        gauges={(name, labels): value for name, labels, value in file.gauges},
    )


def _read(path: Path) -> _File:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except (FileNotFoundError, msgspec.DecodeError):
        # A power loss may leave a file empty: its second is lost, as the metrics of that second are.
        return _File()


def _write(path: Path, file: _File, *, is_durable: bool = False) -> None:
    partial = path.with_suffix(".new")
    with partial.open("wb") as opened:
        opened.write(msgspec.json.encode(file))
        if is_durable:
            opened.flush()
            os.fsync(opened.fileno())
    partial.replace(path)
