"""The `samebits` command: exec, show, rerun, doctor."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from samebits import __version__, handover
from samebits.errors import SamebitsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_FOUND = 127
NOT_EXECUTABLE = 126


class _Parser(argparse.ArgumentParser):
    """argparse ends with 2 on its own, which here means INCONCLUSIVE; a wrong command line is an error, 3."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[0].upper()}{message[1:]}. See `{self.prog} --help`.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 IDENTICAL or done, 1 DIFFERENT, 2 INCONCLUSIVE, 3 error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(words)
    except SamebitsError as error:
        print(f"samebits: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UsageError.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # the last edge: people get a sentence, not a traceback
        if os.environ.get("SAMEBITS_DEBUG"):
            raise
        print(
            f"samebits: an error samebits did not foresee: {type(error).__name__}: {error}. Run it again "
            "with SAMEBITS_DEBUG=1 for the traceback, and report it.",
            file=sys.stderr,
        )
        return SamebitsError.exit_code


def _run(words: list[str]) -> int:
    command: list[str] | None = None
    if words[:1] == ["exec"] and "--" in words:
        split = words.index("--")
        words, command = words[:split], words[split + 1 :]
    options = _parser().parse_args(words)
    if options.command == "exec":
        return _exec(command, options.seed)
    if options.command == "doctor":
        from samebits import doctor

        return doctor.examine(os.environ)
    # MLflow's bars would stand between the lines of our report.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # Imported here: these need what `exec` must not pay for.
    from samebits import commands

    if options.command == "show":
        return commands.show(options.run, as_json=options.json)
    return commands.rerun(
        options.run, here=options.here, dry_run=options.dry_run, as_json=options.json, twice=options.twice
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="samebits",
        description="Record runs, repeat them, and say whether the bits are the same.",
        epilog="Exit codes of rerun: 0 IDENTICAL, 1 DIFFERENT, 2 INCONCLUSIVE, 3 error.",
    )
    parser.add_argument("--version", action="version", version=f"samebits {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser, metavar="COMMAND")
    one = commands.add_parser(
        "exec",
        help="start a program with determinism settings in place",
        usage="samebits exec [--seed N] -- PROGRAM [ARGUMENT …]",
    )
    one.add_argument("--seed", type=_seed, help="seed for random, numpy and torch, and the hash seed")
    one = commands.add_parser("show", help="print what was recorded of a run")
    _add_run(one)
    one = commands.add_parser("rerun", help="repeat a run and compare it bit by bit")
    _add_run(one)
    one.add_argument("--dry-run", action="store_true", help="print the plan, execute nothing")
    one.add_argument(
        "--twice",
        action="store_true",
        help="repeat it two times, which tells nondeterminism from other causes",
    )
    one.add_argument(
        "--here",
        type=_here,
        default=frozenset(),
        metavar="code,data,closure",
        help="take these as they are here instead of as recorded",
    )
    commands.add_parser("doctor", help="check what recording and repeating need")
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run id, or its unique beginning")
    parser.add_argument("--json", action="store_true", help="print JSON on standard output")


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0 to 2**63-1, not {text!r}")
    return int(text)


def _here(text: str) -> frozenset[str]:
    names = frozenset(text.split(","))
    if odd := names - {"code", "data", "closure"}:
        raise argparse.ArgumentTypeError(f"code, data and closure can be taken from here, not {min(odd)!r}")
    return names


def _exec(command: list[str] | None, seed: int | None) -> int:
    if not command:
        raise UsageError(
            "No program to start: write it after two dashes, as in "
            "`samebits exec --seed 1 -- python -m flights.train --epochs 3`."
        )
    environ, ours = handover.prepare(os.environ, seed)
    begun = handover.start(command, os.getcwd(), ours, spawned=False)
    if begun.root is not None:
        handover.prepare_store(environ, begun.root)
    environ[handover.START] = handover.encode(begun)
    sys.stdout.flush()
    try:
        os.execvpe(command[0], command, environ)  # noqa: S606  (no shell is the point)
    except FileNotFoundError:
        print(
            f"samebits: {command[0]} was not found on PATH. Check its spelling, or enter the workspace that has it.",
            file=sys.stderr,
        )
        return NOT_FOUND
    except OSError as error:
        print(
            f"samebits: {command[0]} could not be started ({error.strerror}). Check that it is an executable file.",
            file=sys.stderr,
        )
        return NOT_EXECUTABLE


if __name__ == "__main__":
    sys.exit(main())
