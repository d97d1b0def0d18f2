"""How many replicas a serverless variant shall have: none while nobody asks, more while requests wait for one another.

Gateways say when a variant is used, by the time of a file, and ask the worker for replicas. What was asked for holds
until nobody has asked for as much again for the idle time. What a worker does not remember, having just begun, it takes
from the replicas that are there. Memory only: losing it costs an idle time, or one more question.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from farero.base.clock import Clock
    from farero.records.endpoint import Variant

#: What a line to the worker begins with by which a gateway asks; `<endpoint>/<variant>/<replicas>` follows.
WAKE = "endpoint.wake"
#: Replicas of one variant that one processor core is worth, whatever MaxConcurrency allows.
MOST_PER_CORE = 2
#: Variable of a container that overrides the platform's idle time for its endpoint.
IDLE_VARIABLE = "FARERO_SERVERLESS_IDLE_S"


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for last, and when."""

    replicas: int
    at: dt.datetime


class Used:
    """When variants were last used, as the times of files in one folder; gateways write, the worker reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def touch(self, endpoint: str, variant: str, now: dt.datetime) -> None:
        """Note that a variant is in use."""
        path = self._path(endpoint, variant)
        seconds = now.timestamp()
        try:
            os.utime(path, (seconds, seconds))
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch()
            os.utime(path, (seconds, seconds))

    def at(self, endpoint: str, variant: str) -> dt.datetime | None:
        """Return when a variant was last used; None if it never was."""
        try:
            found = self._path(endpoint, variant).stat().st_mtime
        except FileNotFoundError:
            return None
        return dt.datetime.fromtimestamp(found, dt.UTC)

    def forget(self, endpoint: str, variant: str) -> None:
        """Remove what is known of a variant."""
        self._path(endpoint, variant).unlink(missing_ok=True)

    def _path(self, endpoint: str, variant: str) -> Path:
        return self._folder / f"{endpoint}.{variant}"


class Demand:
    """What serverless variants need, as one worker knows it; any thread may call."""

    def __init__(self, used: Used, clock: Clock, *, idle_s: float) -> None:
        self._used = used
        self._clock = clock
        self._idle_s = idle_s
        self._wishes: dict[tuple[str, str, int], Wish] = {}
        self._asked: dict[tuple[str, str], Wish] = {}

    def ask(self, endpoint: str, variant: str, replicas: int) -> None:
        """Note that a gateway wants so many replicas now."""
        now = self._clock.now()
        before = self._asked.get((endpoint, variant))
        if before is not None and before.replicas > replicas and not self._is_old(before.at, now):
            return
        self._asked[endpoint, variant] = Wish(replicas, now)

    def count(self, endpoint: str, generation: int, variant: Variant, have: int) -> int:
        """Return how many replicas a variant that is in service shall have.

        have: how many it has, for the first time that this worker sees it.
        """
        now = self._clock.now()
        self._wishes.setdefault((endpoint, variant.name, generation), Wish(have, now))
        return wanted(
            variant.serverless or {},
            self._wishes_for(endpoint, generation, variant),
            now,
            idle_s=self._idle_of(variant),
            cores=os.cpu_count() or 1,
        )

    def sleeps_at(self, endpoint: str, generation: int, variant: Variant) -> dt.datetime:
        """Return when a variant that is not used again may lose its replicas."""
        wishes = self._wishes_for(endpoint, generation, variant)
        last = max((wish.at for wish in wishes), default=self._clock.now())
        return last + dt.timedelta(seconds=self._idle_of(variant))

    def forget(self, endpoint: str) -> None:
        """Remove what is known of an endpoint that is deleted."""
        for key in [key for key in self._asked if key[0] == endpoint]:
            self._asked.pop(key, None)
        for key in [key for key in self._wishes if key[0] == endpoint]:
            self._wishes.pop(key, None)
            self._used.forget(*key[:2])

    def _wishes_for(self, endpoint: str, generation: int, variant: Variant) -> list[Wish]:
        first = self._wishes.get((endpoint, variant.name, generation))
        used_at = self._used.at(endpoint, variant.name)
        found = [first, self._asked.get((endpoint, variant.name)), used_at and Wish(1, used_at)]
        return [wish for wish in found if wish]

    def _is_old(self, at: dt.datetime, now: dt.datetime) -> bool:
        return (now - at).total_seconds() >= self._idle_s

    def _idle_of(self, variant: Variant) -> float:
        given = str(variant.container.get("Environment", {}).get(IDLE_VARIABLE, ""))
        try:
            return max(1.0, float(given)) if given else self._idle_s
        except ValueError:
            return self._idle_s


def wanted(
    serverless: dict[str, int],
    wishes: list[Wish],
    now: dt.datetime,
    *,
    idle_s: float,
    cores: int,
) -> int:
    """Return the most that a wish which is not idle yet asks for, within what the variant and the machine allow.

    Provisioned replicas are always there.
    """
    fresh = [wish.replicas for wish in wishes if (now - wish.at).total_seconds() < idle_s]
    provisioned = serverless.get("ProvisionedConcurrency", 0)
    most = min(serverless["MaxConcurrency"], max(MOST_PER_CORE * cores, provisioned))
    return min(most, max([provisioned, *fresh]))
