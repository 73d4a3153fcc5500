"""Maven's central repository as this machine reaches it. Standard library only, Python 3.9 or newer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from images.download import Place
from images.mirrors.page import read_text
from images.route import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from images.connection import Client
    from images.lock.lockfile import Artifact


class MavenRepository:
    """One repository in Maven's layout; `base` is its address without a final slash."""

    def __init__(self, client: Client, base: str, route: Route) -> None:
        self._client = client
        self._base = base
        self._route = route

    def __repr__(self) -> str:
        """Name it by its address."""
        return f"MavenRepository({self._base!r})"

    def places(self, artifact: Artifact) -> Sequence[Place]:
        """Say where the file is."""
        return [Place(f"{self._base}/{quote(artifact.path or '')}", self._route)]

    def offers(self, artifact: Artifact) -> str:
        """Say which version the repository's metadata calls the newest."""
        group, _, name = artifact.name.partition(":")
        url = f"{self._base}/{quote(group.replace('.', '/'))}/{quote(name)}/maven-metadata.xml"
        _, text = read_text(self._client, url, self._route)
        newest = re.search(r"<release>([^<]+)</release>", text) or re.search(r"<latest>([^<]+)</latest>", text)
        return f"the repository's newest {artifact.name} is {newest[1]}" if newest else ""


def configured(
    client: Client, environ: Mapping[str, str], default: Callable[[], str], root: Path = Path("/")
) -> list[MavenRepository]:
    """Give where this machine reads central from.

    That is SAMEBITS_MAVEN_MIRROR, else a mirror in settings.xml, else what `default` gives.
    """
    named = environ.get("SAMEBITS_MAVEN_MIRROR", "").strip()
    if named:
        return [MavenRepository(client, named.rstrip("/"), Route())]
    base, route = from_settings(environ, root)
    return [MavenRepository(client, (base or default()).rstrip("/"), route)]


def from_settings(environ: Mapping[str, str], root: Path = Path("/")) -> tuple[str, Route]:
    """Give the mirror of central in Maven's settings, "" if none, and how to reach it.

    The user's file goes before the machine's, and a mirror of exactly central before patterns, as with Maven.
    """
    home = Path(environ.get("HOME", str(root / "root")))
    trees = [
        tree for tree in (_tree(home / ".m2/settings.xml"), _tree(root / "etc/maven/settings.xml")) if tree is not None
    ]
    mirrors = [mirror for tree in trees for mirror in _children(tree, "mirrors", "mirror")]
    exact = [mirror for mirror in mirrors if _text(mirror, "mirrorOf", environ) == "central"]
    matching = [mirror for mirror in mirrors if mirrors_central(_text(mirror, "mirrorOf", environ))]
    for mirror in [*exact, *matching]:
        url = _text(mirror, "url", environ)
        if url and _text(mirror, "blocked", environ) != "true":
            user, password = _login(trees, _text(mirror, "id", environ), environ)
            return url, Route(proxy=_proxy(trees, url, environ), user=user or None, password=password)
    return "", Route(proxy=_proxy(trees, "https://central.invalid", environ))


def mirrors_central(pattern: str) -> bool:
    """Say whether a mirrorOf such as `*`, `central`, `external:*` or `*,!central` covers central."""
    words = [word.strip() for word in pattern.split(",")]
    return "!central" not in words and any(word in ("*", "central", "external:*") for word in words)


def _tree(path: Path) -> ET.Element | None:
    try:
        # Maven's own settings, which the machine's owner wrote: as trustworthy as the shell's environment.
        return ET.fromstring(path.read_bytes())  # noqa: S314
    except (OSError, ET.ParseError):
        return None


def _children(tree: ET.Element, group: str, name: str) -> Iterator[ET.Element]:
    for section in tree:
        if _plain(section.tag) == group:
            yield from (child for child in section if _plain(child.tag) == name)


def _text(element: ET.Element, name: str, environ: Mapping[str, str]) -> str:
    for child in element:
        if _plain(child.tag) == name:
            return re.sub(r"\$\{env\.(\w+)\}", lambda match: environ.get(match[1], ""), (child.text or "").strip())
    return ""


def _plain(tag: str) -> str:
    return tag.rpartition("}")[2]


def _login(trees: Sequence[ET.Element], identity: str, environ: Mapping[str, str]) -> tuple[str, str]:
    for tree in trees:
        for server in _children(tree, "servers", "server"):
            if _text(server, "id", environ) == identity:
                return _text(server, "username", environ), _text(server, "password", environ)
    return "", ""


def _proxy(trees: Sequence[ET.Element], url: str, environ: Mapping[str, str]) -> str | None:
    for tree in trees:
        for proxy in _children(tree, "proxies", "proxy"):
            host, port = _text(proxy, "host", environ), _text(proxy, "port", environ)
            if not host or _text(proxy, "active", environ) == "false":
                continue
            skipped = _text(proxy, "nonProxyHosts", environ).split("|")
            name = urlsplit(url).hostname or ""
            if any(re.fullmatch(re.escape(item).replace(r"\*", ".*"), name) for item in skipped if item):
                return ""
            return f"http://{host}:{port or 8080}"
    return None
