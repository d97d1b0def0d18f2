"""What a dashboard's body says about itself as a whole: its range of time, its periods, who is asked about alarms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero.console.widgets.grid import Widget

Json = dict[str, Any]

_DURATION = re.compile(
    r"-P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,4})D)?"
    r"(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?"
)
_SIZES = (31_536_000, 2_592_000, 604_800, 86_400, 3600, 60, 1)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?")
MOST_ALARMS = 100


def range_query(body: Json, known: Mapping[str, int]) -> dict[str, str]:
    """Return the range of time that a body asks for, as an address has it; {} if it asks for none.

    known: seconds by key. A span that is no key becomes the next longer one, or the longest.
    """
    start, end = body.get("start"), body.get("end")
    if not isinstance(start, str):
        return {}
    if _MOMENT.fullmatch(start):
        found = {"start": start}
        if isinstance(end, str) and _MOMENT.fullmatch(end):
            found["end"] = end
        return found
    seconds = span_of(start)
    if not seconds:
        return {}
    ordered = sorted(known, key=lambda key: known[key])
    return {"range": next((key for key in ordered if known[key] >= seconds), ordered[-1])}


def span_of(text: str) -> int:
    """Return the seconds of a start like `-PT3H`, or 0 if it is none."""
    found = _DURATION.fullmatch(text)
    if not found:
        return 0
    return sum(int(part or 0) * size for part, size in zip(found.groups(), _SIZES, strict=True))


def is_auto(body: Json) -> bool:
    """Say whether periods adapt to the range of time; they do unless the body says `inherit`."""
    return body.get("periodOverride") != "inherit"


def alarm_names(arns: object) -> list[str]:
    """Return the names in a list of alarms' ARNs."""
    given = cast("list[object]", arns) if isinstance(arns, list) else []
    texts = [one for one in given if isinstance(one, str)]
    names = [one.partition(":alarm:")[2] if one.startswith("arn:") else one for one in texts]
    return [name for name in dict.fromkeys(names) if name][:MOST_ALARMS]


def alarms_of(widget: Widget) -> list[str]:
    """Return the names of the alarms that a widget shows."""
    if widget.kind == "alarm":
        return alarm_names(widget.properties.get("alarms"))
    annotations = widget.properties.get("annotations")
    if widget.kind == "metric" and isinstance(annotations, dict):
        return alarm_names(annotations.get("alarms"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return []
