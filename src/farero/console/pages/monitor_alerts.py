"""What a schedule's alert says, now and before; and SageMaker's own violations beside the calibrated verdict."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import ui

from farero.console.layout import card, heading, pill, table, words
from farero.console.units import number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from farero.console.data import Cloud
    from farero.console.reports import Far, Finding, Report

Json = dict[str, Any]
#: Changes of an alert that are shown, and of all alerts that are looked at.
_MOST_CHANGES, _MOST_OF_ALL = 20, 100
_MOST_VIOLATIONS = 60


@dataclass(frozen=True, slots=True)
class Alerts:
    """A schedule's alerts and how they changed, newest first."""

    now: list[Json]
    changes: list[Json]


async def of_schedule(cloud: Cloud, name: str) -> Alerts:
    """Return the alerts of a schedule. Raises UnavailableError."""
    now, changes = await asyncio.gather(
        cloud.ask("sagemaker", "list_monitoring_alerts", MonitoringScheduleName=name),
        cloud.ask(
            "sagemaker", "list_monitoring_alert_history", MonitoringScheduleName=name,
            MaxResults=_MOST_CHANGES,
        ),
    )  # fmt: skip
    return Alerts(now["MonitoringAlertSummaries"], changes["MonitoringAlertHistory"])


async def raised(cloud: Cloud) -> set[str]:
    """Return the schedules whose alert is raised, as far as the newest changes tell. Raises UnavailableError."""
    found = await cloud.ask("sagemaker", "list_monitoring_alert_history", MaxResults=_MOST_OF_ALL)
    newest: dict[str, str] = {}
    for one in found["MonitoringAlertHistory"]:
        newest.setdefault(one["MonitoringScheduleName"], one["AlertStatus"])
    return {name for name, status in newest.items() if status == "InAlert"}


def draw_alerts(t: dict[str, str], found: Alerts, moment: Any) -> None:
    """Draw what the alerts say and when that changed; moment: writes a time."""
    if not found.now:
        return
    with card():
        heading(t["alerts"])
        for one in found.now:
            with ui.element("div").classes("f-facts"):
                _status(t, str(one["AlertStatus"]))
                words(one["MonitoringAlertName"]).classes("f-strong")
                rule = t["alert_rule"].format(
                    count=one["DatapointsToAlert"], of=one["EvaluationPeriod"]
                )
                words(rule).classes("f-dim")
        if found.changes:
            table([t["time"], t["status"]], [_change(t, one, moment) for one in found.changes], "")
        else:
            words(t["alert_never"]).classes("f-dim f-small")


def draw_violations(t: dict[str, str], report: Report, found: Sequence[Finding] | None) -> None:
    """Draw what SageMaker's rules make of a run; None where its file could not be read."""
    if found is None or (not found and not report.sagemaker):
        return
    with card():
        heading(t["by_sagemaker"])
        words(t["by_sagemaker_what"]).classes("f-dim f-small")
        if not found:
            words(t["by_sagemaker_none"])
            return
        rows = [[one.column, one.kind, _text(one.text)] for one in found[:_MOST_VIOLATIONS]]
        table([t["feature"], t["check"], t["description"]], rows, "")
        if len(found) > _MOST_VIOLATIONS:
            words(t["only_first"].format(count=_MOST_VIOLATIONS)).classes("f-dim f-small")


def distance(t: dict[str, str], found: Far | None) -> Any:
    """Return what draws how far SageMaker's rule finds a feature, beside its limit."""
    if found is None:
        return ""

    def draw() -> None:
        sign = ("<" if found.exceeds else "≥") if found.is_p else (">" if found.exceeds else "≤")
        kind = "busy" if found.exceeds else "ok"
        text = f"{'p ' if found.is_p else ''}{number(found.value)} {sign} {number(found.threshold)}"
        words(text).classes(f"f-pill f-{kind}").props(f'aria-label="{t["by_sagemaker"]}: {text}"')

    return draw


def _text(text: str) -> Any:
    return lambda: words(text).classes("f-told")


def _change(t: dict[str, str], one: Json, moment: Any) -> list[Any]:
    at: datetime = one["CreationTime"]
    return [moment(at), lambda: _status(t, str(one["AlertStatus"]))]


def _status(t: dict[str, str], status: str) -> None:
    pill(status, t.get(f"alert_{status}", status))
