"""What pages of jobs of any kind show: the newest lines of the log, CPU and memory, and where files lie."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from farero.console.data import UnavailableError
from farero.console.layout import heading, table
from farero.console.metrics import stat
from farero.console.pages.endpoint import storage_link
from farero.console.pages.live import live_text
from farero.console.plots import Plot, plots
from farero.console.time_range import Range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.console.data import Cloud

Json = dict[str, Any]

_TAIL = 200
_MOST_STREAMS = 4
#: A minute's metrics of hardware stand at the minute's start.
_BEFORE = timedelta(minutes=1)


async def log_tail(cloud: Cloud, t: dict[str, str], group: str, job: str) -> None:
    """Draw the newest lines of a job's log, and those that come."""

    async def tail() -> tuple[str, str]:
        found = [one["message"].rstrip() for one in await _last_lines(cloud, group, job)]
        return "\n".join(found[-_TAIL:]), f"{len(found)} {t['newest_lines']}"

    heading(t["lines"])
    await live_text(t, tail)


async def hardware(  # noqa: PLR0913 - where to draw, what, and when
    cloud: Cloud, t: dict[str, str], *, group: str, job: str, start: datetime, end: datetime | None
) -> None:
    """Draw the CPU and memory of a job while it ran. group: of its log, which is their namespace too."""
    shown = Range(start.astimezone(UTC) - _BEFORE, (end or datetime.now(UTC)) + _BEFORE, "")
    host = {"Host": f"{job}/algo-1"}
    wanted = [
        Plot(
            title=t[title], unit="Percent", is_optional=True,
            queries=[stat(prefix, metric, "Average", host, namespace=group, label="algo-1")],
        )
        for prefix, title, metric in (
            ("c", "job_cpu", "CPUUtilization"), ("m", "job_memory", "MemoryUtilization"),
        )
    ]  # fmt: skip
    await plots(cloud, t, wanted, shown)


def files(paths: Sequence[tuple[str, str]]) -> None:
    """Draw where files lie: (what, URI); those in S3 lead to their page."""
    rows = [
        [name, (uri, storage_link(uri)) if storage_link(uri) else uri] for name, uri in paths if uri
    ]
    if rows:
        table(["", "S3"], rows, "")


def moment(at: Any) -> str:
    """Return a time on this machine's clock."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


async def _last_lines(cloud: Cloud, group: str, job: str) -> list[Json]:
    try:
        streams = await cloud.ask(
            "logs", "describe_log_streams", logGroupName=group, logStreamNamePrefix=f"{job}/"
        )
        found: list[Json] = []
        for stream in streams.get("logStreams", [])[:_MOST_STREAMS]:
            answer = await cloud.ask(
                "logs", "get_log_events", logGroupName=group, logStreamName=stream["logStreamName"],
                limit=_TAIL, startFromHead=False,
            )  # fmt: skip
            found += answer.get("events", [])
    except UnavailableError as error:
        if "ResourceNotFound" in str(error):
            return []
        raise
    return found
