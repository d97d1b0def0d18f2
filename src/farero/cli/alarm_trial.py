"""`farero alarm test`: put the alarm into ALARM for a moment, and say for each listener whether the message arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from farero.base.clock import SystemClock
from farero.cli.alarm_notify import Notifier
from farero.cli.output import FAILED, fail, lines, result, say
from farero.cli.session import admin, client, guarded, is_aws

if TYPE_CHECKING:
    from collections.abc import Sequence

POLL_S = 0.2
#: How long a filter policy may leave a topic without a delivery before we believe that there is none.
QUIET_S = 3.0
REASON = "Test by `farero alarm test`; the alarm goes back to {} at once"
Row = dict[str, Any]


def try_out(
    name: str,
    *,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the deliveries.")] = 30.0,
) -> None:
    """Send a test through the alarm's own actions, and report each delivery."""
    cloudwatch = client("cloudwatch")
    alarm = _find(cloudwatch, name)
    notifier = Notifier(name)
    who: list[Row] = [*notifier.subscribers(alarm["AlarmActions"])]
    for one in who:
        is_confirmed = one["state"] == "confirmed" and not is_aws()
        one["is_picky"] = is_confirmed and notifier.has_filter(one["subscription"])
    before = 0 if is_aws() else _newest()
    state = str(alarm["StateValue"])
    if state == "ALARM":  # only a change is told
        _put(cloudwatch, name, "OK", REASON.format(state))
    _put(cloudwatch, name, "ALARM", REASON.format(state))
    try:
        rows = [] if is_aws() else _await(name, before, who, wait)
        asked = [] if is_aws() else _confirmations()
    finally:
        if state != "ALARM":
            _put(cloudwatch, name, state, "Test by `farero alarm test` is over")
    if is_aws():
        result({"alarm": name, "deliveries": None},
               "the alarm was in ALARM for a moment; AWS does not say who has got the message")  # fmt: skip
        return
    report = [*map(_outcome, rows), *_silent(rows, who, asked)]
    shown = [[one["outcome"], one["protocol"], one["endpoint"], one["detail"]] for one in report]
    result({"alarm": name, "deliveries": report}, lines(["OUTCOME", "HOW", "WHERE", ""], shown))
    bad = [one for one in report if one["outcome"] not in ("delivered", "filtered out")]
    if bad or not any(one["outcome"] == "delivered" for one in report):
        say(
            escape(
                "what waits is tried again for 24 hours; farero alarm show says who has confirmed"
            )
        )
        raise typer.Exit(FAILED)


def _find(cloudwatch: Any, name: str) -> dict[str, Any]:
    found = guarded(
        lambda: cloudwatch.describe_alarms(
            AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
    )
    alarm = next(iter([*found["MetricAlarms"], *found["CompositeAlarms"]]), None)
    if alarm is None:
        fail("E-NO-ALARM", f"there is no alarm '{name}'", where="CloudWatch", fix="farero alarm ls")
    if not alarm.get("AlarmActions"):
        fail("E-NO-ACTIONS", f"alarm '{name}' tells nobody", where="its AlarmActions are empty",
             fix="add it again with --update --notify mailto:ana@example.com")  # fmt: skip
    if not alarm["ActionsEnabled"]:
        fail("E-ACTIONS-OFF", f"the actions of alarm '{name}' are switched off",
             where="ActionsEnabled is false",
             fix=f"aws cloudwatch enable-alarm-actions --alarm-names '{name}'")  # fmt: skip
    return alarm


def _put(cloudwatch: Any, name: str, state: str, reason: str) -> None:
    guarded(
        lambda: cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason=reason)
    )


def _newest() -> int:
    found: list[Row] = guarded(lambda: admin("GET", "deliveries", "last=1"))["deliveries"]
    return int(found[0]["id"]) if found else 0


def _await(name: str, before: int, who: Sequence[Row], seconds: float) -> list[Row]:
    """Return the test's deliveries once all have ended, or as they are when time is up."""
    telling = [one for one in who if one["state"] != "not confirmed"]
    certain = {one["topic"] for one in who if one["state"] == "confirmed" and not one["is_picky"]}
    topics = {one["topic"] for one in telling}
    clock = SystemClock()
    began = clock.monotonic()
    while True:
        rows = _deliveries(name, before)
        spent = clock.monotonic() - began
        has_all = (certain if spent > QUIET_S else topics) <= {row["topic"] for row in rows}
        if (has_all and all(row["state"] != "pending" for row in rows)) or spent > seconds:
            return rows
        clock.sleep(POLL_S)


def _deliveries(name: str, before: int) -> list[Row]:
    wanted = [row for row in _latest() if row["id"] > before and row["queue"] == f"alarm/{name}"]
    return [row for row in reversed(wanted) if not (row["subject"] or "").startswith("OK: ")]


def _confirmations() -> list[Row]:
    """Return the links to confirm that have not been sent."""
    is_link = "SubscriptionConfirmation"
    return [row for row in _latest() if row["type"] == is_link and row["state"] != "delivered"]


def _latest() -> list[Row]:
    return guarded(lambda: admin("GET", "deliveries", "last=1000"))["deliveries"]


def _outcome(row: Row) -> dict[str, str]:
    tries = f"{row['attempts']} {'try' if row['attempts'] == 1 else 'tries'}"
    state = str(row["state"])
    detail = {
        "delivered": "" if row["attempts"] == 1 else f"after {tries}",
        "pending": f"{tries}: {row['reason']}" if row["reason"] else "on its way",
        "dead": str(row["reason"]),
    }[state]
    return {
        "outcome": {"pending": "waiting", "dead": "given up"}.get(state, state),
        "protocol": row["protocol"] or "action",
        "endpoint": row["endpoint"] or row["topic"],
        "detail": detail,
    }


def _silent(rows: Sequence[Row], who: Sequence[Row], asked: Sequence[Row]) -> list[dict[str, str]]:
    """Return those who were told nothing, and why."""
    unsent = {(row["topic"], row["endpoint"]): row["reason"] for row in asked if row["reason"]}
    told = {(row["topic"], row["protocol"], row["endpoint"]) for row in rows}
    told |= {(row["topic"], "", "") for row in rows if not row["protocol"]}
    found: list[dict[str, str]] = []
    for one in who:
        if {(one["topic"], one["protocol"], one["endpoint"]), (one["topic"], "", "")} & told:
            continue
        wanted = "filtered out", "its filter policy does not want this message"
        outcome, detail = {
            "confirmed": wanted if one["is_picky"] else ("waiting", "nothing was sent yet"),
            "not confirmed": ("unconfirmed", _of_link(unsent.get((one["topic"], one["endpoint"])))),
        }.get(one["state"], ("not told", one["state"]))
        found.append(
            {
                "outcome": outcome, "protocol": one["protocol"], "endpoint": one["endpoint"],
                "detail": detail,
            }
        )  # fmt: skip
    return found


def _of_link(reason: str | None) -> str:
    if reason:
        return f"the link to confirm could not be sent: {reason}"
    return "it was sent a link to confirm, and has not yet"
