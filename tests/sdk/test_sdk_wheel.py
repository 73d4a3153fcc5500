"""The wheel: builds without network, the same bytes every time, and holds the package and its command."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SDK = Path(__file__).resolve().parents[2] / "sdk"


def build(where):
    program = "import sys, uv_build; print(uv_build.build_wheel(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", program, str(where)], cwd=SDK, check=True, capture_output=True,
                          text=True, env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"})  # fmt: skip
    return where / done.stdout.split()[-1]


def test_the_wheel_is_reproducible_and_complete(tmp_path):
    """Two builds at different places agree byte for byte; nothing but the package, its type marker and command."""
    if importlib.util.find_spec("uv_build") is None:
        pytest.skip("uv_build, the SDK's build backend, is not installed")
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = build(tmp_path / "one"), build(tmp_path / "two")
    assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(two.read_bytes()).digest()
    with zipfile.ZipFile(one) as archive:
        names = set(archive.namelist())
        (entry,) = [name for name in names if name.endswith("entry_points.txt")]
        assert "samebits = samebits.cli:main" in archive.read(entry).decode()
        (metadata,) = [name for name in names if name.endswith("METADATA")]
        assert "Requires-Dist: mlflow>=3.3 ; extra == 'mlflow'" in archive.read(metadata).decode()
    sources = {path.relative_to(SDK / "src").as_posix() for path in (SDK / "src").rglob("*.py")}
    packed = {name for name in names if not name.endswith("/") and ".dist-info/" not in name}
    assert packed == {*sources, "samebits/py.typed"}
