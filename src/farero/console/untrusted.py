"""Values of JSON that anybody may have written: each is what it should be, or nothing."""

from __future__ import annotations

import math
from typing import Any, cast


def as_object(content: Any) -> dict[Any, Any]:
    """Return an object; an empty one where there is none."""
    return cast("dict[Any, Any]", content) if isinstance(content, dict) else {}


def as_list(content: Any) -> list[Any]:
    """Return a list; an empty one where there is none."""
    return cast("list[Any]", content) if isinstance(content, list) else []


def as_number(content: Any) -> float | None:
    """Return a finite number."""
    if isinstance(content, bool) or not isinstance(content, int | float):
        return None
    return float(content) if math.isfinite(content) else None


def as_text(content: Any) -> str:
    """Return a text; an empty one where there is none."""
    return content if isinstance(content, str) else ""
