"""Where notifications may go: nowhere inside this machine or its network, unless the owner has named the host.

A name is resolved once, every address is checked, and the connection goes to a checked address: no second look-up
can lead elsewhere (OWASP "Server Side Request Forgery Prevention"). Odd spellings of an address (decimal, octal,
IPv4 in IPv6, full-width digits) need no rules of their own: what is checked is what is connected to.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address
    #: As `socket.getaddrinfo(host, port, type=SOCK_STREAM)`.
    Resolver = Callable[[str, int], list[Any]]

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_.])?|[0-9a-f:.]+", re.IGNORECASE)
#: IPv6 ranges that carry an IPv4 address in their last 32 bits: mapped, translated, NAT64 (RFC 4291, 2765, 6052).
_CARRIERS = tuple(
    ipaddress.IPv6Network(text) for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
#: NAT64 inside a network (RFC 8215), 6to4's relays; and what `is_global` of some Pythons lets through.
_CLOSED = tuple(
    ipaddress.ip_network(text)
    for text in ("64:ff9b:1::/48", "192.88.99.0/24", "fec0::/10", "100.64.0.0/10", "3fff::/20")
)


class Refused(Invalid):
    """A notification would reach into this machine or its network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a URL leads."""

    scheme: str
    host: str
    port: int
    #: Path and query, as they go into the request line.
    target: str
    #: `user:password` of the URL, or "".
    login: str = ""

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"


class Guard:
    """Decides about addresses."""

    def __init__(
        self,
        allow_hosts: str = "",
        own_ports: Collection[int] = (),
        resolve: Resolver | None = None,
    ) -> None:
        """allow_hosts: `host` or `host:port`, separated by commas. own_ports: ours, never to be reached."""
        self._allowed = frozenset(
            part.strip().lower().rstrip(".") for part in allow_hosts.split(",") if part.strip()
        )
        self._own_ports = frozenset(own_ports)
        self._resolve = resolve or _resolve

    def find_addresses(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """Resolve a host once; return (family, address) pairs that may be connected to.

        Raises Refused if any address of the host is closed, and OSError if there is none.
        """
        is_named = self.is_allowed(host, port)
        found: list[tuple[Any, ...]] = []
        for family, _, _, _, where in self._resolve(host, port):
            address = ipaddress.ip_address(str(where[0]).partition("%")[0])
            self._check(host, port, address, is_named=is_named)
            found.append((family, where))
        if not found:
            raise OSError(f"{host} has no address")
        return found

    def check_literal(self, place: Place) -> None:
        """Refuse what is closed already by its spelling; asks no name server. Raises Refused."""
        address = _literal(place.host)
        if place.host == "localhost" or place.host.endswith(".localhost"):
            address = ipaddress.IPv4Address("127.0.0.1")
        if address is not None:
            named = self.is_allowed(place.host, place.port)
            self._check(place.host, place.port, address, is_named=named)

    def is_allowed(self, host: str, port: int) -> bool:
        """Say whether the owner has named this host."""
        name = host.lower().rstrip(".")
        full = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
        return name in self._allowed or full in self._allowed or f"[{name}]" in self._allowed

    def _check(self, host: str, port: int, address: Address, *, is_named: bool) -> None:
        inner = _innermost(address)
        if port in self._own_ports and _is_inside(inner):
            raise Refused(f"{host}:{port} is Farero itself; notifications cannot go there")
        # Where a cloud keeps its machines' credentials: only by its own number, never through a name.
        is_metadata = inner.is_link_local or inner.is_multicast or inner.is_unspecified
        if is_named and (not is_metadata or _literal(host) == address):
            return
        if not is_public(address):
            raise Refused(
                f"{host} is inside this machine or its network ({address}); to let notifications reach it, start "
                f"Farero with FARERO_NOTIFY_ALLOW_HOSTS={host}:{port}"
            )


def parse_url(url: str) -> Place:
    """Take an http or https URL apart; raise Invalid for one that two readers might read differently."""
    if not url.isprintable() or any(mark in url for mark in ' \\"<>^`{|}'):
        raise Invalid("the URL has characters that no URL has")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode() if parts.hostname else ""
    except (ValueError, UnicodeError) as error:
        raise Invalid(f"the URL cannot be read: {error}") from error
    if parts.scheme not in ("http", "https"):
        raise Invalid("the URL begins with neither http:// nor https://")
    if not _HOST.fullmatch(host) or port == 0:
        raise Invalid("the URL names no host, or none that can exist")
    login = ""
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    path = parts.path or "/"
    target = (f"{path}?{parts.query}" if parts.query else path).encode().decode("ascii", "replace")
    if "\ufffd" in target:
        raise Invalid("the URL has characters that must be percent-encoded")
    return Place(
        scheme=parts.scheme,
        host=host.lower(),
        port=port or (443 if parts.scheme == "https" else 80),
        target=target,
        login=login,
    )


def is_public(address: Address) -> bool:
    """Say whether an address lies in the public internet."""
    inner = _innermost(address)
    return (
        inner.is_global
        and not (inner.is_multicast or inner.is_reserved or inner.is_loopback)
        and not (inner.is_link_local or inner.is_private or inner.is_unspecified)
        and not any(inner in network for network in _CLOSED if network.version == inner.version)
    )


def _is_inside(address: Address) -> bool:
    return address.is_loopback or address.is_private or address.is_unspecified


def _innermost(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if address.version == 4:
        return address
    for carried in (address.ipv4_mapped, address.sixtofour):
        if carried is not None:
            return carried
    if address.teredo is not None:
        return address.teredo[1]
    is_own = address.is_loopback or address.is_unspecified
    if not is_own and any(address in network for network in _CARRIERS):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _literal(host: str) -> Address | None:
    """Return the address that a host spells out, in any of the forms that resolvers take, or None."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _resolve(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
