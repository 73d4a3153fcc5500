"""apt in a private root: the host's solver and signature checks, on lists and a package database of our own.

Of the host's apt only how to reach the network is read (proxies, certificates, logins), and nothing is
written. Needs Debian's or Ubuntu's apt.
"""

import os
import re
import shutil
import subprocess
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from images.errors import ResolutionError, ToolMissingError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_MOST_COMPLAINTS = 4
_URI_LINE = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})")
# How the host reaches the network. Anything else of its configuration may run hooks or loosen checks.
_HOST_OPTIONS = re.compile(r"(?:Acquire::(?:http|https|Retries|ForceIPv4|ForceIPv6)\b.*|Acquire::Proxy.*)")


@dataclass(frozen=True)
class Suite:
    """A suite to take packages from: the base of its archive, its name and its components."""

    archive: str
    base: str
    name: str
    components: tuple[str, ...]


@dataclass(frozen=True)
class Deb:
    """A package apt chose; `path` is relative to the base of `archive`, `size` in bytes."""

    name: str
    version: str
    architecture: str
    archive: str
    path: str
    size: int
    sha256: str


class AptRoot:
    """A private apt under `root`, an empty folder, which the caller owns and removes.

    apt itself verifies the lists against `keyring`; a wrong or missing signature is an error, never a
    warning.
    """

    def __init__(self, root: Path, suites: Sequence[Suite], architecture: str, keyring: Path = KEYRING) -> None:
        for tool in ("apt-get", "apt-cache", "apt-config"):
            if shutil.which(tool) is None:
                raise ToolMissingError(
                    f"{tool} is not on this machine, and resolving Debian packages needs apt's own solver. "
                    "Run this on Debian or Ubuntu (a container will do), where the package `apt` provides "
                    "it."
                )
        if not keyring.is_file():
            raise ToolMissingError(
                f"There is no keyring at {keyring} to check Debian's signatures with. Install it with "
                "`apt-get install debian-archive-keyring`, or set SAMEBITS_DEBIAN_KEYRING to the keyring of "
                "your archive."
            )
        self._root = root
        self._suites = list(suites)
        self._keyring = keyring
        for folder in ("etc/apt.conf.d", "etc/preferences.d", "etc/sources.list.d", "etc/trusted.gpg.d"):
            (root / folder).mkdir(parents=True)
        for folder in ("state/lists/partial", "cache/archives/partial", "log"):
            (root / folder).mkdir(parents=True)
        (root / "status").touch()
        lines = [
            f"deb [arch={architecture} signed-by={keyring}] {suite.base} {suite.name} {' '.join(suite.components)}\n"
            for suite in self._suites
        ]
        (root / "etc/sources.list").write_text("".join(lines), encoding="utf-8")
        (root / "apt.conf").write_text(self._host_options() + self._options(architecture), encoding="utf-8")

    def update(self) -> None:
        """Fetch the lists and check their signatures. Raises ResolutionError when that fails."""
        result = self._apt("apt-get", "update", "--error-on=any", check=False)
        output = result.stdout + result.stderr
        if result.returncode == 0:
            return
        reasons = _complaints(output, self._suites, ("E:", "W:"))
        if any(word in output for word in ("NO_PUBKEY", "not signed", "BADSIG", "EXPKEYSIG", "signature", "sqv")):
            raise ResolutionError(
                f"apt does not accept the signatures of the Debian archive with the keys in {self._keyring}: "
                f"{reasons}. If the keyring is older than the release, install a newer "
                "debian-archive-keyring; otherwise the mirror is not to be trusted, and another one has to "
                "be named."
            )
        raise ResolutionError(
            f"apt cannot read the package lists of {', '.join(suite.name for suite in self._suites)}: "
            f"{reasons}. Check that the mirror in this machine's apt sources (or "
            "SAMEBITS_DEBIAN_MIRROR and SAMEBITS_DEBIAN_SECURITY_MIRROR) answers and holds these suites, "
            "then run the command again."
        )

    def pin(self, versions: dict[str, str]) -> None:
        """Let the solver take only these versions of these packages from now on; {} lifts all pins."""
        stanzas = [f"Package: {name}\nPin: version {text}\nPin-Priority: 1001\n" for name, text in versions.items()]
        (self._root / "etc/preferences").write_text("\n".join(stanzas), encoding="utf-8")

    def solve(self, packages: Sequence[str]) -> list[Deb]:
        """Give what apt would install for `packages` (names or apt-patterns) on what is installed so far."""
        return self._debs(self._apt("apt-get", "install", "--yes", "--no-remove", "--print-uris", *packages).stdout)

    def alone(self, packages: Sequence[str]) -> list[Deb]:
        """Give exactly `packages`, without what they need."""
        return self._debs(self._apt("apt-get", "download", "--print-uris", *packages).stdout)

    def installed(self, debs: Sequence[Deb]) -> None:
        """Make the private package database say that exactly `debs` are installed."""
        stanzas = []
        if debs:
            names = [f"{deb.name}:{deb.architecture.replace('all', 'amd64')}={deb.version}" for deb in debs]
            shown = self._apt("apt-cache", "show", *names).stdout
            for stanza in dict.fromkeys(part.strip() for part in shown.split("\n\n") if part.strip()):
                head, rest = stanza.split("\n", 1)
                stanzas.append(f"{head}\nStatus: install ok installed\n{rest}\n")
        (self._root / "status").write_text("\n".join(stanzas), encoding="utf-8")

    def download(self, deb: Deb, folder: Path) -> Path:
        """Fetch one package into `folder`, checked by apt, and give its path."""
        self._apt("apt-get", "download", f"{deb.name}={deb.version}", cwd=folder)
        (found,) = folder.glob("*.deb")
        return found

    def _debs(self, output: str) -> list[Deb]:
        found = []
        for line in output.splitlines():
            if not line.startswith("'"):
                continue
            match = _URI_LINE.match(line)
            if not match:
                raise ResolutionError(
                    f"apt printed no SHA256 for a package ({line.split(' ')[1:2]}): the mirror's lists hold "
                    "weaker hashes only. Name a mirror with Debian's own lists in this machine's apt "
                    "sources."
                )
            # apt writes its own file name as NAME_VERSION_ARCHITECTURE.deb with an epoch's colon as %3a.
            name, version, architecture = urllib.parse.unquote(match["file"]).removesuffix(".deb").split("_")
            archive, path = self._place(match["uri"])
            found.append(Deb(name, version, architecture, archive, path, int(match["size"]), match["sha256"]))
        return found

    def _place(self, uri: str) -> tuple[str, str]:
        for suite in sorted(self._suites, key=lambda item: -len(item.base)):
            base = suite.base.removeprefix("file://") if suite.base.startswith("file:///") else suite.base
            plain = uri.removeprefix("file:") if base.startswith("/") else uri
            if plain.startswith(base + "/"):
                return suite.archive, urllib.parse.unquote(plain[len(base) + 1 :])
        raise ResolutionError(
            "apt chose a package from an archive that is none of the configured ones. Name a plain mirror "
            "with SAMEBITS_DEBIAN_MIRROR and SAMEBITS_DEBIAN_SECURITY_MIRROR and run the command again."
        )

    def _apt(
        self, program: str, *arguments: str, check: bool = True, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "APT_CONFIG": str(self._root / "apt.conf"), "LC_ALL": "C.UTF-8"}
        result = subprocess.run(
            [program, *arguments], env=environment, cwd=cwd, check=False, capture_output=True, text=True
        )
        if check and result.returncode != 0:
            # The solver's reasons are the indented lines.
            reasons = _complaints(result.stdout + result.stderr, self._suites, ("E:", "  "))
            raise ResolutionError(
                f"apt found no answer ({program} {arguments[0]}): "
                f"{reasons}. Correct the package names in "
                "images/lock/debian.toml, or refresh without --only, and run the command again."
            )
        return result

    def _options(self, architecture: str) -> str:
        folder = self._root
        options = {
            "Dir::Etc": folder / "etc",
            "Dir::Etc::netrc": "/etc/apt/auth.conf",
            "Dir::Etc::netrcparts": "/etc/apt/auth.conf.d",
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Log": folder / "log",
            "APT::Architecture": architecture,
            "APT::Install-Recommends": "false",
            "APT::Install-Suggests": "false",
            "APT::Get::Allow-Downgrades": "true",
            "APT::Sandbox::User": "root",  # the private root is the caller's own; _apt may not enter it
            "Acquire::Languages": "none",
            "Acquire::ForceHash": "sha256",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowWeakRepositories": "false",
        }
        lines = "".join(f'{key} "{value}";\n' for key, value in options.items())
        return lines + f'#clear APT::Architectures;\nAPT::Architectures {{ "{architecture}"; }};\n'

    @staticmethod
    def _host_options() -> str:
        dump = subprocess.run(["apt-config", "dump"], check=False, capture_output=True, text=True)
        return "".join(f"{line}\n" for line in dump.stdout.splitlines() if _HOST_OPTIONS.match(line))


def _complaints(output: str, suites: Sequence[Suite], telling: tuple[str, ...]) -> str:
    lines = [line.strip() for line in output.splitlines() if line.startswith(telling)]
    told = [line for line in lines if not line.startswith("E: Some index files failed")]
    text = "; ".join(dict.fromkeys(told[:_MOST_COMPLAINTS]))
    # Addresses of mirrors stay out of messages: people paste them into issues.
    text = re.sub(r"\b[a-z+]+:/\S+", "the mirror", text)
    for host in {urllib.parse.urlsplit(suite.base).hostname for suite in suites} - {None}:
        text = re.sub(rf"{re.escape(str(host))}(?::\d+)?", "the mirror", text)
    return re.sub(r"\s*(?:\[IP: [^]]*\]|\(the mirror\))", "", text).rstrip(".") or "it said nothing"
