"""Fetching all pinned files into an empty store, against a plain parallel download of the same files.

The peer is one curl with 8 transfers at a time, which checks nothing and leaves files in a folder; then the same with
what else it takes to have the files where ours has them: sha256sum and nix-store. All read from a server on this
machine, at 100 MB/s and as fast as it can; with --mirrors from this machine's real mirrors instead. Where files come
faster than two cores can hash and copy them, the line is no longer what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import table
from bench.timing import Row, in_turns, seconds
from images import plan, sources
from images.connection import Client
from images.nixstore import NixStore

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parent.parent
PEER = "curl --parallel"
SAME_RESULT = "curl, then sha256sum, nix-store"
FETCH = [sys.executable, "-m", "images.fetch"]
LINE_RATE = 100e6
NOOP_ROUNDS = 5


def measure(*, mirrors: bool = False, rounds: int = 1) -> list[Row]:
    """Measure fetches and downloads in turns; needs the files in the store already, and 5 GB of room."""
    wants = plan.make(REPOSITORY / "images/lock", [])
    if NixStore().missing(wants.paths):
        raise SystemExit("The files to measure with are not all in the store. Run `make fetch` and try again.")
    rows = []
    if mirrors:
        rows += compare("fetch, this machine's mirrors", from_mirrors(wants), {}, rounds)
    else:
        for name, rate in (("100 MB/s", LINE_RATE), ("as fast as it can", 0.0)):
            with served(wants, rate) as address:
                urls = {item: f"{address}/sha256/{item.artifact.sha256}" for item in wants.files}
                rows += compare(f"fetch, local server, {name}", urls, {"SAMEBITS_CACHE": address}, rounds)
    noop = [seconds(lambda: run_fetch({})) for _ in range(NOOP_ROUNDS)]
    rows[0] = dataclasses.replace(rows[0], aim="≤ 1.3 x", most={"ratio": 1.3})
    rows.append(Row("fetch with all in the store", noop, PEER, rows[0].theirs, "≤ 1 s", {"seconds": 1.0}))
    return rows


def compare(name: str, urls: dict[plan.Wanted, str], environ: dict[str, str], rounds: int) -> list[Row]:
    """Measure one kind of server, against a download and against one that gives what ours does."""
    ours, theirs = in_turns(lambda: fetch(environ), lambda: download(urls), rounds)
    same = [download(urls, add=True) for _ in range(rounds)]
    return [Row(name, ours, PEER, theirs), Row(name, ours, SAME_RESULT, same)]


def fetch(environ: dict[str, str]) -> float:
    """Time a fetch into an empty store of its own."""
    with scratch() as folder:
        own = {"NIX_REMOTE": f"local?root={folder}/root", "XDG_CACHE_HOME": f"{folder}/cache"}
        return seconds(lambda: run_fetch({**environ, **own}))


def run_fetch(environ: dict[str, str]) -> None:
    """Run the command as it is."""
    subprocess.run(FETCH, cwd=REPOSITORY, env={**os.environ, **environ}, check=True, stdout=sys.stderr)


def download(urls: dict[plan.Wanted, str], *, add: bool = False) -> float:
    """Time curl with the same addresses, the largest first as with ours; with `add`, fill a store with them, too."""
    with scratch() as folder:
        files = folder / "files"
        files.mkdir()
        order = sorted(urls, key=lambda item: -item.artifact.size)
        lines = [f'url = "{urls[item]}"\noutput = "{files / item.artifact.store}"\n' for item in order]
        (folder / "curl.conf").write_text("".join(lines))
        sums = [f"{item.artifact.sha256}  {files / item.artifact.store}\n" for item in order]
        (folder / "sums").write_text("".join(sums))
        curl = ["curl", "--fail", "--no-progress-meter", "--location", "--parallel", "--parallel-max", "8"]
        steps = [[*curl, "--config", f"{folder}/curl.conf"]]
        if add:
            steps.append(["sha256sum", "--quiet", "--check", f"{folder}/sums"])
            steps.append(["nix-store", "--add-fixed", "sha256", *(str(files / item.artifact.store) for item in order)])
        environ = {**os.environ, "NIX_REMOTE": f"local?root={folder}/root"}

        def run() -> None:
            for step in steps:
                subprocess.run(step, check=True, env=environ, stdout=subprocess.DEVNULL)

        return seconds(run)


def from_mirrors(wants: plan.Plan) -> dict[plan.Wanted, str]:
    """Ask this machine's mirrors for the address of each file; that is not measured."""
    store, client = NixStore(), Client()

    def package(name: str) -> Path:
        return next(store.real(item.path) for item in wants.defaults if item.artifact.name == name)

    environ = {name: value for name, value in os.environ.items() if name != "SAMEBITS_CACHE"}
    kinds = {item.kind for item in wants.files}
    by_kind = {kind: sources.for_kind(kind, client, environ, package) for kind in kinds}
    found = {}
    for item in wants.files:
        places = (place for source in by_kind[item.kind] for place in source.places(item.artifact))
        found[item] = next(place.url for place in places)
    return found


@contextlib.contextmanager
def served(wants: plan.Plan, rate: float) -> Iterator[str]:
    """Serve the files of the plan out of the store, at `rate` bytes a second; give the server's address."""
    store = NixStore()
    command = [sys.executable, "-m", "bench.fetch_server", str(rate)]
    with tempfile.TemporaryFile("w+") as listing:
        listing.writelines(f"{item.artifact.sha256} {store.real(item.path)}\n" for item in wants.files)
        listing.seek(0)
        with subprocess.Popen(command, cwd=REPOSITORY, stdin=listing, stdout=subprocess.PIPE, text=True) as server:
            try:
                yield next(iter(server.stdout or ())).strip()
            finally:
                server.terminate()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give an empty folder; what a store in it made read-only is deleted, too."""
    folder = Path(tempfile.mkdtemp(prefix="samebits-bench-"))
    try:
        yield folder
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=False)
        shutil.rmtree(folder)


def main() -> int:
    """Measure, print the table, write the samples; 1 when an aim was missed."""
    parser = argparse.ArgumentParser(prog="python3 -m bench.fetch", description=__doc__)
    parser.add_argument("--mirrors", action="store_true", help="read from the real mirrors")
    parser.add_argument("--rounds", type=int, default=1, help="how often to measure each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    options = parser.parse_args()
    rows = measure(mirrors=options.mirrors, rounds=options.rounds)
    print(table.render(rows))
    if options.json:
        content = {"machine": table.machine(), "rows": [row.as_dict() for row in rows]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
