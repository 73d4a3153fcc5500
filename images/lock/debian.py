"""Resolve debian.toml: apt's solver decides, each set on top of the one it stands on.

`make lock` needs apt for this, so Debian or Ubuntu. Where several answers would do, which one apt gives
may depend on its version.
"""

import os
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from images.debfile import read_member
from images.errors import CorruptError, ResolutionError
from images.lock.apt import KEYRING, AptRoot, Deb, Suite
from images.lock.bootstrap import nar_sha256
from images.lock.intent import Intent
from images.lock.lockfile import Artifact, Bootstrap, Lock, store_name
from images.mirrors.debian import bases

_TOP = {"architecture", "components", "archives", "sets", "bootstrap"}


def resolve(intent: Intent, keep: Lock | None, only: Collection[str], say: Callable[[str], None]) -> Lock:
    """Resolve `intent`; if `only` names any packages, all others of `keep` stay at their version.

    Raises IntentError, MirrorUnknownError, ToolMissingError or ResolutionError.
    """
    intent.section(_TOP)
    with tempfile.TemporaryDirectory(prefix="samebits-apt-") as folder:
        keyring = Path(os.environ.get("SAMEBITS_DEBIAN_KEYRING") or KEYRING)
        root = AptRoot(Path(folder, "root"), _suites(intent), intent.word("architecture"), keyring)
        say("reading and checking the archive's package lists")
        root.update()
        pins = {}
        if keep is not None and only:
            pins = {artifact.name: artifact.version for artifact in keep.artifacts if artifact.name not in only}
            root.pin(pins)
        members: dict[str, list[Deb]] = {}
        for name in intent.sets():
            members[name] = _solve_set(root, intent, name, members)
            say(f"{name}: {len(members[name])} packages")
        _require_pins(members, pins)
        bootstrap = None
        if intent.section(set(), "bootstrap"):
            say("hashing the bootstrap executable")
            bootstrap = _bootstrap(root, intent, members, Path(folder))
    return Lock("debian", intent.checksum, _artifacts(members), bootstrap)


def _suites(intent: Intent) -> list[Suite]:
    components = tuple(intent.words("components"))
    mirrors = bases(os.environ)
    found = []
    for archive in intent.section(set(mirrors), "archives"):
        base = mirrors[archive][0]
        found += [Suite(archive, base, suite, components) for suite in intent.words("archives", archive)]
    if not found or not components:
        raise intent.error("it names no suites or components to take packages from")
    return found


def _solve_set(root: AptRoot, intent: Intent, name: str, done: dict[str, list[Deb]]) -> list[Deb]:
    table = intent.section({"packages", "on", "dependencies"}, "sets", name)
    packages = intent.words("sets", name, "packages")
    if table.get("dependencies", True) is False:
        return root.alone(packages)
    below: list[Deb] = []
    if "on" in table:
        if table["on"] not in done:
            raise intent.error(f"set {name} stands on {table['on']!r}, which is not a set above it")
        below = _closure(intent, table["on"], done)
    root.installed(below)
    return root.solve(packages)


def _closure(intent: Intent, name: str, done: dict[str, list[Deb]]) -> list[Deb]:
    below = intent.section(set(), "sets", name).get("on")
    return (_closure(intent, below, done) if below else []) + done[name]


def _require_pins(members: dict[str, list[Deb]], pins: dict[str, str]) -> None:
    moved = sorted(
        f"{deb.name} {pins[deb.name]}"
        for debs in members.values()
        for deb in debs
        if deb.name in pins and pins[deb.name] != deb.version
    )
    if moved:
        raise ResolutionError(
            "These packages cannot be kept, because the archive no longer has the locked versions: "
            f"{', '.join(moved)}. Name them with --only too, or refresh the whole lock with `python3 -m "
            "images.lock refresh debian`."
        )


def _artifacts(members: dict[str, list[Deb]]) -> tuple[Artifact, ...]:
    sets: dict[Deb, list[str]] = {}
    for name, debs in members.items():
        for deb in debs:
            sets.setdefault(deb, []).append(name)
    artifacts = []
    for deb, names in sets.items():
        file = deb.path.rsplit("/", 1)[-1]
        artifacts.append(
            Artifact(
                name=deb.name,
                version=deb.version,
                file=file,
                store=store_name(file),
                size=deb.size,
                sha256=deb.sha256,
                sets=tuple(sorted(names)),
                path=deb.path,
                archive=deb.archive,
            )
        )
    return tuple(sorted(artifacts, key=lambda artifact: artifact.key))


def _bootstrap(root: AptRoot, intent: Intent, members: dict[str, list[Deb]], folder: Path) -> Bootstrap:
    intent.section({"package", "member", "store"}, "bootstrap")
    package, member = intent.word("bootstrap", "package"), intent.word("bootstrap", "member")
    store = intent.word("bootstrap", "store")
    for deb in (deb for debs in members.values() for deb in debs):
        if deb.name == package:
            try:
                content = read_member(root.download(deb, folder), member)
            except CorruptError as error:
                raise intent.error(f"the bootstrap cannot be taken from its package: {error}") from error
            return Bootstrap(store, deb.path.rsplit("/", 1)[-1], member, nar_sha256(store, content))
    raise intent.error(f"the bootstrap's package {package} is in no set")
