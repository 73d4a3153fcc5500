"""Debian's archive as this machine reaches it. Standard library only."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from images.download import Place
from images.errors import MirrorUnknownError
from images.mirrors import aptsources
from images.mirrors.page import links, read_text
from images.route import Route

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from images.connection import Client
    from images.lock.lockfile import Artifact

_TEMPLATE = Path("usr/share/python-apt/templates/Debian.info")
_DEBOOTSTRAP = Path("usr/sbin/debootstrap")


class DebianMirror:
    """A mirror of one archive ("debian", "debian-security"), at the address `base` without a final slash."""

    def __init__(self, client: Client, archive: str, base: str, route: Route) -> None:
        self._client = client
        self._archive = archive
        self._base = base
        self._route = route

    def __repr__(self) -> str:
        """Name it by its address."""
        return f"DebianMirror({self._base!r})"

    def places(self, artifact: Artifact) -> Sequence[Place]:
        """Say where the file is, if it is of this archive."""
        if artifact.archive != self._archive or artifact.path is None:
            return []
        return [Place(f"{self._base}/{quote(artifact.path)}", self._route)]

    def offers(self, artifact: Artifact) -> str:
        """Say which versions of the package the mirror's folder lists now."""
        if artifact.archive != self._archive or artifact.path is None:
            return ""
        folder = f"{self._base}/{quote(posixpath.dirname(artifact.path))}/"
        _, text = read_text(self._client, folder, self._route)
        pattern = re.compile(re.escape(artifact.name) + r"_([^_/]+)_(\w+)\.deb")
        names = (posixpath.basename(unquote(link)) for link in links(text))
        ours = re.search(r"_(\w+)\.deb$", artifact.file)
        versions = {
            match[1] for match in map(pattern.fullmatch, names) if match and ours and match[2] in (ours[1], "all")
        }
        return f"the mirror has {artifact.name} {', '.join(sorted(versions))} now" if versions else ""


def configured(client: Client, environ: Mapping[str, str], root: Path = Path("/")) -> list[DebianMirror]:
    """Give this machine's mirrors: SAMEBITS_DEBIAN_MIRROR, else apt's, else what its Debian tools default to.

    Raises MirrorUnknownError when none of them says anything.
    """
    archives = bases(environ, root)
    found = aptsources.proxies(root)
    return [
        DebianMirror(client, archive, base, Route(proxy=aptsources.proxy_for(base, found)))
        for archive, some in archives.items()
        for base in some
    ]


def bases(environ: Mapping[str, str], root: Path = Path("/")) -> dict[str, list[str]]:
    """Give the base addresses (no final slash) of "debian" and "debian-security", best first.

    Raises MirrorUnknownError when this machine knows none.
    """
    main = environ.get("SAMEBITS_DEBIAN_MIRROR", "").strip().rstrip("/")
    security = environ.get("SAMEBITS_DEBIAN_SECURITY_MIRROR", "").strip().rstrip("/")
    found = {"debian": [main], "debian-security": []} if main else aptsources.archives(root)
    if not found["debian"]:
        found["debian"] = _tools_default(root)
    if security:
        found["debian-security"] = [security]
    if not found["debian"]:
        raise MirrorUnknownError(
            "This machine's configuration names no Debian mirror: apt's sources list none, as on Ubuntu. "
            "Set SAMEBITS_DEBIAN_MIRROR to the base address of one (the folder that holds dists and pool), "
            "or run `apt-get install python-apt-common` or `apt-get install debootstrap`, whose default is "
            "then taken."
        )
    if not found["debian-security"]:
        found["debian-security"] = [_sibling(base) for base in found["debian"]]
    return found


def _sibling(base: str) -> str:
    # Mirrors carry the security archive beside the main one, under a name of its own.
    before, _, last = base.rpartition("/")
    return f"{before}/{last.replace('debian', 'debian-security', 1)}" if "debian" in last else f"{base}-security"


def _tools_default(root: Path) -> list[str]:
    """Read the address that python-apt's description of Debian, or debootstrap, comes with."""
    for path, pattern in ((_TEMPLATE, r"^BaseURI:\s*(\S+)"), (_DEBOOTSTRAP, r'^DEF_MIRROR="?([^"\s]+)')):
        try:
            text = (root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for url in re.findall(pattern, text, re.MULTILINE):
            if urlsplit(url).path.strip("/") == "debian":
                return [url.rstrip("/")]
    return []
