"""Small pages that mirrors serve, read whole: indexes and metadata.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import html.parser
import zlib
from typing import TYPE_CHECKING

from images.errors import PassingError, RefusedError
from images.route import shown

if TYPE_CHECKING:
    from images.connection import Client
    from images.route import Route

_LIMIT = 64 << 20
_CHUNK = 1 << 16


def read_text(client: Client, url: str, route: Route, accept: str = "*/*") -> tuple[str, str]:
    """Give the page's address after redirects and its text. Raises a TransferError."""
    answer = client.open(url, route, accept=accept, encoding="gzip")
    body = bytearray()
    buffer = memoryview(bytearray(_CHUNK))
    try:
        while count := answer.readinto(buffer):
            body += buffer[:count]
            if len(body) > _LIMIT:
                raise RefusedError(f"{shown(url)} is too large for an index page")
        if answer.size is not None and len(body) < answer.size:
            raise PassingError(f"{shown(url)} broke off after {len(body)} of {answer.size} bytes")
    finally:
        answer.close()
    content = bytes(body)
    if answer.headers.get("Content-Encoding", "") == "gzip":
        try:
            content = zlib.decompressobj(wbits=31).decompress(content, _LIMIT)
        except zlib.error as error:
            raise PassingError(f"{shown(url)} sent compressed data that is broken") from error
    return answer.url, content.decode("utf-8", "replace")


def links(text: str) -> list[str]:
    """Give what the links of an HTML page point to, in their order."""
    found: list[str] = []

    class Links(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(value for name, value in attrs if tag == "a" and name == "href" and value)

    Links().feed(text)
    return found
