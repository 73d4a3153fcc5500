"""How an address is reached: proxies, certificates, credentials.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import base64
import netrc
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from pathlib import Path
    from urllib.parse import SplitResult


@dataclass(frozen=True)
class Route:
    """How a mirror is reached, where that differs from what the environment says.

    `proxy`: an address, "" for none at all, None for the environment's. `cafile`: certificates to trust.
    `client_cert`: a PEM file to show. `trusted`: do not check the certificate (the pinned sha256 decides).
    `user`, `password`: sent to this mirror's host only.
    """

    proxy: str | None = None
    cafile: str | None = None
    client_cert: str | None = None
    trusted: bool = False
    user: str | None = None
    password: str = ""

    def proxy_for(self, parts: SplitResult) -> str:
        """Give the proxy to reach an address through, "" for none."""
        if self.proxy is not None:
            return _with_scheme(self.proxy)
        # typeshed does not know this function, by which urllib itself goes: no_proxy
        if getattr(urllib.request, "proxy_bypass_environment")(netloc(parts)):  # noqa: B009
            return ""
        proxies = urllib.request.getproxies_environment()
        return _with_scheme(proxies.get(parts.scheme) or proxies.get("all") or "")


DIRECT = Route()


class Logins:
    """User names and passwords: the route's, the address's own, or those that ~/.netrc has for the host."""

    def __init__(self) -> None:
        try:
            self._hosts = netrc.netrc().hosts
        except (OSError, netrc.NetrcParseError):
            self._hosts = {}

    def header(self, parts: SplitResult, route: Route) -> str:
        """Give the Authorization header's value for an address, "" for none."""
        if route.user is not None:
            return _basic(route.user, route.password)
        if parts.username is not None:
            return _basic(unquote(parts.username), unquote(parts.password or ""))
        found = self._hosts.get(parts.hostname or "")
        return _basic(found[0], found[2] or "") if found else ""


def proxy_headers(proxy: str) -> dict[str, str]:
    """Give the headers that a proxy's own credentials make."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    return {"Proxy-Authorization": _basic(unquote(parts.username), unquote(parts.password or ""))}


def shown(url: str) -> str:
    """Give an address as messages show it: without user name, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, netloc(parts), parts.path, "", ""))


def netloc(parts: SplitResult) -> str:
    """Give host and port as the address has them, without user name and password."""
    return parts.netloc.rpartition("@")[2]


def file_url(path: Path) -> str:
    """Give the file: address of a path."""
    return "file://" + quote(str(path.absolute()))


def _with_scheme(proxy: str) -> str:
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
