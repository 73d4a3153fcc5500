"""Python's packages as this machine reaches them: simple indexes (PEP 503, PEP 691) and folders of wheels.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import html.parser
import json
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from images.download import Place, Source
from images.errors import CorruptError, GoneError, RefusedError
from images.mirrors import pipconfig
from images.mirrors.page import read_text
from images.route import Route, file_url, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from images.connection import Client
    from images.lock.lockfile import Artifact

_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_MOST_SHOWN = 8
_WHEEL_PARTS = 5  # name, version, Python, ABI, platform


@dataclass(frozen=True)
class IndexFile:
    """A file that an index lists: its address, and its sha256 in hex or "" if the index does not say."""

    file: str
    url: str
    sha256: str


class SimpleIndex:
    """One index; `base` is the address of its list of projects, without a final slash."""

    def __init__(self, client: Client, base: str, route: Route) -> None:
        self._client = client
        self._base = base
        self._route = route
        self._projects: dict[str, dict[str, IndexFile]] = {}
        self._guard = threading.Lock()

    def __repr__(self) -> str:
        """Name it by its address."""
        return f"SimpleIndex({self._base!r})"

    def places(self, artifact: Artifact) -> Sequence[Place]:
        """Ask the index where the file is. Raises GoneError if it lists none, CorruptError if another one."""
        found = self._project(artifact.name).get(artifact.file)
        where = shown(f"{self._base}/{artifact.name}/")
        if found is None:
            raise GoneError(f"{where} does not list it")
        if found.sha256 and found.sha256 != artifact.sha256:
            raise CorruptError(
                f"{where} lists it with the sha256 {found.sha256} where the lock pins {artifact.sha256}"
            )
        return [Place(found.url, self._route)]

    def offers(self, artifact: Artifact) -> str:
        """Say which files of the pinned version the index lists, or else which versions, in its order."""
        files = list(self._project(artifact.name))
        same = [file for file in files if version_of(file) == artifact.version]
        if same:
            return f"the index has {', '.join(same[-_MOST_SHOWN:])} of this version now"
        versions = list(dict.fromkeys(filter(None, map(version_of, files))))
        return f"the index has {artifact.name} {', '.join(versions[-_MOST_SHOWN:])} now" if versions else ""

    def _project(self, name: str) -> dict[str, IndexFile]:
        with self._guard:
            known = self._projects.get(name)
        if known is None:
            url, text = read_text(self._client, f"{self._base}/{name}/", self._route, _ACCEPT)
            known = {item.file: item for item in parse_project(url, text)}
            with self._guard:
                self._projects[name] = known
        return known


class WheelFolder:
    """A folder of distributions on this machine, as pip's find-links names them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        """Name it by its path."""
        return f"WheelFolder({str(self._folder)!r})"

    def places(self, artifact: Artifact) -> Sequence[Place]:
        """Say where the file is, if the folder has one of its name and size."""
        path = self._folder / artifact.file
        try:
            there = path.stat().st_size == artifact.size
        except OSError:
            there = False
        return [Place(file_url(path))] if there else []

    def offers(self, artifact: Artifact) -> str:  # noqa: ARG002  the index is the better witness
        """Say nothing."""
        return ""


def configured(
    client: Client, environ: Mapping[str, str], default: Callable[[], str], root: Path = Path("/")
) -> list[Source]:
    """Give this machine's folders and indexes, in pip's order; `default` gives the index when none is set."""
    settings = pipconfig.read(environ, root)
    found: list[Source] = []
    for link in settings.find_links:
        folder = Path(unquote(urlsplit(link).path)) if link.startswith("file:") else Path(link).expanduser()
        if "://" not in link.replace("file://", "") and folder.is_dir():
            found.append(WheelFolder(folder))
    if not settings.no_index:
        urls = (settings.index or default(), *settings.extra)
        found.extend(SimpleIndex(client, url.rstrip("/"), settings.route(url)) for url in urls)
    return found


def parse_project(url: str, text: str) -> list[IndexFile]:
    """Read a project's page, JSON or HTML, that came from `url`. Raises RefusedError when it is neither."""
    if text.lstrip().startswith("{"):
        return _from_json(url, text)
    page = _Anchors()
    page.feed(text)
    base = urljoin(url, page.base)
    found = []
    for target, label in page.found:
        address, fragment = urldefrag(urljoin(base, target))
        digest = fragment.partition("sha256=")[2] if fragment.startswith("sha256=") else ""
        found.append(
            IndexFile(label.strip() or unquote(urlsplit(address).path.rpartition("/")[2]), address, digest)
        )
    return found


def version_of(file: str) -> str:
    """Give the version in the name of a wheel or sdist, "" when there is none to be seen."""
    if file.endswith(".whl"):
        parts = file.split("-")
        return parts[1] if len(parts) >= _WHEEL_PARTS else ""
    match = re.fullmatch(r".+-([0-9][^-]*)\.(?:tar\.gz|zip|tar\.bz2)", file)
    return match[1] if match else ""


def _from_json(url: str, text: str) -> list[IndexFile]:
    try:
        return [
            IndexFile(item["filename"], urljoin(url, item["url"]), item.get("hashes", {}).get("sha256", ""))
            for item in json.loads(text)["files"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RefusedError(f"{shown(url)} is no page of a package index") from error


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
