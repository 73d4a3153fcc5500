"""Step ②: bring every file that the locks pin to the Nix store.

Asked in this order: the store, the team's cache (SAMEBITS_CACHE), this machine's mirrors. Nothing enters the
store before its size and sha256 are the lock's. What is there stays until a garbage collection: no root is
registered.

Standard library only, Python 3.9 or newer, so that it runs on a bare machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__" and not __package__:  # started as a file: find the package that it is part of
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import os
import signal
import tempfile
import threading
from typing import TYPE_CHECKING

from images import partial, plan, shortfall, sources
from images.connection import Client
from images.debfile import read_member
from images.delivery import WAITING_BYTES, Delivery
from images.download import Downloader
from images.errors import CorruptError, FetchStoppedError, FilesMissingError, MirrorUnknownError, SamebitsImageError
from images.lock.bootstrap import nar_sha256
from images.nixstore import STORE_DIR, NixStore, recursive_path
from images.patience import Patience
from images.progress import Meter, readable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from images.delivery import Failure
    from images.download import Source

INTERRUPTED = 130


class Fetch:
    """One run that brings what is missing of a plan to the store."""

    def __init__(self, store: NixStore, wants: plan.Plan, options: argparse.Namespace) -> None:
        self._store = store
        self._plan = wants
        self._jobs = max(1, options.jobs)
        self._whole = not options.set
        self._folder = partial.folder(os.environ)
        self._sources: dict[str, list[Source]] = {}
        self._client = Client(options.timeout)
        self._meter = Meter()
        stop = threading.Event()
        patience = Patience(stop, self._meter.note, options.tries)
        self._downloader = Downloader(self._folder, self._client, self._meter, patience, stop)

    def run(self) -> str:
        """Fetch; give the sentence to end with. Raises SamebitsImageErrors."""
        with partial.claimed(self._folder, lambda: self._meter.note("fetch: waiting for another fetch to end")):
            missing = self._store.missing(self._plan.paths)
            todo = [item for item in self._plan.files if item.path in missing]
            partial.require_room(self._folder, self._store.real(STORE_DIR), todo, self._jobs, WAITING_BYTES)
            with self._meter:
                for kind in sorted({item.kind for item in todo}):
                    self._sources_of(kind)
                # Finding the mirrors may have fetched packages that tell defaults.
                left = self._store.missing([item.path for item in todo])
                failures = self._deliver([item for item in todo if item.path in left])
                self._bootstrap(missing)
            if failures:
                raise FilesMissingError(shortfall.explain(failures, self._sources))
            if self._whole:
                partial.clean(self._folder)
        return f"{self._meter.summary()}; all {len(self._plan.paths)} pinned files are in the store."

    def _deliver(self, wanted: Sequence[plan.Wanted]) -> list[Failure]:
        self._meter.expect(len(wanted), sum(item.artifact.size for item in wanted))
        return Delivery(self._store, self._downloader, self._jobs).deliver(wanted, self._sources)

    def _sources_of(self, kind: str) -> None:
        if kind not in self._sources:
            self._sources[kind] = sources.for_kind(kind, self._client, os.environ, self._package)

    def _package(self, name: str) -> Path:
        """Give the .deb of a pinned package that tells a default registry, fetching it first when need be."""
        item = next((item for item in self._plan.defaults if item.artifact.name == name), None)
        if item is None:
            raise MirrorUnknownError(
                f"No registry is configured on this machine, and the locks pin no {name}, which would tell "
                "the default. Set PIP_INDEX_URL and SAMEBITS_MAVEN_MIRROR, and run the command again."
            )
        if self._store.missing([item.path]):
            self._sources_of(item.kind)
            failures = self._deliver([item])
            if failures:
                raise MirrorUnknownError(
                    f"No registry is configured on this machine, and {item.artifact.file}, which would tell "
                    f"the default, could not be fetched ({failures[0].error}). Set PIP_INDEX_URL and "
                    f"SAMEBITS_MAVEN_MIRROR, or relock with `make lock ONLY={name}`, and run the command "
                    "again."
                )
        return self._store.real(item.path)

    def _bootstrap(self, missing: set[str]) -> None:
        tree = self._plan.bootstrap
        if tree is None or tree.path not in missing or self._store.missing([tree.source.path]):
            return
        content = read_member(self._store.real(tree.source.path), tree.member)
        if recursive_path(tree.name, nar_sha256(tree.name, content)) != tree.path:
            raise CorruptError(
                f"The {tree.member} in {tree.source.artifact.file} is not the {tree.name} that the debian "
                "lock pins by its NAR hash. The lock contradicts itself: run `make lock "
                f"ONLY={tree.source.artifact.name}`."
            )
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            program = Path(scratch, tree.name, tree.name)
            program.parent.mkdir()
            program.write_bytes(content)
            program.chmod(0o755)
            self._store.add_tree(program.parent, tree.path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; give the exit code: 0, 1 for an error, 130 when interrupted."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        wants = plan.make(options.lock_dir, options.set)
        store = NixStore()
        missing = store.missing(wants.paths)
        if options.dry_run:
            _print_plan(wants, missing)
        elif not missing:
            print(f"fetch: all {len(wants.paths)} pinned files are in the store.")
        else:
            print("fetch: " + Fetch(store, wants, options).run())
    except (KeyboardInterrupt, FetchStoppedError):
        print("fetch: stopped. What is in the store stays; partial downloads resume next time.", file=sys.stderr)
        return INTERRUPTED
    except SamebitsImageError as error:
        print(f"fetch: {error}", file=sys.stderr)
        return 1
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _print_plan(wants: plan.Plan, missing: set[str]) -> None:
    files = [item.artifact for item in wants.files if item.path in missing]
    for artifact in files:
        print(f"{readable(artifact.size):>9}  {artifact.file}  ({', '.join(artifact.sets)})")
    if wants.bootstrap and wants.bootstrap.path in missing:
        print(f"{'':>9}  {wants.bootstrap.name}, out of {wants.bootstrap.source.artifact.file}")
    print(f"fetch: {len(files)} files to fetch, {readable(sum(artifact.size for artifact in files))}.")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fetch", description="Bring the files that the locks pin to the Nix store.")
    locks = Path(__file__).resolve().parent / "lock"
    parser.add_argument("--lock-dir", type=Path, default=locks, metavar="DIR", help="where the *.lock.json are")
    parser.add_argument("--set", nargs="+", default=[], metavar="SET", help="only the files of these sets")
    parser.add_argument("--dry-run", action="store_true", help="print what would be fetched, and do nothing")
    parser.add_argument("--jobs", type=int, default=8, metavar="N", help="downloads at a time (8)")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="for each wait on a server (30)")
    parser.add_argument("--tries", type=int, default=5, metavar="N", help="tries in a row without advance (5)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
