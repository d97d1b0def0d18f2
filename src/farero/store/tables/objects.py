"""Tables of the objects family."""

from __future__ import annotations
