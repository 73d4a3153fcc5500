"""Step ①: `python3 -m images.lock refresh | check | diff`, behind `make lock`, `lock-check`, `lock-diff`.

Refreshing needs apt (so Debian or Ubuntu), uv and mvn; checking and comparing need none of them.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036  the machine's own python3 may be older than what the locks need
    sys.exit("lock: this needs Python 3.11 or newer (for tomllib); run it with `make lock`, or with a newer python3.")

from images.errors import SamebitsImageError
from images.lock import difference, relock
from images.lock.lockfile import Lock
from images.lock.waiting import Progress
from images.progress import readable

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status: 0, 1 for an error, 130 when interrupted."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if options.command == "refresh":
            with Progress() as progress:
                new = relock.refresh(options.lock_dir, options.kinds, options.only, progress.say)
            _print(new, "written")
        elif options.command == "check":
            _print(relock.check(options.lock_dir), "answers its intent")
        else:
            for line in difference.compare(options.old, options.new, options.lock_dir):
                print(line)
        sys.stdout.flush()  # here, where a closed pipe is still ours to answer for
    except KeyboardInterrupt:
        print("lock: stopped. No lock was changed.", file=sys.stderr)
        return INTERRUPTED
    except SamebitsImageError as error:
        print(f"lock: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # who reads our output has seen enough, as in `… diff HEAD . | head`
        sys.stdout = None
        return 1
    except OSError as error:
        print(
            f"lock: the machine refused ({error}). No lock was left half-written: see to it that there is "
            "room in the temporary folder and beside the locks, and run the command again.",
            file=sys.stderr,
        )
        return 1
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _print(locks: dict[str, Lock], what: str) -> None:
    for kind, lock in locks.items():
        size = readable(sum(artifact.size for artifact in lock.artifacts))
        print(f"{kind}.lock.json: {what}, {len(lock.artifacts)} artifacts, {size}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="lock", description="Resolve intents to locks, check locks, compare locks.")
    parser.add_argument(
        "--lock-dir",
        type=Path,
        default=Path(__file__).resolve().parent,
        metavar="DIR",
        help="where intents and locks are",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    refresh = commands.add_parser("refresh", help="resolve intents anew and write their locks")
    refresh.add_argument(
        "kinds", nargs="*", choices=[*relock.KINDS, []], metavar="KIND", help="debian, python, maven; all"
    )
    refresh.add_argument(
        "--only",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="just these artifacts may change",
    )
    commands.add_parser("check", help="refuse locks that do not answer their intents")
    diff = commands.add_parser("diff", help="print what differs between two locks, or two sets of them")
    for name in ("old", "new"):
        diff.add_argument(
            name, metavar=name.upper(), help='a lock file, a folder, a git revision, or "." for this folder'
        )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
