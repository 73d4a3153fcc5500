"""What the tests of images share: a layout read once, and the root of tools that layers are built in."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STORE_PATH = re.compile(rb"/nix/store/[0-9a-z]{32}-[\w.+-]+")
WINDOW = 1 << 20


@pytest.fixture(params=sorted({path.stem for path in (ROOT / "images/layers").glob("*.nix")} - {"default"}))
def any_layer(request):
    """The name of each layer in turn."""
    return request.param


@dataclass(frozen=True)
class Entry:
    """What a layer's archive says of one file."""

    name: str
    kind: bytes
    mode: int
    uid: int
    gid: int
    mtime: float
    link: str


@dataclass(frozen=True)
class Layer:
    """One layer's blob, read to its end."""

    name: str
    digest: str
    diff_id: str
    entries: tuple[Entry, ...]
    mentions: frozenset[str]

    @property
    def files(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self.entries}


class Watch:
    """A stream that remembers the hash of what went through it, and which store paths stood in it."""

    def __init__(self, stream) -> None:
        self.stream, self.hash, self.mentions, self.rest = stream, hashlib.sha256(), set(), b""

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.hash.update(data)
        window = self.rest + data
        self.mentions |= {match.decode() for match in STORE_PATH.findall(window)}
        self.rest = window[-300:]
        return data


@cache
def read_layer(name: str, blob: Path) -> Layer:
    """Reads a compressed layer; gigabytes, so once a session."""
    with blob.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with subprocess.Popen(["zstd", "-dc", str(blob)], stdout=subprocess.PIPE, bufsize=WINDOW) as zstd:
        watch = Watch(zstd.stdout)
        with tarfile.open(fileobj=watch, mode="r|", bufsize=WINDOW) as tar:
            entries = tuple(
                Entry(e.name, e.type, e.mode, e.uid, e.gid, e.mtime, e.linkname) for e in iter(tar.next, None)
            )
        while watch.read(WINDOW):
            pass
    assert zstd.returncode == 0
    return Layer(name, f"sha256:{digest}", f"sha256:{watch.hash.hexdigest()}", entries, frozenset(watch.mentions))


@dataclass(frozen=True)
class Layout:
    """An OCI image layout, parsed as the specification says."""

    path: Path

    def blob(self, digest: str) -> Path:
        return self.path / "blobs" / digest.replace(":", "/")

    def value(self, digest: str) -> dict:
        return json.loads(self.blob(digest).read_bytes())

    @property
    def index(self) -> dict:
        return json.loads((self.path / "index.json").read_bytes())

    @property
    def manifest(self) -> dict:
        return self.value(self.index["manifests"][0]["digest"])

    @property
    def configuration(self) -> dict:
        return self.value(self.manifest["config"]["digest"])

    @property
    def layers(self) -> list[Layer]:
        return [
            read_layer(layer["annotations"]["samebits.layer"], self.blob(layer["digest"]).resolve())
            for layer in self.manifest["layers"]
        ]


@pytest.fixture(scope="session")
def workspace(workspace_image):
    return Layout(workspace_image)


@pytest.fixture(scope="session")
def mlflow(mlflow_image):
    return Layout(mlflow_image)


@pytest.fixture(scope="session", params=["workspace-cpu", "mlflow"])
def layout(request, flake_output):
    """Each image's layout in turn."""
    return Layout(flake_output(request.param))


@pytest.fixture(scope="session")
def in_tools(flake_output):
    """Runs a command where layers are built: the tools' root, with a folder of the test as /build."""
    enter = flake_output("enter-workspace-cpu")
    listed = subprocess.run(["nix-store", "-q", "--references", enter], check=True, capture_output=True, text=True)
    [tools] = [path for path in listed.stdout.split() if path.endswith("-tools")]
    libraries = f"{tools}/usr/lib/x86_64-linux-gnu"
    start = [f"{libraries}/ld-linux-x86-64.so.2", "--library-path", libraries, f"{tools}/usr/bin/bwrap"]
    root = ["--unshare-user", "--uid", "0", "--gid", "0", "--ro-bind", tools, "/", "--proc", "/proc", "--dev", "/dev"]
    sets = {"PATH": "/usr/bin", "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": "1735689600", "layer": "tried"}
    given = [word for name, value in sets.items() for word in ("--setenv", name, value)]

    def run(build: Path, *command: str) -> subprocess.CompletedProcess[str]:
        places = ["--tmpfs", "/tmp", "--bind", str(build), "/build", "--chdir", "/build"]  # noqa: S108
        return subprocess.run(
            [*start, *root, *places, "--clearenv", *given, "--", *command], capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture(scope="session")
def newest():
    """The command line that runs a program of the newest Debian, which sees the store and may write in `folders`.

    Unpacked once a machine, into the user's cache.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = cache / "samebits/newest"
    if not root.is_dir():
        subprocess.run([sys.executable, ROOT / "tests/newest.py", root], check=True)
    enter = ["bwrap", "--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL", "--die-with-parent"]
    # The host's own /proc: with a partly covered one the kernel refuses Nix's sandbox a fresh one.
    places = ["--bind", root, "/", "--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc", "--tmpfs", "/run"]
    shown = ["--tmpfs", "/tmp", "--tmpfs", "/var/tmp", "--ro-bind", "/nix", "/nix"]  # noqa: S108

    def command(*words: str, folders: list[Path], environment: dict[str, str] | None = None) -> list[str]:
        sets = {"PATH": "/usr/bin:/usr/sbin", "HOME": str(folders[0]), "LC_ALL": "C.UTF-8"} | (environment or {})
        given = [word for name, value in sets.items() for word in ("--setenv", name, value)]
        bound = [word for folder in folders for word in ("--bind", folder, folder)]
        return [*map(str, [*enter, *places, *shown, *bound, "--clearenv", *given, "--", *words])]

    return command


class Checkout:
    """A repository of its own with the files that git knows here, as they are now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        known = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in known.split("\0"):
            if name and (ROOT / name).exists():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, path / name)
        self.git("init", "-q")
        self.git("add", ".")
        self.git("-c", "user.name=T", "-c", "user.email=t@example.invalid", "commit", "-qm", "all")

    def git(self, *words: str) -> str:
        return subprocess.run(["git", *words], cwd=self.path, check=True, capture_output=True, text=True).stdout

    def nix(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["nix", *words], cwd=self.path, capture_output=True, text=True, check=False)

    def recipes(self) -> dict[str, str]:
        """Each package's derivation: the same one gives the same output, with nothing to build."""
        evaluated = self.nix(
            "eval", "--json", ".#packages.x86_64-linux", "--apply", "builtins.mapAttrs (_: p: p.drvPath)"
        )
        assert evaluated.returncode == 0, evaluated.stderr
        # What enters an image also knows where it came from, so it follows every commit.
        return {name: path for name, path in json.loads(evaluated.stdout).items() if not name.startswith("enter-")}

    def append(self, name: str, text: str) -> None:
        with (self.path / name).open("a") as file:
            file.write(text)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.path / name
        text = path.read_text()
        assert text.count(old) == 1, f"{name} no longer holds {old!r} once"
        path.write_text(text.replace(old, new))


@pytest.fixture(scope="session")
def make_checkout(tmp_path_factory):
    """Makes repositories with this one's files, to be changed at will."""
    return lambda: Checkout(tmp_path_factory.mktemp("checkout"))
