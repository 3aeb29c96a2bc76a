"""Decide where a request may go, and whether the registry's credentials go along.

Pure. A registry names addresses for tokens, uploads and downloads; none of them is believed unread.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urljoin, urlsplit

import attrs

_DEFAULT_PORTS = {"http": 80, "https": 443}
# what one parser reads as a host and another as something else never gets through
_PLAIN_URL = re.compile(r"[\x21\x23-\x5b\x5d\x5f\x61-\x7a\x7e]+")
_HOST = re.compile(r"(?!-)[a-z0-9._-]{1,253}|\[[0-9a-f:.]+\]")
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")


class UntrustedPlace(Exception):
    """An address that is not followed; the message says why."""


@attrs.frozen
class Origin:
    """What decides whether two addresses are the same server."""

    scheme: str
    host: str
    port: int

    @property
    def netloc(self) -> str:
        """Write host and port, the port only where it is not the scheme's own."""
        return self.host if self.port == _DEFAULT_PORTS[self.scheme] else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


def origin_of(url: str) -> Origin:
    """Read an address's origin; `UntrustedPlace` when it is none that a client may ask."""
    if not _PLAIN_URL.fullmatch(url):
        raise UntrustedPlace("the address has characters that no address has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as failure:
        raise UntrustedPlace("the address cannot be read") from failure
    if parts.scheme not in _DEFAULT_PORTS:
        raise UntrustedPlace(f"the scheme {parts.scheme!r} is neither https nor http")
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc
    if not _HOST.fullmatch(host.lower()):
        raise UntrustedPlace("the address names no plain host")
    return Origin(parts.scheme, host.lower(), port or _DEFAULT_PORTS[parts.scheme])


def is_loopback(host: str) -> bool:
    """Say whether the host is this machine, told by its name alone."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def check_realm(realm: str, registry: Origin, allowed: Iterable[str]) -> None:
    """Refuse a token server that is neither the registry itself nor on the user's list."""
    found = origin_of(realm)
    if found == registry:
        return
    if found.netloc not in allowed:
        raise UntrustedPlace(
            f"{found.netloc} is not the registry and not on its list of realms "
            f'(if it is to be trusted: realms = ["{found.netloc}"])'
        )
    if found.scheme != "https" and registry.scheme == "https":
        raise UntrustedPlace(f"{found} would see the credentials without TLS")


def join(current: str, location: str) -> str:
    """Make an address that may be relative whole; `UntrustedPlace` when it is none."""
    try:
        return str(urljoin(current, location))
    except ValueError as failure:
        raise UntrustedPlace("the address cannot be read") from failure


def follow(current: str, location: str, registry: Origin) -> str:
    """Turn a `Location` into the next address; storage elsewhere is fine, this machine's insides are not."""
    url = join(current, location)
    found = origin_of(url)
    if found == registry:
        return url
    if found.scheme != "https" and registry.scheme == "https":
        raise UntrustedPlace(f"it leads from TLS to {found}")
    if _is_inside(found.host) and not (is_loopback(registry.host) and is_loopback(found.host)):
        raise UntrustedPlace(f"it leads to {found.host}, which is no address of a storage")
    return url


def _is_inside(host: str) -> bool:
    address = _address(host)
    if address is None:
        # "127.1", "0x7f000001": the resolver reads addresses that ipaddress does not
        return host.rstrip(".").endswith("localhost") or bool(_NUMERIC_END.fullmatch(host))
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
