"""Run the benchmarks: `make bench`, which is `python3 -m bench` at the root of the repository."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from bench import build, fetch, quickstart, table
from bench.timing import Row


def record_in_workspace() -> list[Row]:
    """Measure recording where it happens: in the workspace, with its libraries loaded."""
    command = [*build.NIX, "run", f"{build.REPOSITORY}#{build.IMAGE}", "--", "python3", "-m", "bench.record"]
    result = subprocess.run(command, cwd=build.REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)
    return [Row.from_dict(row) for row in json.loads(result.stdout)]


PARTS = {
    "record": record_in_workspace,
    "build": build.measure,
    "fetch": fetch.measure,
    "quickstart": quickstart.measure,
}


def main() -> int:
    """Run the chosen parts, print the table, write the files; 1 when an aim was missed."""
    parser = argparse.ArgumentParser(prog="python3 -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument("--write", type=Path, metavar="FILE", help="update the table in this Markdown file")
    options = parser.parse_args()
    rows: list[Row] = []
    for name in options.parts or PARTS:
        print(f"measuring: {name}", file=sys.stderr)
        rows += PARTS[name]()
    print(table.render(rows))
    if options.json:
        content = {"machine": table.machine(), "rows": [row.as_dict() for row in rows]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    if options.write:
        table.write(options.write, rows)
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
