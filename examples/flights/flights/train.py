"""Train the delay model: `python -m flights.train --epochs 3`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from flights import data, report


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, run the experiment, print its result; 1 when the data cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        data.files(options.data)
        # PyTorch, Lightning and MLflow take seconds to import: --help and missing data need not wait.
        from flights import experiment  # noqa: PLC0415

        table = experiment.run(
            experiment.Settings(
                folder=options.data,
                epochs=options.epochs,
                seed=options.seed,
                batch_size=options.batch_size,
                hidden=options.hidden,
                rows=options.rows,
            )
        )
    except data.DataError as error:
        print(error, file=sys.stderr)
        return 1
    print(table.round(2).to_string())
    print(report.summary(table))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flights.train", description="Train the delay model.")
    folder = Path(__file__).parent.parent / "data"
    parser.add_argument("--epochs", type=_positive, default=3, help="passes over the training months (3)")
    parser.add_argument("--seed", type=int, default=2013, help="decides all random numbers (2013)")
    parser.add_argument("--batch-size", type=_positive, default=1024, help="flights per step (1024)")
    parser.add_argument("--hidden", type=_positive_even, default=128, help="width of the first layer, even (128)")
    parser.add_argument("--rows", type=_positive, help="use only about this many flights, for a quick try")
    parser.add_argument("--data", type=Path, default=folder, help="folder of the data files (data/)")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _positive_even(text: str) -> int:
    number = _positive(text)
    if number % 2:
        raise argparse.ArgumentTypeError(f"{text} is odd: the second layer has half the width of the first")
    return number


if __name__ == "__main__":
    sys.exit(main())
