"""Reading addresses: HTTP and HTTPS with kept-alive connections, Range and proxies; and local files alike.

Everything that reaches a network goes through `Client.open`; what goes wrong there comes out as one of the
TransferErrors, so that callers know whether to try again. Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urljoin, urlsplit, urlunsplit

from images import answer
from images.errors import PassingError, RefusedError
from images.route import DIRECT, Logins, netloc, proxy_headers, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from urllib.parse import SplitResult

    from images.route import Route

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 10
_LONGEST_CONNECT = 10.0
_HTTPS_PORT = 443
_STALE = (ConnectionError, http.client.BadStatusLine, http.client.CannotSendRequest)
_AGENT = "samebits-fetch/1"


class Client:
    """Opens addresses for several threads; each thread keeps its own connections alive.

    `timeout` (seconds) bounds each wait for a server; connecting gets ten of them at most.
    """

    def __init__(self, timeout: float = 30.0) -> None:
        self._timeout = timeout
        self._own = threading.local()
        self._all: set[http.client.HTTPConnection] = set()
        self._guard = threading.Lock()
        self._closed = False
        self._contexts: dict[Route, ssl.SSLContext] = {}
        self._logins = Logins()

    def open(
        self,
        url: str,
        route: Route = DIRECT,
        *,
        offset: int = 0,
        accept: str = "*/*",
        encoding: str = "identity",
    ) -> answer.Answer:
        """Start reading `url` at `offset` bytes; the answer says where it starts, 0 if Range is not honoured.

        Raises GoneError, PassingError, CorruptError (it is shorter than that) or RefusedError.
        """
        first = urlsplit(url)
        if first.scheme == "file":
            return answer.from_file(url, offset)
        for _ in range(_MOST_REDIRECTS):
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise RefusedError(f"{shown(url)} is no address that can be read")
            headers = {"User-Agent": _AGENT, "Accept": accept, "Accept-Encoding": encoding}
            if offset:
                headers["Range"] = f"bytes={offset}-"
            # A redirect to another host must not carry the mirror's password there.
            login = self._logins.header(parts, route if parts.hostname == first.hostname else DIRECT)
            if login:
                headers["Authorization"] = login
            response, drop = self._request(parts, route, headers)
            location = response.getheader("Location", "")
            if response.status not in _REDIRECTS or not location:
                return answer.from_response(response, url, drop)
            answer.discard(response, drop)
            url = urljoin(url, location)
        raise RefusedError(f"{shown(first.geturl())} redirects without end")

    def close_all(self) -> None:
        """Break every connection off, which wakes the threads that read; the client opens no more."""
        with self._guard:
            self._closed = True
            for connection in self._all:
                if connection.sock is not None:
                    with contextlib.suppress(OSError):
                        connection.sock.shutdown(socket.SHUT_RDWR)

    def _request(
        self, parts: SplitResult, route: Route, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, Callable[[], None]]:
        proxy = route.proxy_for(parts)
        key = (parts.scheme, parts.hostname, parts.port, proxy, route)
        pool: dict[object, http.client.HTTPConnection] = self._own.__dict__.setdefault("pool", {})
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        if proxy and parts.scheme == "http":
            target = urlunsplit(("http", netloc(parts), parts.path or "/", parts.query, ""))
            headers = {**headers, **proxy_headers(proxy)}
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
                if connection.sock is None:
                    connection.connect()
                    if connection.sock is not None:
                        connection.sock.settimeout(self._timeout)
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
        near = urlsplit(proxy) if proxy else parts
        if near.scheme not in ("http", "https"):
            raise RefusedError(f"the proxy {shown(proxy)} is of a kind that is not supported: use an HTTP proxy")
        limit = min(self._timeout, _LONGEST_CONNECT)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                near.hostname or "", near.port, timeout=limit, context=self._context(route)
            )
            if proxy:
                connection.set_tunnel(host, port or _HTTPS_PORT, headers=proxy_headers(proxy))
        else:
            connection = http.client.HTTPConnection(near.hostname or "", near.port, timeout=limit)
        with self._guard:
            if self._closed:
                raise PassingError("the fetch was stopped")
            self._all.add(connection)
        return connection

    def _context(self, route: Route) -> ssl.SSLContext:
        with self._guard:
            if route not in self._contexts:
                folder = route.cafile is not None and Path(route.cafile).is_dir()
                file, path = (None, route.cafile) if folder else (route.cafile, None)
                try:
                    context = ssl.create_default_context(cafile=file, capath=path)
                    if route.client_cert:
                        context.load_cert_chain(route.client_cert)
                except OSError as error:
                    what = route.cafile or route.client_cert
                    raise RefusedError(f"the certificates at {what} cannot be read") from error
                if route.trusted:
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                self._contexts[route] = context
            return self._contexts[route]


def _translate(error: Exception, parts: SplitResult, proxy: str) -> NoReturn:
    where = f"{parts.scheme}://{netloc(parts)}" + (f" (through the proxy {shown(proxy)})" if proxy else "")
    if isinstance(error, ssl.SSLCertVerificationError):
        raise RefusedError(
            f"the certificate of {where} is not trusted ({error.verify_message}): install ca-certificates, "
            "or name your company's certificates in SSL_CERT_FILE"
        ) from error
    if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
        raise RefusedError(f"the name of {where} is unknown") from error
    raise PassingError(f"{where} cannot be reached ({answer.words(error)})") from error
