"""Who may look: one-time login links, sessions, and a lockout after wrong links.

A link is made by the gateway (`POST /_farero/console-login`, signed by the owner): a file in
`<data_dir>/run/console-logins/` named by the SHA-256 of the token, holding the second it expires at.
Whoever unlinks that file has used the link; nobody else can. Sessions live in memory and end with the console.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SESSION_S = 12 * 3600
TRIES = 10
TRIES_S = 60
MAX_SESSIONS = 100
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class LockedError(Exception):
    """Too many wrong links in the last minute."""


class Sessions:
    """Sessions of this console process."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        """folder: where the gateway leaves login links."""
        self._folder = folder
        self._now = now
        self._expiry: dict[str, float] = {}
        self._wrong: deque[float] = deque()

    def log_in(self, token: str) -> str | None:
        """Use a link up and return a new session, or None if the link is not good. Raises LockedError."""
        now = self._now()
        while self._wrong and self._wrong[0] <= now - TRIES_S:
            self._wrong.popleft()
        if len(self._wrong) >= TRIES:
            raise LockedError
        if not self._use(token, now):
            self._wrong.append(now)
            return None
        self._expiry = {key: end for key, end in self._expiry.items() if end > now}
        if len(self._expiry) >= MAX_SESSIONS:
            del self._expiry[min(self._expiry, key=lambda key: self._expiry[key])]
        session = secrets.token_urlsafe(32)
        self._expiry[_hash(session)] = now + SESSION_S
        return session

    def log_out(self, session: str) -> None:
        """End a session."""
        self._expiry.pop(_hash(session), None)

    def knows(self, session: str) -> bool:
        """Say whether the session is one of ours and has not expired."""
        return self._expiry.get(_hash(session), 0.0) > self._now()

    def _use(self, token: str, now: float) -> bool:
        if not _TOKEN.fullmatch(token):
            return False
        path = self._folder / _hash(token)
        try:
            expires = float(path.read_text(encoding="ascii"))
            path.unlink()
        except (OSError, ValueError):
            return False
        return expires > now


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
