"""Tags: keys and values that a caller hangs on anything with an ARN."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """One tag of one resource."""

    key: str
    value: str
