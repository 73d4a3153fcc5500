"""Byte-compiling: the same bytes every time, in the builder's own root of tools."""

import os
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.image
SCRIPT = Path(__file__).parents[2] / "images/nix/compile.py"
CHECKED_HASH = 3


@pytest.fixture
def compiled(tmp_path, in_tools):
    """Compiles a tree of sources, all of one time stamp, in a folder of its own; gives the byte code by name."""

    def run(sources: dict[str, str], moment: int) -> dict[str, bytes]:
        build = tmp_path / str(moment)
        for name, text in sources.items():
            path = build / "tree" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            os.utime(path, (moment, moment))
        shutil.copy(SCRIPT, build)
        done = in_tools(build, "env", "PYTHONPATH=/build/tree", "python3", "/build/compile.py", "/build/tree")
        assert done.returncode == 0, done.stderr
        return {str(path.relative_to(build / "tree")): path.read_bytes() for path in build.rglob("tree/**/*.pyc")}

    return run


def test_what_python_imports_at_its_start_is_compiled_like_the_rest(compiled):
    """A package that every interpreter loads (setuptools has one) carries no time stamp either."""
    sources = {
        "sitecustomize.py": "import eager\n",
        "eager/__init__.py": "from . import part\n",
        "eager/part.py": "x = 1\n",
    }
    sources |= {f"many/m{n}.py": f"x = {n}\n" for n in range(40)}
    first, second = (compiled(sources, moment) for moment in (1_000_000_000, 1_500_000_000))
    assert len(first) == len(sources)
    assert {name: code[4] for name, code in first.items()} == dict.fromkeys(first, CHECKED_HASH)
    assert first == second


def test_a_broken_source_is_left_out(compiled):
    """Packages ship templates and sources for other Pythons; they stop nothing."""
    assert len(compiled({"good.py": "x = 1\n", "bad.py": "print 'old'\n"}, 1)) == 1
