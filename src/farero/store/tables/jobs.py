"""Tables of the jobs family."""

from __future__ import annotations
