"""Tables of the identity family."""

from __future__ import annotations
