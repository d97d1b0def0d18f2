"""CPU, memory and disk of what runs, once a minute, as CloudWatch's instance metrics.

After "SageMaker AI instance metrics": CPUUtilization is summed over cores, so that four busy ones are 400 percent; the
other two are shares of the memory that the process may have and of the disk on which its files lie. What runs is looked
up each time, so what has ended has no figures and no zeros. A database that cannot be written delays them.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from farero.base.errors import NotReady
from farero.records.metrics import Datum, Metric

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from farero.base.clock import Clock
    from farero.compute.base import Compute
    from farero.records.compute import ProcessStatus, ProcessUsage

    #: Names of processes → what they are; those that are nobody's business are left out.
    Find = Callable[[Sequence[str]], Mapping[str, "Subject"]]

log = logging.getLogger(__name__)

CPU, MEMORY, DISK = "CPUUtilization", "MemoryUtilization", "DiskUtilization"
#: How often to look for what is due: with the line below, whatever lives for 5 s is measured once.
LOOK_EVERY_S = 2.0
#: A process that lived as long is measured for the first time.
YOUNGEST_S = 3.0
#: Figures that wait for a database that cannot be written; the oldest are given up first.
MOST_PENDING = 10_000


class Subject(NamedTuple):
    """Whose figures a process has."""

    namespace: str
    dimensions: Mapping[str, str]
    names: tuple[str, ...] = (CPU, MEMORY, DISK)


class Reading(NamedTuple):
    """Processor time at a moment."""

    at: dt.datetime
    cpu_s: float


class Resources:
    """Measures the processes of one host."""

    def __init__(
        self,
        clock: Clock,
        compute: Compute,
        *,
        put: Callable[[Sequence[Datum]], object],
        find: Sequence[Find],
    ) -> None:
        self._clock = clock
        self._compute = compute
        self._put = put
        self._find = find
        self._began = clock.now()
        self._last: dict[str, Reading] = {}
        #: When processes that are nobody's business were asked about: ours, which are always there.
        self._others: dict[str, Reading] = {}
        self._pending: deque[Datum] = deque(maxlen=MOST_PENDING)
        self._lock = threading.Lock()
        self._is_failing = False

    def add(self, datum: Datum) -> None:
        """Take a figure that is stored with the next ones; never blocks."""
        self._pending.append(datum)

    def measure_due(self) -> int:
        """Measure what was not measured in this minute yet, and store it; return how many processes that were."""
        with self._lock:
            try:
                count = self._measure()
            except NotReady:  # the supervisor ends, or there is none
                count = 0
            self._store()
        return count

    def _measure(self) -> int:
        now = self._clock.now()
        running = [one for one in self._compute.list() if one.state == "running"]
        self._last = {one.name: self._last[one.name] for one in running if one.name in self._last}
        self._others = {
            one.name: self._others[one.name] for one in running if one.name in self._others
        }
        last = self._others | self._last
        names = [one.name for one in running if is_due(one, last.get(one.name), now)]
        subjects: dict[str, Subject] = {}
        for find in self._find if names else ():
            subjects |= find(names)
        self._others |= {name: Reading(now, 0.0) for name in names if name not in subjects}
        if not subjects:
            return 0
        for usage in self._compute.usage():
            if (subject := subjects.get(usage.name)) is not None:
                self._pending += data(subject, usage, self._since(usage))
                self._last[usage.name] = Reading(usage.at, usage.cpu_s)
        return len(subjects)

    def _since(self, usage: ProcessUsage) -> Reading | None:
        """Return the reading before; a process that began after us had none. None for one that was there before us."""
        if (last := self._last.get(usage.name)) is not None:
            return last
        return Reading(usage.started_at, 0.0) if usage.started_at >= self._began else None

    def _store(self) -> None:
        if not (taken := list(self._pending)):
            return
        try:
            self._put(taken)
        except Exception as error:  # noqa: BLE001 - whatever the database says; the figures wait
            if not self._is_failing:
                self._is_failing = True
                log.warning(
                    "figures of processes cannot be stored; they wait", extra={"error": error}
                )
            return
        self._is_failing = False
        for _ in taken:
            self._pending.popleft()


def is_due(status: ProcessStatus, last: Reading | None, now: dt.datetime) -> bool:
    """Say whether a process is to be measured: once in each minute, and first when it is a few seconds old."""
    if last is not None:
        return _minute(now) > _minute(last.at)
    return status.started_at is not None and (now - status.started_at).total_seconds() >= YOUNGEST_S


def data(subject: Subject, usage: ProcessUsage, since: Reading | None) -> Iterator[Datum]:
    """Return a process's figures in percent; no CPUUtilization without a reading before."""
    for name, value in _percents(usage, since):
        if name in subject.names:
            metric = Metric.of(subject.namespace, name, subject.dimensions)
            yield Datum(metric=metric, at=usage.at, values=(value,), unit="Percent")


def _percents(usage: ProcessUsage, since: Reading | None) -> Iterator[tuple[str, float]]:
    elapsed_s = (usage.at - since.at).total_seconds() if since else 0.0
    if since and elapsed_s > 0:
        # A child that nobody waited for takes its time with it.
        yield CPU, 100 * max(0.0, usage.cpu_s - since.cpu_s) / elapsed_s
    yield MEMORY, 100 * usage.memory_bytes / usage.memory_limit_bytes
    if usage.disk_size_bytes:
        yield DISK, 100 * usage.disk_used_bytes / usage.disk_size_bytes


def _minute(moment: dt.datetime) -> int:
    return int(moment.timestamp() // 60)
