"""What an address gives: a body to read, or the error that its status means.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import email.utils
import http.client
import time
from email.message import Message
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from images.errors import CorruptError, GoneError, PassingError, RefusedError, TransferError
from images.route import shown

if TYPE_CHECKING:
    from collections.abc import Callable

_SHORT = 1 << 16
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_LOGIN = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)


class Body(Protocol):
    """What an answer reads from: an HTTP response or an open file."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as one read goes; 0 means the end."""

    def close(self) -> None:
        """Read no more."""


class Answer:
    """A response being read, of the file at `url`.

    `size` is the whole file's in bytes, None if not told; `start` is where in the file the body begins.
    """

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
            # ValueError, AttributeError: what http.client says when the client closed its socket meanwhile.
            raise PassingError(f"the connection broke off ({words(error)})") from error

    def close(self) -> None:
        """Give the connection back if all was read, close it otherwise."""
        self._body.close()


class _HttpBody:
    def __init__(self, response: http.client.HTTPResponse, drop: Callable[[], None]) -> None:
        self._response = response
        self._drop = drop

    def readinto(self, buffer: memoryview, /) -> int:
        return self._response.readinto(buffer)

    def close(self) -> None:
        if not self._response.isclosed():
            self._drop()
        self._response.close()


def from_response(response: http.client.HTTPResponse, url: str, drop: Callable[[], None]) -> Answer:
    """Give the answer that a response of status 200 or 206 is; `drop` closes its connection.

    Raises what any other status means: GoneError, PassingError, CorruptError or RefusedError.
    """
    body = _HttpBody(response, drop)
    if response.status == HTTPStatus.OK:
        length = response.getheader("Content-Length", "")
        size = int(length) if length.isdigit() else None
        return Answer(body, url=url, size=size, start=0, headers=response.headers)
    first, _, total = response.getheader("Content-Range", "").replace("bytes ", "").partition("/")
    begin = first.partition("-")[0]
    if response.status == HTTPStatus.PARTIAL_CONTENT and begin.isdigit():
        size = int(total) if total.isdigit() else None
        return Answer(body, url=url, size=size, start=int(begin), headers=response.headers)
    discard(response, drop)
    raise _refusal(response, shown(url))


def discard(response: http.client.HTTPResponse, drop: Callable[[], None]) -> None:
    """Be done with a response that is not wanted; its connection is kept if the rest of the body is short."""
    length = response.getheader("Content-Length", "")
    try:
        if length.isdigit() and int(length) <= _SHORT:
            response.read()
    except (OSError, http.client.HTTPException):
        pass
    if not response.isclosed():
        drop()
        response.close()


def from_file(url: str, offset: int) -> Answer:
    """Give the answer for a file: address, a folder standing for its index.html.

    Raises GoneError or RefusedError.
    """
    path = Path(unquote(urlsplit(url).path))
    if path.is_dir():
        path /= "index.html"
    try:
        size = path.stat().st_size
        stream = path.open("rb")
    except FileNotFoundError:
        raise GoneError(f"{path} does not exist") from None
    except OSError as error:
        raise RefusedError(f"{path} cannot be read ({words(error)})") from error
    offset = min(offset, size)
    stream.seek(offset)
    return Answer(stream, url=url, size=size, start=offset, headers=Message())


def words(error: Exception) -> str:
    """Say what a foreign error means, as a clause."""
    if isinstance(error, TimeoutError) or str(error) == "timed out":  # two classes before Python 3.10
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror).lower()
    return str(error) or type(error).__name__


def _refusal(response: http.client.HTTPResponse, where: str) -> TransferError:
    what = f"{where} answered {response.status} {response.reason}".rstrip()
    if response.status in _GONE:
        return GoneError(what)
    if response.status in _PASSING or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return PassingError(what, _seconds(response.getheader("Retry-After", "")))
    if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return CorruptError(f"{where} has fewer bytes than were already received")
    if response.status in _LOGIN:
        what += ": check the user name and password in the mirror's address or in ~/.netrc"
    return RefusedError(what)


def _seconds(after: str) -> float:
    """Read Retry-After, which is a number of seconds or a date."""
    if after.isdigit():
        return float(after)
    parsed = email.utils.parsedate_tz(after)
    return max(0.0, email.utils.mktime_tz(parsed) - time.time()) if parsed else 0.0
