"""Real parts for the lock's tests: a signed apt archive and a folder of wheels, made small, served on 127.0.0.1."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import shutil
import subprocess
import tarfile
import threading
import zipfile
from email.utils import formatdate
from pathlib import Path

import pytest

LOCKS = Path(__file__).resolve().parents[3] / "images" / "lock"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without telling of each request."""

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def serve():
    """Give a function that serves a folder on 127.0.0.1 until the test ends, and says at which address."""
    servers = []

    def start(folder: Path) -> str:
        handler = functools.partial(QuietHandler, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class Key:
    """A throwaway signing key in a GnuPG home of its own; `ring` is its public half, as apt wants it."""

    def __init__(self, home: Path, name: str) -> None:
        self.home = home
        self.ring = home / "ring.gpg"
        home.mkdir(mode=0o700)
        self._gpg("--passphrase", "", "--quick-generate-key", f"{name} <{name}@example.invalid>", "ed25519", "sign")
        self.ring.write_bytes(self._gpg("--export"))

    def sign(self, text: str) -> bytes:
        """Sign a Release file the way an InRelease is."""
        return self._gpg("--clearsign", "--digest-algo", "SHA256", text=text)

    def _gpg(self, *arguments: str, text: str = "") -> bytes:
        command = [
            "gpg",
            "--homedir",
            str(self.home),
            "--batch",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            *arguments,
        ]
        return subprocess.run(command, input=text.encode(), check=True, capture_output=True).stdout


class Archive:
    """A Debian archive in a folder, with one suite a release of packages; `publish` writes its signed lists."""

    def __init__(self, folder: Path, key: Key) -> None:
        self.folder = folder
        self.key = key
        self._stanzas: dict[str, str] = {}

    def add(self, name: str, version: str, *, content: bytes = b"", **fields: str) -> str:
        """Put a package into the pool, holding /usr/bin/NAME; give its file name. Fields are control fields."""
        plain = version.split(":", 1)[-1]
        file = f"{name}_{plain}_all.deb"
        control = {
            "Package": name,
            "Version": version,
            "Architecture": "all",
            "Maintainer": "t <t@example.invalid>",
        }
        control |= {key.replace("_", "-"): value for key, value in fields.items()} | {"Description": "test"}
        text = "".join(f"{key}: {value}\n" for key, value in control.items())
        path = self.folder / "pool" / "main" / name[0] / file
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = {
            "debian-binary": b"2.0\n",
            "control.tar.gz": _tar({"./control": text.encode()}),
            "data.tar.gz": _tar({f"./usr/bin/{name}": content}),
        }
        path.write_bytes(b"!<arch>\n" + b"".join(_ar(member, data) for member, data in parts.items()))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        where = f"Filename: {path.relative_to(self.folder)}\nSize: {path.stat().st_size}\nSHA256: {digest}\n"
        self._stanzas[f"{name}={version}"] = text + where
        return file

    def drop(self, name: str, version: str) -> None:
        """Let the archive forget a version, as one does when a newer is out."""
        del self._stanzas[f"{name}={version}"]

    def publish(self, suite: str) -> None:
        """Write and sign the lists of `suite`."""
        lists = self.folder / "dists" / suite
        packages = "\n".join(self._stanzas.values()).encode()
        files = {
            "main/binary-amd64/Packages": packages,
            "main/binary-amd64/Packages.gz": gzip.compress(packages),
        }
        sums = []
        for file, content in files.items():
            (lists / file).parent.mkdir(parents=True, exist_ok=True)
            (lists / file).write_bytes(content)
            sums.append(f" {hashlib.sha256(content).hexdigest()} {len(content)} {file}\n")
        head = f"Suite: {suite}\nCodename: {suite}\nDate: {formatdate(usegmt=True)}\nArchitectures: amd64\n"
        release = f"{head}Components: main\nSHA256:\n{''.join(sums)}"
        (lists / "InRelease").write_bytes(self.key.sign(release))


def _ar(name: str, data: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n"
    return header.encode() + data + b"\n" * (len(data) % 2)


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """Give two throwaway keys: the archive's own, and one that nobody trusts."""
    for tool in ("gpg", "apt-get"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on this machine: apt's part of the lock cannot be tested")
    folder = tmp_path_factory.mktemp("keys")
    return Key(folder / "own", "archive"), Key(folder / "other", "stranger")


@pytest.fixture
def archive(tmp_path, keys, serve, monkeypatch):
    """Give an empty archive, which this machine is configured to use as both of Debian's."""
    own, _ = keys
    made = Archive(tmp_path / "archive", own)
    made.folder.mkdir()
    address = serve(made.folder)
    monkeypatch.setenv("SAMEBITS_DEBIAN_MIRROR", address)
    monkeypatch.setenv("SAMEBITS_DEBIAN_SECURITY_MIRROR", address)
    monkeypatch.setenv("SAMEBITS_DEBIAN_KEYRING", str(own.ring))
    return made


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """Give a function that puts a wheel into a folder, which this machine's pip is configured to use alone."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))

    def add(name: str, version: str, *requires: str, tag: str = "py3-none-any", note: str = "") -> Path:
        distribution = name.replace("-", "_")
        info = f"{distribution}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        metadata += "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
        path = folder / f"{distribution}-{version}-{tag}.whl"
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr(f"{info}/METADATA", metadata)
            packed.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
            packed.writestr(f"{info}/RECORD", note)
        return path

    return add


@pytest.fixture
def lock_dir(tmp_path):
    """Give a folder with this repository's own intents and locks, to be changed at will."""
    folder = tmp_path / "locks"
    folder.mkdir()
    for kind in ("debian", "python", "maven"):
        for ending in ("toml", "lock.json"):
            shutil.copy(LOCKS / f"{kind}.{ending}", folder)
    return folder
