"""Where this machine's configuration says the Debian archives are.

An address is never stored: it comes from SAMEBITS_DEBIAN_MIRROR and SAMEBITS_DEBIAN_SECURITY_MIRROR, or else from apt's
own sources, one-line (*.list) and deb822 (*.sources), where any Debian release's line tells the base of the archive.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from images.errors import MirrorUnknownError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_VARIABLES = {"debian": "SAMEBITS_DEBIAN_MIRROR", "debian-security": "SAMEBITS_DEBIAN_SECURITY_MIRROR"}
_RELEASES = "buster|bullseye|bookworm|trixie|forky|duke|sid|oldoldstable|oldstable|stable|testing|unstable"
_SUITES = {
    "debian": re.compile(rf"(?:{_RELEASES})(?:-updates|-proposed-updates|-backports)?"),
    "debian-security": re.compile(rf"(?:{_RELEASES})(?:-security|/updates)"),
}
_ONE_LINE = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>[^#]+)")


@dataclass(frozen=True)
class _Source:
    uri: str
    suite: str
    components: tuple[str, ...]


def base(archive: str, etc: Path = Path("/etc/apt"), environ: Mapping[str, str] | None = None) -> str:
    """Give the base address of `archive` ("debian" or "debian-security"), without a final slash.

    Raises MirrorUnknownError when neither the environment nor apt's sources under `etc` name one.
    """
    variable = _VARIABLES[archive]
    named = (os.environ if environ is None else environ).get(variable, "").strip()
    if named:
        return named.rstrip("/")
    # Third parties name their suites after Debian's releases too, but they rarely have a component "main" there, and
    # rarer still in a folder called like the archive; the folder decides, whatever else fits comes second.
    fitting = [
        source.uri
        for source in _sources(etc)
        if _SUITES[archive].fullmatch(source.suite) and "main" in source.components
    ]
    exact = [uri for uri in fitting if uri.rsplit("/", 1)[-1] == archive]
    for uri in exact + fitting:
        return uri
    raise MirrorUnknownError(
        f"This machine's apt sources ({etc}) name no mirror of the {archive} archive. Set {variable} to the base address "
        f"of one (the folder that holds dists/ and pool/) and run the command again."
    )


def _sources(etc: Path) -> Iterator[_Source]:
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if path.suffix == ".list":
            yield from _one_line(text)
        elif path.suffix == ".sources":
            yield from _deb822(text)


def _one_line(text: str) -> Iterator[_Source]:
    for line in text.splitlines():
        match = _ONE_LINE.match(line.strip())
        if match:
            yield _Source(match["uri"].rstrip("/"), match["suite"], tuple(match["components"].split()))


def _deb822(text: str) -> Iterator[_Source]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line[:1].isspace() and key:
                fields[key] += " " + line.strip()
            elif ":" in line:
                key, value = line.split(":", 1)
                key = key.strip().lower()
                fields[key] = value.strip()
        if fields.get("enabled", "yes").lower() in {"no", "false", "without", "off", "disable"}:
            continue
        if "deb" not in fields.get("types", "").split():
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield _Source(uri.rstrip("/"), suite, tuple(fields.get("components", "").split()))
