"""Resolve maven.toml: Maven decides, for jars that go beside those of a package in the Python lock.

`make lock` needs mvn for this. Every file is checked against the repository's checksums: Maven is told to
fail on a wrong or missing one, whatever its settings say.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from images.errors import ResolutionError, ToolMissingError
from images.lock.intent import Intent
from images.lock.lockfile import Artifact, Lock, store_name

# Its exact version, because its output is read.
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:list"
_RESOLVED = re.compile(
    r"\s+(?P<group>[^:\s]+):(?P<artifact>[^:\s]+):(?P<type>[^:\s]+):(?:(?P<classifier>[^:\s]+):)?(?P<version>[^:\s]+)"
    r":(?P<scope>compile|runtime):(?P<path>/.+?)(?: -- module .*)?"
)
_JAR = re.compile(r"(?P<name>.+?)-(?P<version>\d[^/]*)\.jar")


def resolve(intent: Intent, checksum: str, shipped: Sequence[str], say: Callable[[str], None]) -> Lock:
    """Resolve `intent` for a package that ships the files `shipped`; the lock answers `checksum`.

    Raises IntentError, ToolMissingError or ResolutionError.
    """
    jars = {match["name"]: match["version"] for path in shipped if (match := _JAR.fullmatch(path.rsplit("/", 1)[-1]))}
    jar = intent.word("beside", "jar")
    if jar not in jars:
        raise intent.error(f"{intent.word('beside', 'package')} ships no jar called {jar}, whose version is asked for")
    artifacts: dict[tuple[str, str, str], Artifact] = {}
    for name in intent.sets():
        intent.section({"packages"}, "sets", name)
        say(f"resolving {name} for {jar} {jars[jar]} (several hundred megabytes)")
        found = [
            item
            for item in _run(intent.words("sets", name, "packages"), jars[jar])
            if item.name.split(":")[1] not in jars
        ]
        say(f"{name}: {len(found)} jars")
        for item in found:
            known = artifacts.get(item.key)
            sets = tuple(sorted({name, *(known.sets if known else ())}))
            artifacts[item.key] = Artifact(**{**vars(item), "sets": sets})
    return Lock("maven", checksum, tuple(sorted(artifacts.values(), key=lambda item: item.key)))


def _run(packages: Sequence[str], version: str) -> list[Artifact]:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise ToolMissingError(
            "mvn is not on this machine, and resolving jars needs Maven. Install it with `apt-get install "
            "maven` (it brings Java along) and run the command again."
        )
    with tempfile.TemporaryDirectory(prefix="samebits-maven-") as name:
        folder = Path(name)
        (folder / "pom.xml").write_text(_pom(packages, version), encoding="utf-8")
        command = [mvn, "--batch-mode", "--quiet", "--strict-checksums", *_settings(folder)]
        command += ["--file", str(folder / "pom.xml"), f"-Dmaven.repo.local={folder / 'repository'}"]
        command += ["-Dstyle.color=never", "-DincludeScope=runtime", "-DoutputAbsoluteArtifactFilename=true"]
        command += [f"-DoutputFile={folder / 'resolved'}", _PLUGIN]
        result = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        if result.returncode != 0:
            # Maven's colours can stand before the word that the line begins with.
            lines = [line.partition("[ERROR] ")[2] for line in result.stdout.splitlines() if "[ERROR] " in line]
            said = re.sub(r"\b[a-z+]+://[^\s)]+", "the repository", lines[0] if lines else "it said nothing")
            raise ResolutionError(
                f"Maven found no answer: {said.rstrip('.')}. Check that this machine "
                "reaches the repository in Maven's settings, correct images/lock/maven.toml if need be, and "
                "run the command again."
            )
        return [_artifact(match, folder / "repository") for match in _read(folder / "resolved")]


def _read(listed: Path) -> list[re.Match[str]]:
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    found = [(line, _RESOLVED.fullmatch(line)) for line in lines if line.startswith(" ")]
    odd = [line.strip() for line, match in found if match is None]
    if odd or not found:
        raise ResolutionError(
            f"Maven's answer cannot be read: {odd[0] if odd else 'it lists nothing'}. Correct "
            "images/lock/maven.toml if that asks for nothing, and otherwise use a Maven from 3.6.3 to 3.9."
        )
    return [match for _, match in found if match is not None]


def _artifact(match: re.Match[str], repository: Path) -> Artifact:
    path = Path(match["path"])
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Artifact(
        name=f"{match['group']}:{match['artifact']}",
        version=match["version"],
        file=path.name,
        store=store_name(path.name),
        size=path.stat().st_size,
        sha256=digest,
        sets=(),
        path=path.relative_to(repository).as_posix(),
    )


def _pom(packages: Sequence[str], version: str) -> str:
    dependencies = []
    for package in packages:
        group, _, artifact = package.partition(":")
        parts = {"groupId": group, "artifactId": artifact, "version": version}
        inner = "".join(f"<{tag}>{escape(text)}</{tag}>" for tag, text in parts.items())
        dependencies.append(f"<dependency>{inner}</dependency>")
    own = "<modelVersion>4.0.0</modelVersion><groupId>samebits</groupId><artifactId>lock</artifactId>"
    own += "<version>1</version><packaging>pom</packaging>"
    return f"<project>{own}<dependencies>{''.join(dependencies)}</dependencies></project>"


def _settings(folder: Path) -> list[str]:
    """Point Maven at SAMEBITS_MAVEN_MIRROR, as the fetcher is; without it, Maven's own settings count."""
    mirror = os.environ.get("SAMEBITS_MAVEN_MIRROR", "").strip()
    if not mirror:
        return []
    path = folder / "settings.xml"
    text = f"<mirror><id>samebits</id><mirrorOf>*</mirrorOf><url>{escape(mirror)}</url></mirror>"
    path.write_text(f"<settings><mirrors>{text}</mirrors></settings>", encoding="utf-8")
    return ["--settings", str(path)]
