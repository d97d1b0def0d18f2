"""Who may look: one-time login links, sessions, and a lockout after wrong links.

A link is made by the gateway (`POST /_farero/console-login`, signed by the owner): a file in
`<data_dir>/run/console-logins/` named by the SHA-256 of the token, holding the second it expires at.
Whoever unlinks that file has used the link; nobody else can. Sessions live in memory and end with the console.

A session has two secrets: one in a cookie, which a browser shows to every port of this machine, and one that the
page keeps where only this port's pages can read it. It takes both to see anything.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

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


class Session(NamedTuple):
    """What a browser gets when it logs in."""

    cookie: str
    #: Sent in a header by the console's own pages.
    token: str


class _Kept(NamedTuple):
    expires: float
    token_hash: str


class Sessions:
    """Sessions of this console process."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        """folder: where the gateway leaves login links."""
        self._folder = folder
        self._now = now
        self._kept: dict[str, _Kept] = {}
        self._wrong: deque[float] = deque()

    def log_in(self, link: str) -> Session | None:
        """Use a link up and return a new session, or None if the link is not good. Raises LockedError."""
        now = self._now()
        while self._wrong and self._wrong[0] <= now - TRIES_S:
            self._wrong.popleft()
        if len(self._wrong) >= TRIES:
            raise LockedError
        if not self._use(link, now):
            self._wrong.append(now)
            return None
        self._kept = {key: one for key, one in self._kept.items() if one.expires > now}
        if len(self._kept) >= MAX_SESSIONS:
            del self._kept[min(self._kept, key=lambda key: self._kept[key].expires)]
        made = Session(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        self._kept[_hash(made.cookie)] = _Kept(now + SESSION_S, _hash(made.token))
        return made

    def log_out(self, cookie: str) -> None:
        """End a session."""
        self._kept.pop(_hash(cookie), None)

    def knows(self, cookie: str) -> bool:
        """Say whether the session is one of ours and has not expired."""
        found = self._kept.get(_hash(cookie))
        return found is not None and found.expires > self._now()

    def trusts(self, cookie: str, token: str) -> bool:
        """Say whether both secrets are of one session that has not expired."""
        return self.knows(cookie) and self._kept[_hash(cookie)].token_hash == _hash(token)

    def _use(self, link: str, now: float) -> bool:
        if not _TOKEN.fullmatch(link):
            return False
        path = self._folder / _hash(link)
        try:
            expires = float(path.read_text(encoding="ascii"))
            path.unlink()
        except (OSError, ValueError):
            return False
        return expires > now


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
