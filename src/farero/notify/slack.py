"""Slack's own JSON for a webhook, in place of SNS's envelope. Pure.

Follows "Sending messages using incoming webhooks" and "Formatting text for app surfaces". An alarm's message becomes
a coloured card; any other message is its subject and its text.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero.notify.guard import Place
    from farero.records.notify import Note

HOST = "hooks.slack.com"
COLOURS = {"ALARM": "#d1242f", "OK": "#1a7f37", "INSUFFICIENT_DATA": "#9a6700"}
#: Slack cuts a section's text at 3,000 characters.
MAX_TEXT = 2900
_WEBHOOK = re.compile(r"/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]+")
_WORKFLOW = re.compile(r"/(services|workflows|triggers)/.+")


def is_webhook(place: Place, *, is_allowed_host: bool) -> bool:
    """Say whether a URL is a Slack webhook: Slack's own, or one of its shape on a host that the owner has named."""
    path = place.target.partition("?")[0]
    if place.host == HOST:
        return place.scheme == "https" and bool(_WORKFLOW.fullmatch(path))
    return is_allowed_host and bool(_WEBHOOK.fullmatch(path))


def write(note: Note, console_url: str) -> str:
    """Return the body to post; console_url: where the console is, or "" when it is off."""
    alarm = _alarm(note.message)
    payload = _card(alarm, note, console_url) if alarm else _plain(note)
    return json.dumps(payload, ensure_ascii=False)


def escape(text: str) -> str:
    """Write the three characters that mean something to Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(note: Note) -> dict[str, Any]:
    text = escape(note.message)[:MAX_TEXT]
    return {"text": f"*{escape(note.subject)}*\n{text}" if note.subject else text}


def _card(alarm: Mapping[str, Any], note: Note, console_url: str) -> dict[str, Any]:
    name, state = str(alarm["AlarmName"]), str(alarm["NewStateValue"])
    title = f"{state}: {name}"
    shown = f"*{escape(state)}*: {escape(name)}"
    if console_url:
        shown = f"*{escape(state)}*: <{console_url}/alarms/{quote(name, safe='')}|{escape(name)}>"
    lines = [shown]
    if alarm.get("AlarmDescription"):
        lines.append(escape(str(alarm["AlarmDescription"])))
    lines.append(escape(str(alarm.get("NewStateReason", ""))))
    context = [
        part
        for part in (
            _metric(alarm.get("Trigger")),
            f"was {alarm['OldStateValue']}" if alarm.get("OldStateValue") else "",
            str(alarm.get("StateChangeTime", "")),
            str(alarm.get("Region", "")),
        )
        if part
    ]
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines)[:MAX_TEXT]}}
    ]
    if context:
        text = escape(" · ".join(context))[:MAX_TEXT]
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": text}]})
    colour = COLOURS.get(state, COLOURS["INSUFFICIENT_DATA"])
    return {
        "text": escape(note.subject or title),
        "attachments": [{"color": colour, "fallback": title, "blocks": blocks}],
    }


def _alarm(message: str) -> dict[str, Any] | None:
    """Return the alarm that a message tells about, or None."""
    try:
        found: Any = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not {"AlarmName", "NewStateValue"} <= found.keys():
        return None
    return cast("dict[str, Any]", found)


def _metric(trigger: Any) -> str:
    if not isinstance(trigger, dict):
        return ""
    given = cast("dict[str, Any]", trigger)
    if not given.get("MetricName"):
        return ""
    dimensions = cast("list[dict[str, Any]]", given.get("Dimensions") or [])
    where = ", ".join(str(part.get("value", "")) for part in dimensions)
    name = f"{given.get('Namespace', '')} {given['MetricName']}".strip()
    return f"{name} ({where})" if where else name
