"""The registries that pip and Maven fall back on, read out of pip and Maven themselves.

This project names no registry. A machine without configuration gets what its package managers come with: from
the pip that this Python has, or else from the pinned .debs of python3-pip and libmaven3-core-java.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import importlib.util
import io
import re
import zipfile
from pathlib import Path

from images.debfile import read_member
from images.errors import CorruptError, MirrorUnknownError

PIP_PACKAGE = "python3-pip"
MAVEN_PACKAGE = "libmaven3-core-java"
_PIP_INDEX = "_internal/models/index.py"
_PIP_IN_DEB = f"usr/lib/python3/dist-packages/pip/{_PIP_INDEX}"
_MAVEN_JAR = "usr/share/java/maven3-model-builder.jar"
_SUPER_POM = "org/apache/maven/model/pom-4.0.0.xml"


def index_of_own_pip() -> str:
    """Give the address of the index that this Python's pip falls back on, "" when there is no pip."""
    spec = importlib.util.find_spec("pip")
    if spec is None or not spec.origin:
        return ""
    try:
        return _index_in((Path(spec.origin).parent / _PIP_INDEX).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ""


def index_of_pip_deb(deb: Path) -> str:
    """Give the same from a .deb of python3-pip. Raises MirrorUnknownError when it cannot be found there."""
    try:
        found = _index_in(read_member(deb, _PIP_IN_DEB).decode("utf-8"))
    except (CorruptError, UnicodeDecodeError):
        found = ""
    if not found:
        raise MirrorUnknownError(
            f"No package index is configured on this machine, and {deb.name} does not tell pip's default in "
            "the way that is known here. Set PIP_INDEX_URL to the index to use and run the command again."
        )
    return found


def repository_of_maven_deb(deb: Path) -> str:
    """Give central's address from a .deb of libmaven3-core-java. Raises MirrorUnknownError without one."""
    found = None
    try:
        with zipfile.ZipFile(io.BytesIO(read_member(deb, _MAVEN_JAR))) as jar:
            text = jar.read(_SUPER_POM).decode("utf-8")
        found = re.search(r"<repository>\s*<id>central</id>.*?<url>\s*(\S+?)\s*</url>", text, re.DOTALL)
    except (CorruptError, KeyError, zipfile.BadZipFile, UnicodeDecodeError):
        pass
    if not found:
        raise MirrorUnknownError(
            f"No Maven repository is configured on this machine, and {deb.name} does not tell Maven's "
            "default in the way that is known here. Set SAMEBITS_MAVEN_MIRROR to the repository to use and "
            "run the command again."
        )
    return found[1]


def _index_in(source: str) -> str:
    match = re.search(r'^PyPI = PackageIndex\(\s*"([^"]+)"', source, re.MULTILINE)
    return f"{match[1].rstrip('/')}/simple" if match else ""
