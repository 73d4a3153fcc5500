"""The project's main job, as a new user meets it: a fresh clone, one command, a verdict; then a byte is changed."""

import json
import re
import subprocess
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

pytestmark = pytest.mark.image


def test_one_command_ends_in_identical(first, clone):
    """`make quickstart YES=1` on a fresh clone proves a run of its own and leaves the clone clean."""
    assert first.returncode == 0, first.stdout[-3000:]
    assert first.stdout.splitlines()[-1].startswith(f"IDENTICAL: run {clone.recorded}")
    assert "make ui" in first.stdout
    assert clone.run("git", "status", "--porcelain").stdout == ""


def test_the_run_carries_the_closure_of_the_image(first, clone):
    """What is recorded is what the built image says of itself."""
    manifest = json.loads((clone.path / "build/workspace-cpu/closure/closure.json").read_text())
    shown = clone.workspace("samebits", "show", clone.recorded)
    assert manifest["closure_id"] in shown.stdout
    assert manifest["content_id"] in shown.stdout


def test_a_second_quickstart_does_only_what_is_left(first, clone):
    """Nothing is trained or repeated again for the same commit and image."""
    second = clone.quickstart()
    assert second.returncode == 0
    assert "already" in second.stdout
    assert "epoch" not in second.stdout


@pytest.fixture
def changed(clone, first):
    """Puts a file back after a test changed it."""
    kept = []

    def change(path: Path, old: bytes, new: bytes) -> None:
        content = path.read_bytes()
        kept.append((path, content))
        assert len(old) == len(new) == 1 + sum(a == b for a, b in zip(old, new, strict=True)), "one byte only"
        assert old in content
        path.write_bytes(content.replace(old, new, 1))

    yield change
    for path, content in kept:
        path.write_bytes(content)


def test_a_byte_of_the_code_is_put_down_to_code(clone, changed):
    """Another weight decay, one digit apart: DIFFERENT, and the code is named."""
    changed(clone.flights / "flights/module.py", b"weight_decay=1e-2", b"weight_decay=2e-2")
    verdict = clone.workspace("samebits", "rerun", clone.recorded, "--here", "code")
    assert verdict.returncode == 1, verdict.stdout[-3000:]
    last = verdict.stdout.strip().splitlines()[-1]
    assert last.startswith("DIFFERENT")
    assert "Attributed to code (" in last


def test_a_dirty_run_is_repeated_from_its_snapshot(clone, changed):
    """What was trained is in no commit and no longer in the tree, and is proven all the same."""
    module = clone.flights / "flights/module.py"
    committed = module.read_bytes()
    changed(module, b"weight_decay=1e-2", b"weight_decay=3e-2")
    trained = clone.workspace("samebits", "exec", "--", "python", "-m", "flights.train", "--epochs=1", "--rows=20000")
    assert trained.returncode == 0, trained.stdout[-3000:]
    run = re.search(r"samebits: run ([0-9a-f]+) recorded", trained.stdout)[1]
    module.write_bytes(committed)
    verdict = clone.workspace("samebits", "rerun", run)
    assert verdict.returncode == 0, verdict.stdout[-3000:]
    assert "its snapshot is executed" in verdict.stdout
    assert verdict.stdout.strip().splitlines()[-1].startswith("IDENTICAL")


def test_a_byte_of_the_data_is_refused_then_put_down_to_data(clone, changed):
    """Changed data are not trained on unasked; asked for, the difference is theirs."""
    weather = clone.flights / "data/weather.csv"
    line = weather.read_bytes().splitlines()[5000]  # a day in summer: the training months use it
    digit = re.search(rb"\d\.\d", line).group()
    changed(weather, line, line.replace(digit, bytes([(digit[0] - 48 + 1) % 10 + 48]) + digit[1:], 1))
    refused = clone.workspace("samebits", "rerun", clone.recorded)
    assert refused.returncode == 2, refused.stdout[-3000:]
    assert "INCONCLUSIVE" in refused.stdout.splitlines()[-1]
    assert "weather" in refused.stdout.splitlines()[-1]
    verdict = clone.workspace("samebits", "rerun", clone.recorded, "--here", "data")
    last = verdict.stdout.strip().splitlines()[-1]
    assert verdict.returncode == 1, verdict.stdout[-3000:]
    assert "Attributed to data (" in last


def test_a_byte_of_a_locked_wheel_is_put_down_to_the_closure(clone, first, tmp_path):
    """Another wheel makes another closure: a rerun in it proves nothing, and says how to get back to the recorded one."""
    lock_path = clone.path / "images/lock/python.lock.json"
    original = lock_path.read_text()
    lock = json.loads(original)
    entry = next(a for a in lock["artifacts"] if a["name"] == "jupyter-resource-usage")
    stored = subprocess.run(
        ["nix-store", "--print-fixed-path", "sha256", entry["sha256"], entry["store"]],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    other = tmp_path / entry["store"]
    one_byte_apart(Path(stored), other)
    subprocess.run(["nix-store", "--add-fixed", "sha256", str(other)], check=True, stdout=subprocess.DEVNULL)
    entry |= {"sha256": sha256(other.read_bytes()).hexdigest(), "size": other.stat().st_size}
    lock_path.write_text(json.dumps(lock, indent=1, sort_keys=True) + "\n")
    try:
        verdict = clone.workspace("samebits", "rerun", clone.recorded)
        assert verdict.returncode == 2, verdict.stdout[-3000:]
        last = verdict.stdout.strip().splitlines()[-1]
        assert last.startswith("INCONCLUSIVE")
        way_back = re.search(r"closure .* enter it with `(nix run [^`]*)`", last)
        assert way_back, last
        there = clone.run("sh", "-c", way_back[1], cwd=clone.flights)
    finally:
        lock_path.write_text(original)
    assert there.returncode == 0, there.stdout[-3000:]
    assert there.stdout.strip().splitlines()[-1].startswith("IDENTICAL")


def one_byte_apart(source: Path, target: Path) -> None:
    """A copy of a wheel in which one byte of one Python file differs."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        left = 1
        for item in old.infolist():
            content = old.read(item)
            if left and item.filename.endswith(".py") and b"# " in content:
                content, left = content.replace(b"# ", b"#_", 1), 0
            new.writestr(item, content)
    assert not left


def test_a_file_that_git_does_not_know_stops_the_build(clone, first):
    """Flakes would leave it out without a word: the message names it and what to do."""
    stray = clone.path / "sdk/src/samebits/stray.py"
    stray.write_text("")
    refused = clone.run("make", "build", YES="1")
    stray.unlink()
    assert refused.returncode != 0
    assert "sdk/src/samebits/stray.py" in refused.stdout
    assert "git add" in refused.stdout
