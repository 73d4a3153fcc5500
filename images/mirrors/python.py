"""Python's packages as this machine reaches them: simple indexes (PEP 503, PEP 691) and folders of wheels.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from images.download import Place, Source
from images.errors import CorruptError, GoneError
from images.mirrors import pipconfig, projectpage
from images.mirrors.page import read_text
from images.route import Route, file_url, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from images.connection import Client
    from images.lock.lockfile import Artifact

_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_MOST_SHOWN = 8


class SimpleIndex:
    """One index; `base` is the address of its list of projects, without a final slash."""

    def __init__(self, client: Client, base: str, route: Route) -> None:
        self._client = client
        self._base = base
        self._route = route

    def __repr__(self) -> str:
        """Name it by its address."""
        return f"SimpleIndex({self._base!r})"

    def places(self, artifact: Artifact) -> Sequence[Place]:
        """Ask the index where the file is. Raises GoneError if it lists none, CorruptError if another one."""
        url, text = self._page(artifact)
        found = projectpage.find(url, text, artifact.file)
        if found is None:
            raise GoneError(f"{shown(url)} does not list it")
        if found.sha256 and found.sha256 != artifact.sha256:
            raise CorruptError(
                f"{shown(url)} lists it with the sha256 {found.sha256} where the lock pins {artifact.sha256}"
            )
        return [Place(found.url, self._route)]

    def offers(self, artifact: Artifact) -> str:
        """Say which files of the pinned version the index lists, or else which versions, in its order."""
        files = [item.file for item in projectpage.parse(*self._page(artifact))]
        same = [file for file in files if projectpage.version_of(file) == artifact.version]
        if same:
            return f"the index has {', '.join(same[-_MOST_SHOWN:])} of this version now"
        versions = list(dict.fromkeys(filter(None, map(projectpage.version_of, files))))
        return f"the index has {artifact.name} {', '.join(versions[-_MOST_SHOWN:])} now" if versions else ""

    def _page(self, artifact: Artifact) -> tuple[str, str]:
        return read_text(self._client, f"{self._base}/{artifact.name}/", self._route, _ACCEPT)


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
