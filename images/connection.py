"""Reading addresses: HTTP and HTTPS with kept-alive connections, Range and proxies; and local files alike.

Everything that reaches a network goes through `Client.open`; what goes wrong there comes out as one of the
TransferErrors, so that callers know whether to try again. Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import netrc
import socket
import ssl
import threading
import urllib.request
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, TYPE_CHECKING, Callable, Optional, Union
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from images.errors import CorruptError, GoneError, PassingError, RefusedError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

_REDIRECTS = (301, 302, 303, 307, 308)
_GONE = (404, 410)
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_MOST_REDIRECTS = 10
_STALE = (ConnectionError, http.client.BadStatusLine, http.client.CannotSendRequest)
_AGENT = "samebits-fetch/1"


@dataclass(frozen=True)
class Route:
    """How a mirror is reached, where that differs from what the environment says.

    `proxy`: an address, "" for none at all, None for the environment's. `cafile`: certificates to trust.
    `client_cert`: a PEM file to show. `trusted`: do not check the certificate (the pinned sha256 still decides).
    `user`, `password`: sent to this mirror's host only.
    """

    proxy: Optional[str] = None
    cafile: Optional[str] = None
    client_cert: Optional[str] = None
    trusted: bool = False
    user: Optional[str] = None
    password: str = ""


DIRECT = Route()


class Answer:
    """A response being read: `size` is the whole file's in bytes, or None if not told; `start` where this part begins."""

    def __init__(self, body: Body, *, url: str, size: int | None, start: int, headers: Message) -> None:
        self._body = body
        self.url = url
        self.size = size
        self.start = start
        self.headers = headers

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer as far as one read goes; 0 means the end. Raises PassingError."""
        try:
            return self._body.readinto(buffer)
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            # ValueError and AttributeError: what http.client says when close_all took the socket from under it.
            raise PassingError(f"the connection broke off ({_words(error)})") from error

    def close(self) -> None:
        """Give the connection back if all was read, close it otherwise."""
        self._body.close()


Body = Union[IO[bytes], "_HttpBody"]


class _HttpBody:
    def __init__(self, response: http.client.HTTPResponse, drop: Callable[[], None]) -> None:
        self._response = response
        self._drop = drop

    def readinto(self, buffer: memoryview) -> int:
        return self._response.readinto(buffer)

    def close(self) -> None:
        if not self._response.isclosed():
            self._drop()
        self._response.close()


class Client:
    """Opens addresses for several threads; each thread keeps its own connections alive.

    `timeout` (seconds) bounds connecting and each read.
    """

    def __init__(self, timeout: float = 30.0) -> None:
        self._timeout = timeout
        self._own = threading.local()
        self._all: set[http.client.HTTPConnection] = set()
        self._guard = threading.Lock()
        self._closed = False
        self._contexts: dict[tuple[str | None, str | None, bool], ssl.SSLContext] = {}
        self._logins = _read_netrc()

    def open(
        self, url: str, route: Route = DIRECT, *, offset: int = 0, accept: str = "*/*", encoding: str = "identity"
    ) -> Answer:
        """Start reading `url` at `offset` bytes; the answer says where it really starts (0 if Range is not honoured).

        Raises GoneError, PassingError or RefusedError.
        """
        first = urlsplit(url)
        if first.scheme == "file":
            return _open_file(url, offset)
        for _ in range(_MOST_REDIRECTS):
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise RefusedError(f"{shown(url)} is no address that can be read")
            headers = {"User-Agent": _AGENT, "Accept": accept, "Accept-Encoding": encoding}
            if offset:
                headers["Range"] = f"bytes={offset}-"
            login = self._login(parts, route if parts.hostname == first.hostname else DIRECT)
            if login:
                headers["Authorization"] = login
            response, drop = self._request(parts, route, headers)
            body = _HttpBody(response, drop)
            if response.status in _REDIRECTS and response.getheader("Location"):
                body.close()
                url = urljoin(url, response.getheader("Location", ""))
                continue
            if response.status not in (200, 206):
                body.close()
                _refuse(response, url)
            return _answer(body, response, url)
        raise RefusedError(f"{shown(first.geturl())} redirects without end")

    def close_all(self) -> None:
        """Break every connection off, which wakes the threads that read from them; the client opens no more."""
        with self._guard:
            self._closed = True
            for connection in self._all:
                if connection.sock is not None:
                    with contextlib.suppress(OSError):
                        connection.sock.shutdown(socket.SHUT_RDWR)

    def _request(
        self, parts: SplitResult, route: Route, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, Callable[[], None]]:
        proxy = _proxy_for(parts, route)
        key = (parts.scheme, parts.hostname, parts.port, proxy, route)
        pool: dict[object, http.client.HTTPConnection] = self._own.__dict__.setdefault("pool", {})
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        if proxy and parts.scheme == "http":
            target = urlunsplit(("http", _netloc(parts), parts.path or "/", parts.query, ""))
            headers = {**headers, **_proxy_headers(proxy)}
        reused = key in pool
        while True:
            if key not in pool:
                pool[key] = self._connection(parts, route, proxy)
            connection = pool[key]

            def drop(connection: http.client.HTTPConnection = connection) -> None:
                pool.pop(key, None)
                connection.close()
                with self._guard:
                    self._all.discard(connection)

            try:
                connection.request("GET", target, headers=headers)
                return connection.getresponse(), drop
            except (OSError, http.client.HTTPException) as error:
                drop()
                if reused and isinstance(error, _STALE) and not self._closed:
                    reused = False  # the server had closed a connection that we kept: that is no failure yet
                    continue
                _translate(error, parts, proxy)

    def _connection(self, parts: SplitResult, route: Route, proxy: str) -> http.client.HTTPConnection:
        host, port = parts.hostname or "", parts.port
        through = urlsplit(proxy) if proxy else None
        if through is not None and through.scheme not in ("http", "https", ""):
            raise RefusedError(f"the proxy {shown(proxy)} is of a kind that is not supported (only HTTP proxies are)")
        near_host, near_port = (through.hostname or "", through.port) if through else (host, port)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                near_host, near_port, timeout=self._timeout, context=self._context(route)
            )
            if through:
                connection.set_tunnel(host, port or 443, headers=_proxy_headers(proxy))
        else:
            connection = http.client.HTTPConnection(near_host, near_port, timeout=self._timeout)
        with self._guard:
            if self._closed:
                raise PassingError("the fetch was stopped")
            self._all.add(connection)
        return connection

    def _context(self, route: Route) -> ssl.SSLContext:
        key = (route.cafile, route.client_cert, route.trusted)
        with self._guard:
            if key not in self._contexts:
                try:
                    folder = route.cafile is not None and Path(route.cafile).is_dir()
                    context = ssl.create_default_context(
                        cafile=None if folder else route.cafile, capath=route.cafile if folder else None
                    )
                    if route.client_cert:
                        context.load_cert_chain(route.client_cert)
                except OSError as error:
                    raise RefusedError(f"the certificates at {route.cafile or route.client_cert} cannot be read") from error
                if route.trusted:
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                self._contexts[key] = context
            return self._contexts[key]

    def _login(self, parts: SplitResult, route: Route) -> str:
        user, password = route.user, route.password
        if user is None and parts.username is not None:
            user, password = unquote(parts.username), unquote(parts.password or "")
        if user is None and self._logins is not None:
            found = self._logins.hosts.get(parts.hostname or "")
            if found:
                user, password = found[0], found[2] or ""
        return "" if user is None else _basic(user, password)


def shown(url: str) -> str:
    """Give an address as messages show it: without user name, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, _netloc(parts), parts.path, "", ""))


def _netloc(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _answer(body: _HttpBody, response: http.client.HTTPResponse, url: str) -> Answer:
    length = response.getheader("Content-Length", "")
    size = int(length) if length.isdigit() else None
    start = 0
    if response.status == 206:
        first, _, total = response.getheader("Content-Range", "").replace("bytes ", "").partition("/")
        begin = first.partition("-")[0]
        if not begin.isdigit():
            body.close()
            raise RefusedError(f"{shown(url)} answered with a part of the file without saying which")
        start = int(begin)
        size = int(total) if total.isdigit() else None
    return Answer(body, url=url, size=size, start=start, headers=response.headers)


def _open_file(url: str, offset: int) -> Answer:
    path = Path(unquote(urlsplit(url).path))
    if path.is_dir():
        path = path / "index.html"
    try:
        size = path.stat().st_size
        stream = path.open("rb")
    except FileNotFoundError:
        raise GoneError(f"{path} does not exist") from None
    except OSError as error:
        raise RefusedError(f"{path} cannot be read ({_words(error)})") from error
    offset = min(offset, size)
    stream.seek(offset)
    return Answer(stream, url=url, size=size, start=offset, headers=Message())


def _refuse(response: http.client.HTTPResponse, url: str) -> None:
    what = f"{shown(url)} answered {response.status} {response.reason}".rstrip()
    if response.status in _GONE:
        raise GoneError(what)
    if response.status in _PASSING or response.status >= 500:
        after = response.getheader("Retry-After", "")
        raise PassingError(what, float(after) if after.isdigit() else 0.0)
    if response.status == 416:
        raise CorruptError(f"{shown(url)} is shorter than what was already received")
    if response.status in (401, 403, 407):
        what += ", which is about credentials: check the user name and password in the mirror's address or in ~/.netrc"
    raise RefusedError(what)


def _translate(error: Exception, parts: SplitResult, proxy: str) -> None:
    where = f"{parts.scheme}://{_netloc(parts)}" + (f" (through the proxy {shown(proxy)})" if proxy else "")
    if isinstance(error, ssl.SSLCertVerificationError):
        raise RefusedError(
            f"the certificate of {where} is not trusted ({error.verify_message}): install ca-certificates, or name "
            f"your company's certificates in SSL_CERT_FILE"
        ) from error
    if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
        raise RefusedError(f"the name of {where} is unknown") from error
    raise PassingError(f"{where} cannot be reached ({_words(error)})") from error


def _words(error: Exception) -> str:
    if isinstance(error, socket.timeout):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror).lower()
    return str(error) or type(error).__name__


def _proxy_for(parts: SplitResult, route: Route) -> str:
    if route.proxy is not None:
        return _with_scheme(route.proxy)
    if urllib.request.proxy_bypass_environment(_netloc(parts)):
        return ""
    proxies = urllib.request.getproxies_environment()
    return _with_scheme(proxies.get(parts.scheme) or proxies.get("all") or "")


def _with_scheme(proxy: str) -> str:
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _proxy_headers(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    return {"Proxy-Authorization": _basic(unquote(parts.username), unquote(parts.password or ""))}


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def _read_netrc() -> netrc.netrc | None:
    try:
        return netrc.netrc()
    except (OSError, netrc.NetrcParseError):
        return None


def file_url(path: Path) -> str:
    """Give the file: address of a path."""
    return "file://" + quote(str(path.absolute()))
