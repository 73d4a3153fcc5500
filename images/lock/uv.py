"""uv's resolver for CPython packages: requirements in, the files of each chosen release out.

Where the index is comes from uv's own configuration, or else from pip's, which uv does not read by itself.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.connection import Client
from images.errors import ResolutionError, ToolMissingError, TransferError
from images.mirrors import pipconfig


@dataclass(frozen=True)
class File:
    """One file of a release, as the index describes it. `url` is where it lies now, and goes into no lock."""

    name: str
    url: str
    size: int | None
    sha256: str | None


@dataclass(frozen=True)
class Release:
    """A chosen version of a package (normalised name) and its files that fit the target."""

    name: str
    version: str
    files: tuple[File, ...]


class Uv:
    """uv, working in `folder` for one interpreter version ("3.13") and platform ("x86_64-manylinux_2_40").

    The packages named in `sources` come as source distributions, all others have to have wheels.
    """

    def __init__(self, folder: Path, python: str, platform: str, sources: Sequence[str]) -> None:
        beside = Path(sys.executable).with_name("uv")
        found = str(beside) if beside.is_file() else shutil.which("uv")
        if found is None:
            raise ToolMissingError(
                "uv is not on this machine, and resolving Python packages needs it. Install it with "
                "`python3 -m pip install uv` and run the command again."
            )
        self._uv = found
        self._folder = folder
        self._target = ["--python-version", python, "--python-platform", platform, "--python", sys.executable]
        self._environ, options = _mirrors(os.environ)
        self._target += [*options, "--only-binary", ":all:"]
        for name in sources:
            self._target += ["--no-binary", name]

    def resolve(
        self,
        requirements: Sequence[str],
        constraints: Sequence[str] = (),
        excluded: Sequence[str] = (),
        *,
        dependencies: bool = True,
    ) -> list[Release]:
        """Resolve `requirements` within `constraints`, leaving out the packages named in `excluded`.

        Raises ResolutionError with uv's own explanation when there is no answer.
        """
        options = ["--format", "pylock.toml", "--output-file", "pylock.toml", "--no-header", "--quiet"]
        for option, lines in (("--constraints", constraints), ("--excludes", excluded)):
            name = f"{option.strip('-')}.txt"
            (self._folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            options += [option, name]
        (self._folder / "requirements.in").write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
        (self._folder / "pylock.toml").unlink(missing_ok=True)  # or uv would prefer the versions in it
        if not dependencies:
            options.append("--no-deps")
        command = [self._uv, "pip", "compile", "requirements.in", *self._target, *options]
        result = subprocess.run(
            command, cwd=self._folder, env=self._environ, check=False, capture_output=True, text=True
        )
        if result.returncode != 0:
            said = re.sub(r"\b[a-z+]+://[^\s)`]+", "the index", " ".join(result.stderr.split()))
            raise ResolutionError(
                f"uv gave no answer: {said[:2000].rstrip('.')}. Correct images/lock/python.toml, or "
                "refresh with fewer versions held (more names after --only, or none), and run the command again."
            )
        found = tomllib.loads((self._folder / "pylock.toml").read_text(encoding="utf-8"))
        return [self._release(package) for package in found.get("packages", [])]

    def size(self, file: File) -> int:
        """Give `file`'s size in bytes, from its server if the index did not say. Raises ResolutionError."""
        size, reason = file.size, "its server does not say either"
        if size is None:
            try:
                answer = Client().open(file.url, pipconfig.read(os.environ).route(file.url))
                answer.close()
                size = answer.size
            except TransferError as error:
                reason = str(error)
        if size is None:
            raise ResolutionError(
                f"The package index does not say how large {file.name} is ({reason}). Use an index with the "
                "JSON simple API, or one whose server tells lengths, and run the command again."
            )
        return size

    def _release(self, package: dict[str, Any]) -> Release:
        entries = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        return Release(package["name"], package["version"], tuple(self._file(entry) for entry in entries))

    def _file(self, entry: dict[str, Any]) -> File:
        # A package from a folder (find-links) has a path, all others a URL.
        url = entry["url"] if "url" in entry else (self._folder / entry["path"]).resolve().as_uri()
        size = entry.get("size")
        path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path))
        if url.startswith("file:"):
            size = path.stat().st_size
        return File(entry.get("name", path.name), url, size, entry.get("hashes", {}).get("sha256"))


def _mirrors(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Give uv's environment and options: the caller's, and where that is silent, what pip is configured to do."""
    pip = pipconfig.read(environ)
    found = dict(environ)
    if pip.cert:
        found.setdefault("SSL_CERT_FILE", pip.cert)
    if pip.proxy:
        found.setdefault("ALL_PROXY", pip.proxy)
    if any(name in environ for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX")):
        return found, []
    if pip.no_index:
        # Only then: a folder of somebody's own wheels must not get into a lock that others use.
        return {**found, "UV_FIND_LINKS": ",".join(pip.find_links)}, ["--no-index"]
    if pip.index:
        found["UV_DEFAULT_INDEX"] = pip.index
    if pip.extra:
        found["UV_INDEX"] = " ".join(pip.extra)
    return found, []
