"""Where widgets stand: 24 columns, each widget as high up as it fits, none above another.

A body may come from anybody. What is no widget is kept with the reason why it cannot be drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeGuard, cast

from farero.telemetry.dashboards import GRID_WIDTH, MOST_WIDGETS, problems

Json = dict[str, Any]

#: A widget is drawn at most this high, in rows; AWS allows 1000.
MOST_ROWS = 60
_WIDTH, _HEIGHT = 6, 6
_PLACES = ("/x", "/y", "/width", "/height")


@dataclass(frozen=True, slots=True, kw_only=True)
class Widget:
    """One widget and its place; x and y count from 0."""

    kind: str
    properties: Json
    x: int
    y: int
    width: int
    height: int
    #: Why it cannot be drawn, or "".
    problem: str = ""

    @property
    def title(self) -> str:
        """What stands above it, or ""."""
        title = self.properties.get("title", "")
        return title[:300] if isinstance(title, str) else ""


def place(body: Json) -> list[Widget]:
    """Return the widgets of a body in reading order, each at its place; never raises."""
    widgets = body.get("widgets")
    given = cast("list[Any]", widgets)[:MOST_WIDGETS] if isinstance(widgets, list) else []
    asked: list[tuple[int, int, int, Any]] = []
    cursor = _Cursor()
    for index, one in enumerate(given):
        widget: Json = one if _is_object(one) else {}
        width = whole(widget.get("width"), _WIDTH, 1, GRID_WIDTH)
        height = whole(widget.get("height"), _HEIGHT, 1, MOST_ROWS)
        if "x" in widget and "y" in widget:
            x, y = whole(widget["x"], 0, 0, GRID_WIDTH - 1), whole(widget["y"], 0, 0, 10**6)
        else:
            x, y = cursor.next(width, height)
        asked.append((y, x, index, one))
    heights = [0] * GRID_WIDTH
    placed: list[Widget] = []
    for _, x, _, one in sorted(asked, key=lambda found: found[:3]):
        widget = one if _is_object(one) else {}
        width = min(whole(widget.get("width"), _WIDTH, 1, GRID_WIDTH), GRID_WIDTH - x)
        height = whole(widget.get("height"), _HEIGHT, 1, MOST_ROWS)
        y = max(heights[x : x + width])
        heights[x : x + width] = [y + height] * width
        properties = widget.get("properties")
        placed.append(
            Widget(
                kind=str(widget.get("type", ""))[:40],
                properties=properties if _is_object(properties) else {},
                x=x,
                y=y,
                width=width,
                height=height,
                problem=_problem(one),
            )
        )
    return placed


def whole(value: object, default: int, least: int, most: int) -> int:
    """Return a number of a body as a whole one between two others; what is no number is the default."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - NaN
        return default
    return int(min(max(value, least), most))


class _Cursor:
    """Where the next widget without a place goes: to the right, then a row further down."""

    def __init__(self) -> None:
        self.x = self.y = self.row = 0

    def next(self, width: int, height: int) -> tuple[int, int]:
        if self.x + width > GRID_WIDTH:
            self.x, self.y, self.row = 0, self.y + self.row, 0
        at = (self.x, self.y)
        self.x += width
        self.row = max(self.row, height)
        return at


def _problem(widget: object) -> str:
    try:
        found = problems({"widgets": [widget]})
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"[:300]
    for path, message in found:
        where = path.removeprefix("/widgets/0")
        if where in _PLACES or message.startswith("Should have both x and y"):
            continue  # mended by `place`
        return f"{where.lstrip('/') or 'widget'}: {message}"[:300]
    return ""


def _is_object(value: object) -> TypeGuard[Json]:
    return isinstance(value, dict)
