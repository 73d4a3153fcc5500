"""Resolve python.toml: uv decides, sets that stand on each other together.

`make lock` needs uv for this.
"""

import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from images.errors import ResolutionError
from images.lock.intent import Intent
from images.lock.lockfile import Artifact, Lock, store_name
from images.lock.uv import Release, Uv
from images.lock.wheels import Target

_TOP = {"python", "platform", "provided", "sources", "sets"}


def resolve(intent: Intent, keep: Lock | None, only: Collection[str], say: Callable[[str], None]) -> Lock:
    """Resolve `intent`; if `only` names any packages, all others of `keep` stay as they are.

    Raises IntentError, ToolMissingError or ResolutionError.
    """
    intent.section(_TOP)
    python, platform = intent.word("python"), intent.word("platform")
    target = Target.parse(python, platform)
    if target is None:
        raise intent.error(f"{python!r} and {platform!r} are not like '3.13' and 'x86_64-manylinux_2_40'")
    kept = [artifact for artifact in keep.artifacts if artifact.name not in only] if keep and only else []
    with tempfile.TemporaryDirectory(prefix="samebits-uv-") as folder:
        uv = Uv(Path(folder), python, platform, intent.words("sources"))
        artifacts: dict[tuple[str, str, str], Artifact] = {}
        for group in _groups(intent):
            for name, releases in _solve_group(uv, intent, group, kept, say):
                say(f"{name}: {len(releases)} packages")
                for release in releases:
                    _add(artifacts, name, _kept(release, kept) or _choose(uv, target, release))
    return Lock("python", intent.checksum, tuple(sorted(artifacts.values(), key=lambda item: item.key)))


def _groups(intent: Intent) -> list[list[str]]:
    """Give the chains of sets that stand on each other, lowest set first."""
    groups: list[list[str]] = []
    for name in intent.sets():
        below = intent.section({"packages", "on", "dependencies"}, "sets", name).get("on")
        if below is None:
            groups.append([name])
            continue
        chains = [group for group in groups if group[-1] == below]
        if not chains:
            raise intent.error(f"set {name} stands on {below!r}, which is not the topmost of the sets above it")
        chains[0].append(name)
    return groups


def _solve_group(
    uv: Uv, intent: Intent, group: Sequence[str], kept: Sequence[Artifact], say: Callable[[str], None]
) -> list[tuple[str, list[Release]]]:
    provided = intent.words("provided")
    held = [f"{artifact.name}=={artifact.version}" for artifact in kept if set(artifact.sets) & set(group)]
    wanted = {name: intent.words("sets", name, "packages") for name in group}
    if intent.section(set(), "sets", group[0]).get("dependencies", True) is False:
        return [(name, uv.resolve(wanted[name], held, dependencies=False)) for name in group]
    say(f"resolving {' and '.join(group)} (the first time takes minutes)")
    everything = [requirement for name in group for requirement in wanted[name]]
    # First with what Debian provides, so that every version fits it; then without, so that it and what only
    # it needs (another 3 GB with PyPI's torch) stay out of the lock.
    agreed = [f"{item.name}=={item.version}" for item in uv.resolve([*everything, *provided], held)]
    excluded = [item.split("=")[0] for item in provided]
    solved, requirements = [], []
    seen: set[str] = set()
    for name in group:
        requirements += wanted[name]
        releases = [item for item in uv.resolve(requirements, agreed, excluded) if item.name not in seen]
        seen |= {item.name for item in releases}
        solved.append((name, releases))
    return solved


def _kept(release: Release, kept: Sequence[Artifact]) -> Artifact | None:
    same = (item for item in kept if item.name == release.name and item.version == release.version)
    return next(same, None)


def _choose(uv: Uv, target: Target, release: Release) -> Artifact:
    files = {file.name: file for file in release.files}
    name = target.best(files)
    if name is None:
        raise ResolutionError(
            f"No file of {release.name} {release.version} fits the target, neither a wheel nor a source "
            "distribution. Ask for another version of it in images/lock/python.toml and run the command "
            "again."
        )
    file = files[name]
    if file.sha256 is None:
        raise ResolutionError(
            f"The package index gives no sha256 for {name}. Use an index that does (its simple API has to "
            "name hashes) and run the command again."
        )
    return Artifact(
        name=release.name,
        version=release.version,
        file=name,
        store=store_name(name),
        size=uv.size(file),
        sha256=file.sha256,
        sets=(),
    )


def _add(artifacts: dict[tuple[str, str, str], Artifact], name: str, artifact: Artifact) -> None:
    known = artifacts.get(artifact.key)
    sets = {name, *(known.sets if known else ())}
    artifacts[artifact.key] = Artifact(**{**vars(artifact), "sets": tuple(sorted(sets))})
