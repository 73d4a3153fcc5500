"""Which Debian archives this machine's apt is set up for, and through which proxy. Standard library only."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

_SUITE = re.compile(
    r"(buster|bullseye|bookworm|trixie|forky|duke|sid|(old){0,2}stable|testing|unstable)"
    r"(-updates|-backports|-proposed-updates|-security|/updates)?"
)
_ONE_LINE = re.compile(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(\S.*)")
_PROXY = re.compile(r'Acquire::(https?)::Proxy(?:::(\S+))? "(.*)";')


@dataclass(frozen=True)
class Entry:
    """One archive of apt's sources: its base address, one suite, its components."""

    uri: str
    suite: str
    components: tuple[str, ...]


def archives(root: Path = Path("/")) -> dict[str, list[str]]:
    """Give the base addresses (no final slash) of "debian" and "debian-security", in the sources' order.

    Other vendors' archives are left out: Debian's are known by suite and the component main, and, when some
    of those have an address that says debian, only they count.
    """
    found: dict[str, list[str]] = {"debian": [], "debian-security": []}
    for entry in entries(root):
        suite = _SUITE.fullmatch(entry.suite)
        if not suite or "main" not in entry.components:
            continue
        kind = "debian-security" if suite[3] in ("-security", "/updates") else "debian"
        for base in _bases(entry.uri, root):
            if base not in found[kind]:
                found[kind].append(base)
    for kind, bases in found.items():
        named = [base for base in bases if "debian" in urlsplit(base).path or "debian" in urlsplit(base).netloc]
        found[kind] = named or bases
    return found


def entries(root: Path = Path("/")) -> Iterator[Entry]:
    """Give what apt's files list for binary packages, without what is commented out or disabled."""
    folder = root / "etc/apt"
    for path in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]:
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        yield from _deb822(text) if path.suffix == ".sources" else _one_line(text)


def proxies(root: Path = Path("/")) -> dict[str, str]:
    """Give apt's proxies by scheme ("http") or scheme and host ("http host"); "" where it says DIRECT."""
    program = shutil.which("apt-config")
    if program is None or root != Path("/"):
        return {}
    try:
        dump = subprocess.run([program, "dump"], capture_output=True, text=True, check=False, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return parse_proxies(dump)


def parse_proxies(dump: str) -> dict[str, str]:
    """Read the proxies out of `apt-config dump`; what `proxies` gives."""
    found = {}
    for line in dump.splitlines():
        match = _PROXY.fullmatch(line.strip())
        if match and match[3]:
            key = f"{match[1]} {match[2]}" if match[2] else match[1]
            found[key] = "" if match[3] == "DIRECT" else match[3]
    return found


def proxy_for(url: str, found: dict[str, str]) -> str | None:
    """Give the proxy apt would use for an address, "" for none at all, None when apt says nothing."""
    parts = urlsplit(url)
    by_host = found.get(f"{parts.scheme} {parts.hostname}")
    if by_host is not None:
        return by_host
    # apt takes the http proxy for https too, when it has none of its own
    return found.get(parts.scheme, found.get("http") if parts.scheme == "https" else None)


def _one_line(text: str) -> Iterator[Entry]:
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.split("#", 1)[0].strip())
        if match:
            yield Entry(match[1], match[2], tuple(match[3].split()))


def _deb822(text: str) -> Iterator[Entry]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n[ \t]*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line[:1].isspace():
                fields[key] = fields.get(key, "") + " " + line.strip()
            elif ":" in line:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in (
            "no",
            "false",
            "0",
        ):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Entry(uri, suite, tuple(fields.get("components", "").split()))


def _bases(uri: str, root: Path) -> list[str]:
    scheme, _, rest = uri.partition(":")
    if scheme == "mirror+file":  # a list of mirrors in a file, as cloud images have it
        try:
            lines = (root / unquote(rest).lstrip("/")).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return []
        uris = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
        return [base for one in uris for base in _bases(one, root) if not one.startswith("mirror")]
    if scheme == "file":
        return ["file:///" + rest.strip("/")]
    return [uri.rstrip("/")] if scheme in ("http", "https") else []
