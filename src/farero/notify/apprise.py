"""Messages to the services that Apprise knows (Telegram, Teams, ntfy, …): `pip install 'farero[notify]'`.

Apprise and its plugins run in a process of their own, which ends after 20 seconds at the latest and in which every
connection is checked as `guard` does: plugins choose their hosts themselves.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

from farero.base.errors import Invalid
from farero.notify.guard import Guard, is_public

if TYPE_CHECKING:
    from collections.abc import Collection

    from farero.base.config import Settings

TIMEOUT_S = 20.0
MISSING = "Apprise is not installed; run: pip install 'farero[notify]'"
_MISSING_CODE = 3


def send(url: str, title: str, body: str, settings: Settings) -> None:
    """Tell the service behind an Apprise URL. Raises Invalid with the reason when it was not told."""
    order = json.dumps(
        {
            "url": url,
            "title": title,
            "body": body,
            "allow": settings.notify_allow_hosts,
            "own_ports": [settings.port, settings.console_port],
        }
    )
    try:
        done = subprocess.run(
            [sys.executable, "-m", "farero.notify.apprise"],
            input=order.encode(),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Invalid("the service did not answer in time") from error
    if done.returncode == _MISSING_CODE:
        raise Invalid(MISSING)
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Invalid(f"Apprise could not tell: {lines[-1][:300] if lines else 'no reason given'}")


class ConnectionCheck:
    """An audit hook: refuses connections to closed addresses, whoever opens them."""

    def __init__(self, guard: Guard, own_ports: Collection[int]) -> None:
        self._guard = guard
        self._own_ports = frozenset(own_ports)
        #: Addresses of hosts that the owner has named, once they were looked up.
        self._open: set[tuple[str, int]] = set()
        self._known: set[tuple[str, int]] = set()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Raise OSError before a connection that must not be."""
        if event == "socket.getaddrinfo":
            self._look_up(str(arguments[0]), arguments[1])
        elif event == "socket.connect":
            self._check(arguments[1])

    def _look_up(self, host: str, port: Any) -> None:
        name = (host, int(port or 0))
        if name in self._known or not self._guard.is_allowed(*name):
            return
        self._known.add(name)  # before the call: it raises this very event again
        for _, where in self._guard.find_addresses(*name):
            self._open.add((str(where[0]), name[1]))

    def _check(self, where: Any) -> None:
        if not isinstance(where, tuple):
            raise OSError("local sockets are closed to notifications")
        host, port = str(cast("Any", where)[0]), int(cast("Any", where)[1])
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError as error:
            raise OSError(f"{host} was not looked up before the connection") from error
        is_open = (host, port) in self._open or self._guard.is_allowed(host, port)
        if (port in self._own_ports and not is_public(address)) or not (
            is_open or is_public(address)
        ):
            raise OSError(
                f"{host}:{port} is inside this machine or its network; FARERO_NOTIFY_ALLOW_HOSTS opens hosts"
            )


def main() -> int:
    """Tell what standard input orders; 3 when Apprise is missing."""
    order: dict[str, Any] = json.load(sys.stdin)
    try:
        import apprise  # the extra `notify`, absent from the core
    except ImportError:
        return _MISSING_CODE
    import logging

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    own_ports = order["own_ports"]
    sys.addaudithook(ConnectionCheck(Guard(order["allow"], own_ports), own_ports))
    teller: Any = apprise.Apprise()
    if not teller.add(order["url"]):
        sys.stderr.write("this is no URL that Apprise knows\n")
        return 1
    return 0 if teller.notify(title=order["title"], body=order["body"]) else 1


if __name__ == "__main__":
    sys.exit(main())
