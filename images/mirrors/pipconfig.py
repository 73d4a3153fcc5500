"""Which package indexes this machine's pip (and uv) are set up for.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from images.route import Route

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECTIONS = (
    "global",
    "install",
    "download",
)  # later ones count more, as `pip install` and `pip download` read them


@dataclass(frozen=True)
class PipSettings:
    """What matters of pip's settings: `index` is "" when none is configured; `no_index` forbids any."""

    index: str
    extra: tuple[str, ...]
    no_index: bool
    find_links: tuple[str, ...]
    proxy: str | None
    cert: str | None
    client_cert: str | None
    trusted: tuple[str, ...]

    def route(self, url: str) -> Route:
        """Say how an index's address is reached."""
        parts = urlsplit(url)
        trusted = parts.hostname in self.trusted or f"{parts.hostname}:{parts.port}" in self.trusted
        return Route(proxy=self.proxy, cafile=self.cert, client_cert=self.client_cert, trusted=trusted)


def read(environ: Mapping[str, str], root: Path = Path("/")) -> PipSettings:
    """Read pip's environment and files, and uv's environment; as with pip, the environment goes first."""
    from_files = _files(environ, root)

    def setting(name: str) -> str:
        return environ.get(f"PIP_{name.upper().replace('-', '_')}", "").strip() or from_files.get(name, "")

    named = [
        word.rpartition("=")[2] if "://" in word.rpartition("=")[2] else word for word in _words(environ, "UV_INDEX")
    ]
    index = environ.get("PIP_INDEX_URL") or environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    index = (index or from_files.get("index-url", "")).strip()
    extra = [*setting("extra-index-url").split(), *_words(environ, "UV_EXTRA_INDEX_URL"), *named]
    return PipSettings(
        index=index,
        extra=tuple(dict.fromkeys(extra)),
        no_index=setting("no-index").lower() in ("1", "true", "yes", "on", "y", "t"),
        find_links=tuple(setting("find-links").split()),
        proxy=setting("proxy") or None,
        cert=setting("cert") or environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE") or None,
        client_cert=setting("client-cert") or None,
        trusted=tuple(setting("trusted-host").split()),
    )


def _words(environ: Mapping[str, str], name: str) -> list[str]:
    return environ.get(name, "").split()


def _files(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    own = environ.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return {}
    home = Path(environ.get("HOME", str(root / "root")))
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    paths = [
        root / "etc/xdg/pip/pip.conf",
        root / "etc/pip.conf",
        home / ".pip/pip.conf",
        config / "pip/pip.conf",
    ]
    if own:
        paths.append(Path(own))
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for path in paths:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue
        for section in _SECTIONS:
            if parser.has_section(section):
                found[section].update({name.replace("_", "-"): value for name, value in parser.items(section)})
    return {name: value for section in _SECTIONS for name, value in found[section].items()}
