"""What was to be delivered of an alarm's or everybody's messages, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nicegui import ui

from farero.console.layout import card, heading, table, words
from farero.console.widgets.views import clock, local, long

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.console.widgets.alarms import Json

_LOOKS = {"delivered": "f-ok", "pending": "f-busy", "dead": "f-bad"}
_MOST = 50
STATES = ("pending", "delivered", "dead")


def panel(t: dict[str, str], found: Json, of: set[str] | None = None, state: str = "") -> None:
    """Draw the newest deliveries.

    of: ARNs of the topics whose deliveries are shown, None for all; then `state` is the one that is shown, "" for any.
    """
    shown = [one for one in found["deliveries"] if of is None or one["topic"] in of][:_MOST]
    with card():
        heading(t["deliveries"])
        if of is None:
            with ui.element("div").classes("f-picker"):
                for one in ("", *STATES):
                    told = f"{t[one]}: {found['counts'].get(one, 0)}" if one else t["all_states"]
                    link = ui.link(told, f"/alarms?deliveries={one}")
                    if one == state:
                        link.props("aria-current=true")
        with ui.element("div").classes("f-stack"):
            table(
                [t["time"], t["state"], t["receiver"], t["summary"], t["attempts"], t["reason"]],
                [_row(t, one) for one in shown],
                t["no_deliveries"],
            )


def receiver(protocol: str, endpoint: str) -> str:
    """Return who is told; of a web address the host alone, since its path may be a secret."""
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname if parts.scheme and parts.netloc else None
    except ValueError:
        host = ""
    if host is None:
        return f"{protocol} {endpoint}"
    return f"{protocol} {host or '…'}"


def _row(t: dict[str, str], one: Json) -> Sequence[Any]:
    state = str(one["state"])

    def pill() -> None:
        words(t.get(state, state)).classes(f"f-pill {_LOOKS.get(state, 'f-idle')}")

    due = ""
    if state == "pending":
        is_in_line = not one["attempts"] and not one["reason"] and _is_over(str(one["due"]))
        due = t["in_line"] if is_in_line else f"{t['due']} {local(one['due'])[11:]}"
    reason = " · ".join(part for part in (str(one["reason"]), due) if part)
    return [
        clock(one["created_at"]), pill, receiver(one["protocol"], one["endpoint"]), one["subject"] or one["type"],
        one["attempts"], long(reason),
    ]  # fmt: skip


def _is_over(moment: str) -> bool:
    """Say whether a time has passed some seconds ago."""
    try:
        return datetime.now(UTC) - datetime.fromisoformat(moment) > timedelta(seconds=5)
    except (ValueError, TypeError):
        return False
