"""Built twice, the same bits: every layer, and a derivation made to fail the same check."""

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.image
ROOT = Path(__file__).parents[2]


def test_a_second_build_agrees(flake_output, any_layer):
    """Nix builds the layer again, at another moment, and compares."""
    flake_output(f"layer-{any_layer}")
    flake_output(f"layer-{any_layer}", "--rebuild")


def test_the_check_catches_a_build_that_differs(tmp_path):
    """A derivation that writes the time of day does not pass it."""
    program = tmp_path / "clock.nix"
    program.write_text(
        f'let busybox = (import {ROOT}/images/nix/locks.nix {{ system = "x86_64-linux"; }}).busybox;'
        'in derivation { name = "clock"; system = "x86_64-linux"; builder = "${busybox}/busybox";'
        ' args = [ "sh" "-c" "${busybox}/busybox date +%s%N > $out; ${busybox}/busybox sleep 1.1" ]; }'
    )
    subprocess.run(["nix-build", str(program), "--no-out-link"], check=True, capture_output=True)
    again = subprocess.run(
        ["nix-build", str(program), "--no-out-link", "--check"], check=False, capture_output=True, text=True
    )
    assert again.returncode != 0
    assert "not be deterministic" in again.stderr
