"""Tables of the logs family."""

from __future__ import annotations
