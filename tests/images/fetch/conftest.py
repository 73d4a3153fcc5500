"""Real parts for the fetcher's tests: mirrors on 127.0.0.1, a Nix store of its own, locks of small files."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from images.lock import lockfile
from images.nixstore import NixStore, flat_path

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclasses.dataclass
class Request:
    """What a server was asked for."""

    path: str
    headers: dict[str, str]


@dataclasses.dataclass
class Misbehaviour:
    """How the server treats one request: a status instead of the file, other bytes, or an end before the end."""

    status: int = 0
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: bytes | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    ignore_range: bool = False


class Mirror(ThreadingHTTPServer):
    """A server of `files` (path to bytes) that counts connections and remembers requests.

    `plan[path]` holds misbehaviours for the next requests of a path, used up one by one; `always[path]` stays.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.plan: dict[str, list[Misbehaviour]] = {}
        self.always: dict[str, Misbehaviour] = {}
        self.requests: list[Request] = []
        self.connections = 0
        self.released = threading.Event()
        self.pace: float | None = None

    @property
    def url(self) -> str:
        """The address, without a final slash."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def asked(self, path: str) -> list[Request]:
        """Give the requests for one path."""
        return [request for request in self.requests if request.path == path]

    def process_request(self, request, client_address):
        """Count the connection, then serve it."""
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request, client_address):
        """Say nothing: clients that hang up are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Mirror

    def do_GET(self) -> None:
        """Serve a file, or misbehave as planned."""
        mirror = self.server
        path = unquote(self.path.split("?")[0])
        mirror.requests.append(Request(path, dict(self.headers)))
        planned = mirror.plan.get(path) or []
        bad = planned.pop(0) if planned else mirror.always.get(path, Misbehaviour())
        if bad.status:
            self._send(bad.status, bad.headers, bad.body or b"no\n")
            return
        if path not in mirror.files and bad.body is None:
            self._send(404, {}, b"nothing here\n")
            return
        content = mirror.files[path] if bad.body is None else bad.body
        start = 0
        ranged = self.headers.get("Range", "")
        if ranged and not bad.ignore_range:
            start = int(ranged.removeprefix("bytes=").split("-")[0])
            if start >= len(content):
                self._send(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
                return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        for name, value in bad.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._body(content[start:], bad)

    def _body(self, body: bytes, bad: Misbehaviour) -> None:
        limit = bad.cut_after if bad.cut_after is not None else bad.stall_after
        if limit is None:
            for position in range(0, len(body), 65536):
                self.wfile.write(body[position : position + 65536])
                if self.server.pace:
                    time.sleep(self.server.pace)
            return
        self.wfile.write(body[:limit])
        self.wfile.flush()
        if bad.stall_after is not None:
            self.server.released.wait(20)
        self.close_connection = True

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def start_mirror():
    """Give a function that starts another server; all are stopped at the end."""
    running: list[Mirror] = []

    def start() -> Mirror:
        mirror = Mirror()
        threading.Thread(target=mirror.serve_forever, args=(0.02,), daemon=True).start()
        running.append(mirror)
        return mirror

    yield start
    for mirror in running:
        mirror.released.set()
        mirror.shutdown()
        mirror.server_close()


@pytest.fixture
def mirror(start_mirror) -> Mirror:
    """Start one server."""
    return start_mirror()


@pytest.fixture
def misbehave():
    """Give the class of planned misbehaviours, which a test file cannot import."""
    return Misbehaviour


def artifact(
    file: str, content: bytes, *, name: str = "", sets: tuple[str, ...] = ("base",), **fields
) -> lockfile.Artifact:
    """Pin `content` as a file of a lock."""
    return lockfile.Artifact(
        name=name or file.partition("_")[0].partition("-")[0],
        version=fields.pop("version", "1.0"),
        file=file,
        store=lockfile.store_name(file),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        sets=sets,
        **fields,
    )


@pytest.fixture
def pin():
    """Give the function that pins bytes as an artifact."""
    return artifact


def make_deb(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """Build a .deb of the given files and symbolic links: an ar archive with an xz-compressed data.tar."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:xz") as archive:
        for path, target in (links or {}).items():
            link = tarfile.TarInfo(f"./{path}")
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        for path, content in files.items():
            member = tarfile.TarInfo(f"./{path}")
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    deb = b"!<arch>\n"
    for name, content in (
        ("debian-binary", b"2.0\n"),
        ("control.tar", b"odd"),
        ("data.tar.xz", tar.getvalue()),
    ):
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
        deb += header.encode() + content + b"\n" * (len(content) % 2)
    return deb


@pytest.fixture
def deb():
    """Give the function that builds a .deb."""
    return make_deb


@dataclasses.dataclass
class World:
    """A machine for one test: its home, its store, its mirrors, and the locks of what it should fetch."""

    folder: Path
    mirror: Mirror
    environ: dict[str, str]
    locks: dict[str, list[lockfile.Artifact]]
    contents: dict[str, bytes]
    bootstrap: lockfile.Bootstrap | None = None

    @property
    def partial(self) -> Path:
        """Where partial downloads lie."""
        return self.folder / "cache/samebits/partial"

    @property
    def leftovers(self) -> list[str]:
        """What is in that folder, apart from the file that says who uses it."""
        return sorted(path.name for path in self.partial.glob("*") if path.name != ".lock")

    def debian(self, file: str, content: bytes, *, serve: bool = True, **fields) -> lockfile.Artifact:
        """Pin a .deb, and put it on the mirror."""
        name = file.partition("_")[0]
        path = f"pool/main/{name[0]}/{name}/{file}"
        pinned = artifact(file, content, name=name, archive="debian", path=path, **fields)
        if serve:
            self.mirror.files[f"/debian/{path}"] = content
        return self._pin("debian", pinned, content)

    def python(self, file: str, content: bytes, *, serve: bool = True, digest: str = "", **fields) -> lockfile.Artifact:
        """Pin a wheel or sdist, and list it on the index (with a wrong sha256 if `digest` says one)."""
        name = file.partition("-")[0]
        pinned = artifact(file, content, name=name, **fields)
        if serve:
            self.mirror.files[f"/files/{file}"] = content
            page = self.mirror.files.get(f"/simple/{name}/", b"")
            page += f'<a href="../../files/{file}#sha256={digest or pinned.sha256}">{file}</a>\n'.encode()
            self.mirror.files[f"/simple/{name}/"] = page
        return self._pin("python", pinned, content)

    def maven(self, file: str, content: bytes, *, serve: bool = True, **fields) -> lockfile.Artifact:
        """Pin a jar, and put it into the repository."""
        name = file.partition("-")[0]
        path = f"org/example/{name}/1.0/{file}"
        pinned = artifact(file, content, name=f"org.example:{name}", path=path, **fields)
        if serve:
            self.mirror.files[f"/maven2/{path}"] = content
        return self._pin("maven", pinned, content)

    def _pin(self, kind: str, pinned: lockfile.Artifact, content: bytes) -> lockfile.Artifact:
        self.locks[kind].append(pinned)
        self.contents[pinned.file] = content
        return pinned

    def write_locks(self) -> Path:
        """Write the locks; give their folder."""
        folder = self.folder / "lock"
        folder.mkdir(exist_ok=True)
        for kind, artifacts in self.locks.items():
            ordered = tuple(sorted(artifacts, key=lambda item: item.key))
            bootstrap = self.bootstrap if kind == "debian" else None
            lockfile.write(folder / f"{kind}.lock.json", lockfile.Lock(kind, "0" * 64, ordered, bootstrap))
        return folder

    def command(self, *arguments: str, python: tuple[str, ...] = ()) -> list[str]:
        """Give the command line of a fetch of these locks."""
        locks = str(self.write_locks())
        return [
            sys.executable,
            *python,
            "-m",
            "images.fetch",
            "--lock-dir",
            locks,
            "--timeout",
            "5",
            *arguments,
        ]

    def fetch(self, *arguments: str, python: tuple[str, ...] = (), **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the fetch to its end, or for a minute."""
        return subprocess.run(
            self.command(*arguments, python=python),
            cwd=REPOSITORY,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def start(self, *arguments: str, **options) -> subprocess.Popen[str]:
        """Start a fetch, and go on while it runs."""
        pipe = subprocess.PIPE
        command = self.command(*arguments)
        return subprocess.Popen(
            command, cwd=REPOSITORY, env=self.environ, stdout=pipe, stderr=pipe, text=True, **options
        )

    def stored(self) -> dict[str, bytes | None]:
        """Give what the store holds for each pinned file: its bytes, or None when it is not valid there."""
        paths = {item.file: flat_path(item.store, item.sha256) for some in self.locks.values() for item in some}
        missing = self.missing(*paths.values())
        return {
            file: None if path in missing else Path(str(self.folder / "root") + path).read_bytes()
            for file, path in paths.items()
        }

    def missing(self, *paths: str) -> set[str]:
        """Give those of some store paths that are not valid."""
        done = subprocess.run(
            ["nix-store", "--check-validity", "--print-invalid", *paths],
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return set(done.stdout.split())

    def everything_in_store(self) -> set[str]:
        """Give the base names in the store's folder, valid or not, without locks and links."""
        store = self.folder / "root/nix/store"
        names = {path.name for path in store.iterdir()} if store.exists() else set()
        return {name for name in names if not name.startswith(".") and not name.endswith(".lock")}


@pytest.fixture
def world(tmp_path: Path, mirror: Mirror) -> World:
    """Give a machine with an empty store and with all mirrors on one local server."""
    return make_world(tmp_path, mirror)


@pytest.fixture
def open_world(mirror: Mirror):
    """Give the same, in a folder that other users of this machine can read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield make_world(Path(folder), mirror)


def make_world(tmp_path: Path, mirror: Mirror) -> World:
    """Lay out a machine in a folder; skip the test where there is no Nix."""
    if shutil.which("nix-store") is None:
        pytest.skip("needs nix-store on PATH (apt-get install nix-bin)")
    (tmp_path / "apt.conf").write_text('Dir::Etc::Parts "/dev/null";\nDir::Etc::Main "/dev/null";\n')
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "NIX_REMOTE": f"local?root={tmp_path / 'root'}",
        "NIX_CONFIG": "build-users-group =",  # so that root of a user namespace can own a store
        "APT_CONFIG": str(tmp_path / "apt.conf"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"{mirror.url}/simple",
        "SAMEBITS_DEBIAN_MIRROR": f"{mirror.url}/debian",
        "SAMEBITS_MAVEN_MIRROR": f"{mirror.url}/maven2",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    (tmp_path / "home").mkdir()
    return World(tmp_path, mirror, environ, {"debian": [], "maven": [], "python": []}, {})


@pytest.fixture
def local_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NixStore:
    """Give an empty store of this test alone, for calls in this process."""
    if shutil.which("nix-store") is None:
        pytest.skip("needs nix-store on PATH (apt-get install nix-bin)")
    monkeypatch.setenv("NIX_REMOTE", f"local?root={tmp_path / 'root'}")
    return NixStore()
