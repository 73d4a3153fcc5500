"""Fetching all pinned files into an empty store, against a plain parallel download of the same files.

The peer is one curl with 8 transfers at a time, which checks nothing and leaves files in a folder. Both read from a
server on this machine, at 100 MB/s and as fast as it can; with --mirrors from this machine's real mirrors instead.
"""

from __future__ import annotations

import argparse
import contextlib
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
        rows.append(compare("fetch, this machine's mirrors", from_mirrors(wants), {}, rounds))
    else:
        for name, rate in (("100 MB/s", LINE_RATE), ("no limit", 0.0)):
            with served(wants, rate) as address:
                urls = {item.path: f"{address}/sha256/{item.artifact.sha256}" for item in wants.files}
                environ = {"SAMEBITS_CACHE": address}
                rows.append(compare(f"fetch, local server, {name}", urls, environ, rounds))
    noop = [seconds(lambda: run_fetch({})) for _ in range(NOOP_ROUNDS)]
    rows[0].most.update({"ratio": 1.3})
    rows.append(Row("fetch with all in the store", noop, PEER, rows[0].theirs, "≤ 1 s", {"seconds": 1.0}))
    return rows


def compare(name: str, urls: dict[str, str], environ: dict[str, str], rounds: int) -> Row:
    """Measure one kind of server."""
    ours, theirs = in_turns(lambda: fetch(environ), lambda: download(urls), rounds)
    return Row(name, ours, PEER, theirs)


def fetch(environ: dict[str, str]) -> float:
    """Time a fetch into an empty store of its own."""
    with scratch() as folder:
        own = {"NIX_REMOTE": f"local?root={folder}/root", "XDG_CACHE_HOME": f"{folder}/cache"}
        return seconds(lambda: run_fetch({**environ, **own}))


def run_fetch(environ: dict[str, str]) -> None:
    """Run the command as it is."""
    subprocess.run(FETCH, cwd=REPOSITORY, env={**os.environ, **environ}, check=True, stdout=sys.stderr)


def download(urls: dict[str, str]) -> float:
    """Time curl with the same addresses, the largest file first as ours does it, into a folder."""
    with scratch() as folder:
        order = sorted(urls, key=lambda path: -NixStore().real(path).stat().st_size)
        lines = [f'url = "{urls[path]}"\noutput = "{folder}/{Path(path).name}"\n' for path in order]
        (folder / "curl.conf").write_text("".join(lines))
        command = ["curl", "--fail", "--no-progress-meter", "--location", "--parallel", "--parallel-max", "8"]
        return seconds(lambda: subprocess.run([*command, "--config", f"{folder}/curl.conf"], check=True))


def from_mirrors(wants: plan.Plan) -> dict[str, str]:
    """Ask this machine's mirrors for the address of each file; that is not measured."""
    store, client = NixStore(), Client()

    def package(name: str) -> Path:
        return next(store.real(item.path) for item in wants.defaults if item.artifact.name == name)

    environ = {name: value for name, value in os.environ.items() if name != "SAMEBITS_CACHE"}
    by_kind = {kind: sources.for_kind(kind, client, environ, package) for kind in {i.kind for i in wants.files}}
    found = {}
    for item in wants.files:
        places = (place for source in by_kind[item.kind] for place in source.places(item.artifact))
        found[item.path] = next(place.url for place in places)
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
