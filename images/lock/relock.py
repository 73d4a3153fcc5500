"""Refreshing and checking the locks of one folder: what resolves which intent, and what a lock must answer.

A refresh writes only when everything it was asked for is resolved: a failure leaves all locks as they were.
"""

import re
import tempfile
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

from images.errors import IntentError, LockError, LockStaleError, SamebitsImageError
from images.lock import debian, intent, lockfile, maven, python, sdist
from images.lock.intent import Intent
from images.lock.lockfile import Artifact, Lock
from images.lock.uv import Uv

Say = Callable[[str], None]

# In the order to resolve them: the jars go beside a package of the Python lock.
KINDS = ("debian", "python", "maven")


def lock_path(folder: Path, kind: str) -> Path:
    """Say where the lock of a kind lies."""
    return folder / f"{kind}.lock.json"


def refresh(folder: Path, kinds: Collection[str], only: Collection[str], say: Say) -> dict[str, Lock]:
    """Resolve the intents of `kinds` (all, if empty) in `folder`, write their locks, and give these.

    With `only`, just these artifacts may change, and just the locks that know them are refreshed. Raises
    SamebitsImageErrors, having written nothing.
    """
    intents = {kind: intent.read(folder / f"{kind}.toml") for kind in KINDS}
    chosen = [kind for kind in KINDS if kind in kinds or not kinds]
    old: dict[str, Lock] = {}
    names: dict[str, set[str]] = {}
    if only:
        old = {kind: lockfile.load(lock_path(folder, kind)) for kind in chosen}
        names = _named(intents, old, only)
        chosen = [kind for kind in chosen if names[kind]]
    new: dict[str, Lock] = {}
    for kind in chosen:
        tell = partial(_tell, say, kind)
        if kind == "maven":
            beside = new.get("python") or lockfile.load(lock_path(folder, "python"))
            new[kind] = _resolve_maven(intents, beside, tell)
        else:
            resolver = debian.resolve if kind == "debian" else python.resolve
            new[kind] = resolver(intents[kind], old.get(kind), names.get(kind, set()), tell)
    lockfile.check_together({**_present(folder), **new}.values())
    for kind, lock in new.items():
        try:
            lockfile.write(lock_path(folder, kind), lock)
        except OSError as error:
            raise LockError(
                f"{lock_path(folder, kind)} could not be written ({error.strerror}); it is as it was. Make "
                "room, or the folder writable, and run the command again."
            ) from error
    return new


def check(folder: Path) -> dict[str, Lock]:
    """Check the locks in `folder` completely, and give them.

    Raises one error that speaks of everything that is wrong; each complaint names the command that mends it.
    """
    found: dict[str, Lock] = {}
    complaints: list[SamebitsImageError] = []
    for kind in KINDS:
        path = lock_path(folder, kind)
        try:
            found[kind] = _checked(folder, path, kind, found)
        except SamebitsImageError as error:
            complaints.append(error)
    try:
        lockfile.check_together(found.values())
    except LockError as error:
        complaints.append(error)
    if complaints:
        raise complaints[0] if len(complaints) == 1 else LockError(" ".join(map(str, complaints)))
    return found


def _checked(folder: Path, path: Path, kind: str, before: Mapping[str, Lock]) -> Lock:
    wanted = intent.read(folder / f"{kind}.toml")
    lock = lockfile.load(path)
    if lock.kind != kind:
        raise LockError(f"{path} is a {lock.kind} lock by its content. Restore it with git.")
    if lockfile.render(lock) != path.read_text(encoding="utf-8"):
        raise LockError(
            f"{path} is not written as a lock is (order, indentation, final newline), so that its "
            "differences could not be read. Somebody edited it: make it anew with `python3 -m images.lock "
            f"refresh {kind}`."
        )
    if kind != "maven":
        expected = wanted.checksum
    elif "python" in before:
        expected = _standing_checksum(wanted, _beside(wanted, before["python"]))
    else:
        return lock  # the Python lock, which it stands on, has its own complaint
    if lock.intent != expected:
        also = ", or the Python package that it stands beside has," if kind == "maven" else ""
        raise LockStaleError(
            f"The {kind} lock is stale: {wanted.path} has changed{also} since it was resolved. Refresh it "
            f"with `python3 -m images.lock refresh {kind}` and commit both files together."
        )
    return lock


def _tell(say: Say, kind: str, text: str) -> None:
    say(f"{kind}: {text}")


def _resolve_maven(intents: Mapping[str, Intent], python_lock: Lock, say: Say) -> Lock:
    wanted, target = intents["maven"], intents["python"]
    package = _beside(wanted, python_lock)
    say(f"reading which jars {package.file} ships")
    with tempfile.TemporaryDirectory(prefix="samebits-uv-") as temporary:
        uv = Uv(Path(temporary), target.word("python"), target.word("platform"), [package.name])
        shipped = sdist.listing(uv, package)
    return maven.resolve(wanted, _standing_checksum(wanted, package), shipped, say)


def _beside(wanted: Intent, python_lock: Lock) -> Artifact:
    wanted.section({"beside", "sets"})
    wanted.section({"package", "jar"}, "beside")
    name = wanted.word("beside", "package")
    for artifact in python_lock.artifacts:
        if artifact.name == name and artifact.file.endswith(".tar.gz"):
            return artifact
    raise wanted.error(f"the Python lock holds no source distribution of {name}, beside which the jars go")


def _standing_checksum(wanted: Intent, package: Artifact) -> str:
    """Give the checksum of an intent that stands on a locked package too: another package, another answer."""
    return intent.checksum({**wanted.values, "beside": {**wanted.values["beside"], "sha256": package.sha256}})


def _present(folder: Path) -> dict[str, Lock]:
    """Give the locks there are; one that cannot be read is about to be replaced, or `check` tells of it."""
    found = {}
    for kind in KINDS:
        try:
            found[kind] = lockfile.load(lock_path(folder, kind))
        except LockError:
            continue
    return found


def _named(intents: Mapping[str, Intent], locks: Mapping[str, Lock], only: Collection[str]) -> dict[str, set[str]]:
    """Say which of the names in `only` each kind's lock or intent knows, as it spells them.

    Raises IntentError for a name that none knows.
    """
    found: dict[str, set[str]] = {}
    unknown = set(only)
    for kind, lock in locks.items():
        wanted = intents[kind]
        words = [word for name in wanted.sets() for word in wanted.words("sets", name, "packages")]
        known = {artifact.name for artifact in lock.artifacts}
        known |= {_spelled(kind, re.split(r"[\[<>=!~; ]", word, maxsplit=1)[0]) for word in words}
        found[kind] = {_spelled(kind, name) for name in only} & known
        unknown -= {name for name in only if _spelled(kind, name) in known}
    if unknown:
        raise IntentError(
            f"Neither an intent nor a lock ({', '.join(locks)}) knows {', '.join(sorted(unknown))}. Correct "
            "the name, or add it to a set in images/lock/*.toml first."
        )
    return found


def _spelled(kind: str, name: str) -> str:
    """Spell a name as the lock of this kind does: Python's ignore case and kinds of dashes."""
    return re.sub(r"[-_.]+", "-", name).lower() if kind == "python" else name
