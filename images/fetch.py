#!/usr/bin/env python3
"""Step ②: bring every file that the locks pin to the Nix store.

Asked in this order: the store, the team's cache (SAMEBITS_CACHE), this machine's mirrors. Nothing enters the store
before its size and sha256 are the lock's. What is there stays there until a garbage collection: no root is registered.

Standard library only, Python 3.9 or newer, so that it runs on a bare machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__" and __package__ in (None, ""):  # started as a file: find the package beside it
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import contextlib
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Mapping, Sequence

from images import partial, plan, sources
from images.connection import Client
from images.debfile import read_member
from images.delivery import WAITING_BYTES, Delivery, Failure
from images.download import Downloader, Patience, Source
from images.errors import (
    FetchStoppedError,
    FilesMissingError,
    GoneError,
    MirrorUnknownError,
    SamebitsImageError,
    StoreUnusableError,
    TransferError,
)
from images.nixstore import STORE_DIR, NixStore
from images.progress import Meter, readable

INTERRUPTED = 130


class Fetch:
    """One run: what it needs at hand, and its steps."""

    def __init__(self, store: NixStore, wants: plan.Plan, options: argparse.Namespace, missing: set[str]) -> None:
        self._store = store
        self._plan = wants
        self._options = options
        self._stop = threading.Event()
        self._client = Client(options.timeout)
        self._folder = partial.folder(os.environ)
        self._sources: dict[str, list[Source]] = {}
        self._missing = missing
        todo = self._todo()
        self._meter = Meter(len(todo), sum(item.artifact.size for item in todo))

    def run(self) -> str:
        """Fetch what is missing; give the sentence to end with. Raises SamebitsImageErrors."""
        with partial.claimed(self._folder, lambda: self._meter.note("fetch: waiting for another fetch to end")):
            self._missing = self._store.missing(self._plan.paths)  # another fetch may have brought some meanwhile
            todo = self._todo()
            store_dir = self._store.real(STORE_DIR)
            partial.require_room(self._folder, store_dir, todo, self._options.jobs, WAITING_BYTES)
            self._meter.files, self._meter.size = len(todo), sum(item.artifact.size for item in todo)
            with self._meter:
                for kind in sorted({item.kind for item in todo}):
                    self._sources[kind] = self._sources_of(kind)
                failures = self._deliver([item for item in todo if item.path in self._missing])
                self._bootstrap(failures)
            if failures:
                raise FilesMissingError(self._explain(failures))
            if not self._options.set:
                partial.clean(self._folder)
        total, seconds = self._meter.done_bytes, self._meter.seconds
        return (
            f"{self._meter.done_files} files, {readable(total)}, fetched in {seconds:.1f} s ({readable(total / seconds)}/s); "
            f"all {len(self._plan.paths)} are in the store."
        )

    def _todo(self) -> list[plan.Wanted]:
        files = [item for item in self._plan.files if item.path in self._missing]
        return files

    def _deliver(self, wanted: Sequence[plan.Wanted]) -> list[Failure]:
        patience = Patience(self._stop, self._options.tries)
        downloader = Downloader(self._client, self._folder, self._meter, self._stop, patience)
        delivery = Delivery(self._store, downloader, self._client, self._meter, self._stop, self._options.jobs)
        failures = delivery.deliver(wanted, self._sources)
        self._missing -= {item.path for item in wanted} - {failure.wanted.path for failure in failures}
        return failures

    def _sources_of(self, kind: str) -> list[Source]:
        return sources.for_kind(kind, self._client, os.environ, self._package)

    def _package(self, name: str) -> Path:
        """Give the .deb of a pinned package that tells a default registry, fetching it first when need be."""
        item = next((item for item in self._plan.defaults if item.artifact.name == name), None)
        if item is None:
            raise MirrorUnknownError(
                f"No registry is configured on this machine, and the locks pin no {name}, which would tell the default. "
                f"Set PIP_INDEX_URL and SAMEBITS_MAVEN_MIRROR, and run the command again."
            )
        if self._store.missing([item.path]):
            self._sources.setdefault(item.kind, self._sources_of(item.kind))
            failures = self._deliver([item])
            if failures:
                raise MirrorUnknownError(
                    f"No registry is configured on this machine, and {item.artifact.file}, which would tell the default, "
                    f"could not be fetched ({failures[0].error}). Set PIP_INDEX_URL and SAMEBITS_MAVEN_MIRROR, or relock "
                    f"with `make lock ONLY={name}`, and run the command again."
                )
        return self._store.real(item.path)

    def _bootstrap(self, failures: Sequence[Failure]) -> None:
        tree = self._plan.bootstrap
        if tree is None or tree.path not in self._missing or tree.source in [failure.wanted for failure in failures]:
            return
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            program = Path(scratch) / tree.name / tree.name
            program.parent.mkdir()
            program.write_bytes(read_member(self._store.real(tree.source.path), tree.member))
            program.chmod(0o755)
            self._store.add_tree(program.parent, tree.path)

    def _explain(self, failures: Sequence[Failure]) -> str:
        gone = [failure for failure in failures if isinstance(failure.error, GoneError)]
        other: dict[str, list[str]] = {}
        for failure in failures:
            if failure not in gone:
                other.setdefault(str(failure.error), []).append(failure.wanted.artifact.file)
        paragraphs = []
        if gone:
            told = "; ".join(self._tell(failure) for failure in gone[:10])
            more = f"; and {len(gone) - 10} more" if len(gone) > 10 else ""
            names = sorted({failure.wanted.artifact.name for failure in gone})
            paragraphs.append(
                f"Gone from every source that this machine knows: {told}{more}. Mirrors drop what is superseded: relock "
                f"with {' and '.join(f'`make lock ONLY={name}`' for name in names[:10])}, or set SAMEBITS_CACHE to a cache "
                f"that still has the files."
            )
        for reason, files in list(other.items())[:10]:
            more = f" and {len(files) - 3} more" if len(files) > 3 else ""
            paragraphs.append(f"Could not be fetched: {', '.join(files[:3])}{more}: {reason}.")
        paragraphs.append(f"All other files are in the store; run the command again to fetch the {len(failures)} missing.")
        return " ".join(paragraphs)

    def _tell(self, failure: Failure) -> str:
        artifact = failure.wanted.artifact
        for source in self._sources[failure.wanted.kind]:
            with contextlib.suppress(TransferError):
                offers = source.offers(artifact)
                if offers:
                    return f"{artifact.file} ({offers})"
        return f"{artifact.file} ({artifact.name} {artifact.version}: {failure.error})"


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
            print("fetch: " + Fetch(store, wants, options, missing).run())
    except (KeyboardInterrupt, FetchStoppedError):
        print("fetch: stopped. What is in the store stays, and partial downloads resume next time.", file=sys.stderr)
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
    parser.add_argument("--lock-dir", type=Path, default=Path(__file__).resolve().parent / "lock", metavar="DIR")
    parser.add_argument("--set", nargs="+", default=[], metavar="SET", help="only the files of these sets")
    parser.add_argument("--dry-run", action="store_true", help="print what would be fetched, and do nothing")
    parser.add_argument("--jobs", type=int, default=8, metavar="N", help="downloads at a time (8)")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="for connecting and each read (30)")
    parser.add_argument("--tries", type=int, default=5, metavar="N", help="tries in a row without advance (5)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
