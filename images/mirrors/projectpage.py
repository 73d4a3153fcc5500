"""A project's page in a package index: what files it lists, in JSON (PEP 691) or HTML (PEP 503).

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import html.parser
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from images.errors import RefusedError
from images.route import shown

_WHEEL_PARTS = 5  # name, version, Python, ABI, platform
_MOST_NESTED = 16
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class IndexFile:
    """A file that an index lists: its address, and its sha256 in hex or "" if the index does not say."""

    file: str
    url: str
    sha256: str


def find(url: str, text: str, file: str) -> IndexFile | None:
    """Give what the page that came from `url` says of one file, None if it is not listed.

    Raises RefusedError when it is no such page.
    """
    # Pages run to megabytes, and parsing hundreds of them whole takes longer than the downloads: look for the one
    # object around the name first.
    position = text.find(json.dumps(file)) if _is_json(text) else 0
    for _ in range(_MOST_NESTED):
        position = text.rfind("{", 0, max(0, position))
        if position <= 0:
            break
        try:
            item, _ = _DECODER.raw_decode(text, position)
        except ValueError:
            break
        if isinstance(item, dict) and item.get("filename") == file and isinstance(item.get("url"), str):
            return _from_object(url, item)
    return next((item for item in parse(url, text) if item.file == file), None)


def parse(url: str, text: str) -> list[IndexFile]:
    """Give all files of the page that came from `url`. Raises RefusedError when it is no such page."""
    if _is_json(text):
        try:
            return [_from_object(url, item) for item in json.loads(text)["files"]]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RefusedError(f"{shown(url)} is no page of a package index") from error
    page = _Anchors()
    page.feed(text)
    base = urljoin(url, page.base)
    found = []
    for target, label in page.found:
        address, fragment = urldefrag(urljoin(base, target))
        digest = fragment[len("sha256=") :] if fragment.startswith("sha256=") else ""
        name = label.strip() or unquote(urlsplit(address).path.rpartition("/")[2])
        found.append(IndexFile(name, address, digest))
    return found


def version_of(file: str) -> str:
    """Give the version in the name of a wheel or sdist, "" when there is none to be seen."""
    if file.endswith(".whl"):
        parts = file.split("-")
        return parts[1] if len(parts) >= _WHEEL_PARTS else ""
    match = re.fullmatch(r".+-([0-9][^-]*)\.(?:tar\.gz|zip|tar\.bz2)", file)
    return match[1] if match else ""


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] == "{"


def _from_object(url: str, item: dict[str, Any]) -> IndexFile:
    hashes = item.get("hashes")
    digest = hashes.get("sha256", "") if isinstance(hashes, dict) else ""
    return IndexFile(item["filename"], urljoin(url, item["url"]), digest)


class _Anchors(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.found: list[tuple[str, str]] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href")
        if tag == "base" and target:
            self.base = target
        elif tag == "a" and target:
            self.found.append((target, ""))
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            target, label = self.found[-1]
            self.found[-1] = (target, label + data)
