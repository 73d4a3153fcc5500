"""compile.py FOLDER: byte-compiles what is below FOLDER, the same bytes every time.

A .pyc depends on what its process compiled before (which strings are shared), so the work is cut into parts that follow
from the names alone, each in a fresh process; how many run at once does not matter. Checked by hash: a time stamp would
not survive being unpacked, and an edited source must still win.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MOST_PARTS, FILES_A_PART = 24, 500


def main() -> None:
    """Compiles; a package's own deliberately broken or ancient sources are skipped, as pip does."""
    sources = sorted(Path(sys.argv[1]).rglob("*.py"))

    def compile_part(part: list[Path]) -> int:
        # -B and -f: an interpreter that loads a package at its start, as a .pth file may ask, writes byte code with a
        # time stamp, which compileall would take for its own.
        options = ["-f", "-q", "-q", "--invalidation-mode", "checked-hash", "-i", "-"]
        command = [sys.executable, "-B", "-m", "compileall", *options]
        return subprocess.run(command, input="\n".join(map(str, part)), text=True, check=False).returncode

    count = min(MOST_PARTS, 1 + len(sources) // FILES_A_PART)
    parts = [sources[start::count] for start in range(count)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_part, parts))


if __name__ == "__main__":
    main()
