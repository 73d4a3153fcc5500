"""The flake: what changes what, and what it says when something is missing."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.image
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pristine(make_checkout):
    return make_checkout()


@pytest.fixture
def checkout(pristine):
    """The same for each test, put back afterwards."""
    yield pristine
    pristine.git("reset", "-q", "--hard")
    pristine.git("clean", "-qfdx")


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def test_the_flake_s_own_check_passes(pristine):
    """`nix flake check`."""
    done = pristine.nix("flake", "check")
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_lock_file_is_valid_and_left_alone(checkout):
    """No inputs, so there is nothing to lock; `nix flake lock` agrees and writes nothing."""
    assert json.loads((checkout.path / "flake.lock").read_text()) == {
        "nodes": {"root": {}}, "root": "root", "version": 7
    }  # fmt: skip
    done = checkout.nix("flake", "lock")
    assert done.returncode == 0, done.stderr
    assert checkout.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    "name",
    ["README.md", "docs/closure.md", "tests/images/test_flake.py", "sdk/a-note.txt", "images/fetch.py",
     "images/lock/debian.toml", "examples/flights/flights/module.py"],
)  # fmt: skip
def test_what_is_not_in_an_image_changes_none(checkout, name):
    """A word in the documentation or a test, or code that runs elsewhere: every digest stays."""
    before = checkout.recipes()
    checkout.append(name, "\n# x\n")
    checkout.git("add", name)
    assert changed(before, checkout.recipes()) == set()


def test_an_edit_of_the_sdk_rebuilds_its_layer_only(checkout):
    """Wheel, layer, the workspace's manifest; not the server's image, and no other layer."""
    before = checkout.recipes()
    checkout.append("sdk/src/samebits/__init__.py", "\n")
    assert changed(before, checkout.recipes()) == {"sdk", "layer-sdk", "workspace-cpu", "default"}


def test_an_edit_of_a_setting_rebuilds_its_layer_only(checkout):
    """The same for the workspace's configuration."""
    before = checkout.recipes()
    checkout.append("images/layers/workspace-config/etc/gitconfig", "# x\n")
    assert changed(before, checkout.recipes()) == {"layer-workspace-config", "workspace-cpu", "default"}


def test_another_wheel_changes_the_images_that_hold_it(checkout):
    """One digit of a locked hash is another recipe: what the tests above compare can differ."""
    before = checkout.recipes()
    path = checkout.path / "images/lock/python.lock.json"
    lock = json.loads(path.read_text())
    wheel = next(a for a in lock["artifacts"] if a["name"] == "boto3")
    wheel["sha256"] = wheel["sha256"][:-1] + ("0" if wheel["sha256"][-1] != "0" else "1")
    path.write_text(json.dumps(lock))
    assert {"mlflow", "workspace-cpu", "layer-python-mlflow"} <= changed(before, checkout.recipes())


def test_a_file_that_git_does_not_know_is_named(checkout):
    """Flakes see only what git knows: Nix names the missing file, newer ones with the command that adds it."""
    (checkout.path / "images/new.nix").write_text("{ }\n")
    (checkout.path / "images/default.nix").write_text("import ./new.nix\n")
    before = checkout.nix("eval", ".#sdk.drvPath")
    assert before.returncode != 0
    assert "images/new.nix" in before.stderr
    checkout.git("add", "images/new.nix")
    assert "images/new.nix" not in checkout.nix("eval", ".#sdk.drvPath").stderr


def test_a_pinned_file_that_is_in_no_store_names_the_command(checkout, tmp_path):
    """With an empty store the message says `run-make-fetch`, and for which file; no output is left behind."""
    store = ["--store", f"local?root={tmp_path}", "--option", "build-users-group", ""]
    # Nix 2.8, as root, moves what a failed build left to the path in the *real* store: that has to be read-only here.
    shield = ["bwrap", "--cap-add", "ALL", "--dev-bind", "/", "/", "--ro-bind", "/nix", "/nix", "--"]
    done = subprocess.run(
        [*(shield if os.getuid() == 0 else []), "nix", "build", ".#sdk", "--no-link", *store],
        cwd=checkout.path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    named = re.search(r"run-make-fetch:///([\w.+-]+)", done.stderr)
    assert named, done.stderr
    lock = json.loads((ROOT / "images/lock/debian.lock.json").read_text())
    assert named[1] in {artifact["store"] for artifact in [*lock["artifacts"], lock["bootstrap"]]}
    # What evaluating leaves is sources and recipes; `nix-store` counts the valid paths.
    valid = checkout.nix("path-info", "--all", *store).stdout.split()
    assert not [path for path in valid if not path.endswith((".drv", ".sh", ".py", "-source", "-samebits-sdk"))]


def test_without_the_sandbox_it_refuses(checkout):
    """The builder itself notices, and says which setting is off."""
    checkout.append("sdk/src/samebits/__init__.py", "\n# a build that no store has yet, for want of the sandbox\n")
    done = checkout.nix("build", ".#sdk", "--no-link", "--option", "sandbox", "false")
    assert done.returncode != 0
    assert "needs Nix's sandbox, which is switched off here" in done.stderr
    assert "'sandbox = true'" in done.stderr
