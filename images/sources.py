"""Where each kind of pinned file can come from on this machine: the team's cache, then mirrors.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from images.errors import MirrorUnknownError, RefusedError
from images.mirrors import debian, defaults, maven, python, teamcache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from images.connection import Client
    from images.download import Place, Source
    from images.lock.lockfile import Artifact


class Unconfigured:
    """Stands for mirrors that this machine does not know: asking it gives the error that says so."""

    def __init__(self, error: MirrorUnknownError) -> None:
        self._error = error

    def places(self, artifact: Artifact) -> Sequence[Place]:  # noqa: ARG002
        """Raise what is known: that nothing is."""
        raise RefusedError(str(self._error).rstrip("."))

    def offers(self, artifact: Artifact) -> str:  # noqa: ARG002
        """Say nothing."""
        return ""


def for_kind(
    kind: str,
    client: Client,
    environ: Mapping[str, str],
    package: Callable[[str], Path],
    root: Path = Path("/"),
) -> list[Source]:
    """Give the sources of "debian", "python" or "maven" files, in the order to ask them.

    `package` gives the .deb of a pinned package by name; it is asked for only if nothing else tells a default
    registry. Raises MirrorUnknownError when there is neither a mirror nor a team's cache.
    """
    cache: list[Source] = list(teamcache.configured(environ))
    mirrors: Sequence[Source]
    try:
        if kind == "debian":
            mirrors = debian.configured(client, environ, root)
        elif kind == "python":
            mirrors = python.configured(client, environ, lambda: _default_index(package), root)
        else:
            mirrors = maven.configured(
                client,
                environ,
                lambda: defaults.repository_of_maven_deb(package(defaults.MAVEN_PACKAGE)),
                root,
            )
    except MirrorUnknownError as error:
        if not cache:
            raise
        mirrors = [Unconfigured(error)]
    return [*cache, *mirrors]


def _default_index(package: Callable[[str], Path]) -> str:
    return defaults.index_of_own_pip() or defaults.index_of_pip_deb(package(defaults.PIP_PACKAGE))
