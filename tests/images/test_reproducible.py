"""The same bits elsewhere: under another clock, host name, core count and file system, and by the newest Nix."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from images import plan

pytestmark = pytest.mark.image
ROOT = Path(__file__).parents[2]

# A layer that tells its time, place, cores and file system: what ours must never do.
CARELESS = """
mkdir /build/root
{ date -u +%Y; hostname; nproc; stat -f -c %T /build; date +%s.%N; } > /build/root/careless
python3 "$pack" pack /build/root "$out"
"""


@pytest.fixture(scope="module")
def careless(make_checkout):
    """Makes checkouts that also have the layer above."""

    def make():
        checkout = make_checkout()
        (checkout.path / "images/nix/careless.sh").write_text(CARELESS)
        (checkout.path / "images/layers/careless.nix").write_text(
            '{ layer, ... }: layer { name = "careless"; script = ../nix/careless.sh; }\n'
        )
        checkout.edit("images/layers/default.nix", "layers = {\n", "layers = {\n    careless = make ./careless.nix;\n")
        checkout.git("add", ".")
        return checkout

    return make


@pytest.fixture(scope="module")
def usual(careless):
    """The builder as it is."""
    return careless()


@pytest.fixture(scope="module")
def elsewhere(careless):
    """The same builder on a machine of another name with one core and little memory, five years later.

    The clock is turned for every program: libfaketime from the lock, loaded by the tools' root and, beside fakeroot, in
    the roots that maintainer scripts run in.
    """
    checkout = careless()
    checkout.edit(
        "images/nix/tools.nix",
        '++ locks.set "debian" "tools"',
        '++ locks.set "debian" "tools" ++ locks.set "debian" "test"',
    )
    library = "usr/lib/x86_64-linux-gnu/libfakeroot/libfaketime.so.1"
    checkout.append(
        "images/nix/tools.sh",
        f'\ncp "$out/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1" "$out/{library}"\n'
        f'echo "/{library}" > "$out/etc/ld.so.preload"\n',
    )
    in_tools = "images/nix/in-tools.sh"
    checkout.edit(in_tools, "unshare -U -r -m", "unshare -U -r -m -u")
    checkout.edit(in_tools, '  cd "$tools"\n', '  "$busybox" hostname elsewhere\n  cd "$tools"\n')
    checkout.edit(in_tools, "-gt $((12 * 1024 * 1024))", "-lt 0")
    checkout.edit(in_tools, 'exec "$busybox" chroot', 'exec "$busybox" taskset 1 "$busybox" chroot')
    checkout.edit(
        in_tools,
        "export SOURCE_DATE_EPOCH",
        "export FAKETIME=+1900d NO_FAKE_STAT=1 FAKETIME_DONT_FAKE_MONOTONIC=1\nexport SOURCE_DATE_EPOCH",
    )
    checkout.edit("images/nix/debian.sh", "libfakeroot-sysv.so\n", f"libfakeroot-sysv.so:/{library}\n")
    return checkout


def facts(checkout, layer):
    """What a layer's output says of itself."""
    link = checkout.path / f"built-{layer}"
    done = checkout.nix("build", f".#layer-{layer}", "--out-link", str(link))
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((link / "layer.json").read_text())


def told(checkout):
    """What the careless layer wrote down: year, host name, cores, file system, moment."""
    blob = subprocess.run(
        ["zstd", "-dc", checkout.path / "built-careless/blob.tar.zst"], check=True, capture_output=True
    )
    return subprocess.run(
        ["tar", "-xO", "./careless"], input=blob.stdout, check=True, capture_output=True
    ).stdout.split()


def available_memory():
    """In bytes."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) << 10


def test_elsewhere_is_elsewhere(usual, elsewhere):
    """The other clock, host name, core count and file system are what a build there sees."""
    digests = {facts(checkout, "careless")["digest"] for checkout in (usual, elsewhere)}
    assert len(digests) == 2
    (year, host, cores, place, _), (other_year, other_host, other_cores, other_place, _) = told(usual), told(elsewhere)
    assert int(other_year) >= int(year) + 5
    assert (host != other_host, other_host) == (True, b"elsewhere")
    assert other_cores == b"1"
    assert cores != other_cores or os.cpu_count() == 1
    assert (place, other_place != place) == (b"tmpfs", True) or available_memory() < 16 << 30


def test_another_clock_host_and_core_count_give_the_same_bytes(usual, elsewhere, any_layer):
    """Digest, uncompressed digest and size of the layer: all alike."""
    assert facts(elsewhere, any_layer) == facts(usual, any_layer)


@pytest.fixture(scope="module")
def newest_nix(newest, usual, tmp_path_factory):
    """Runs the newest Nix on a store of its own that holds the pinned files and nothing built."""
    folder = tmp_path_factory.mktemp("newest")
    store = f"local?root={folder}/root"
    pinned = plan.make(ROOT / "images/lock", []).paths
    subprocess.run(["nix", "copy", "--no-check-sigs", "--to", store, *pinned], check=True, capture_output=True)
    settings = (
        "experimental-features = nix-command flakes\nsandbox = true\nsandbox-fallback = false\n"
        "substitute = false\nsubstituters =\nbuild-users-group =\n"
        "require-drop-supplementary-groups = false\n"  # in a user namespace there are none to drop
    )

    def run(*words):
        environment = {"NIX_REMOTE": store, "NIX_CONFIG": settings}
        command = newest("nix", *words, folders=[folder, usual.path], environment=environment)
        return subprocess.run(command, capture_output=True, text=True, check=False)

    yield run, folder
    subprocess.run(["chmod", "-R", "u+w", folder], check=False)
    subprocess.run(["rm", "-rf", folder], check=False)


def test_the_newest_nix_makes_the_same_recipes(newest_nix, usual):
    """It is another Nix, and every derivation's path agrees with this machine's."""
    run, _ = newest_nix
    assert run("--version").stdout != usual.nix("--version").stdout
    for name in ("workspace-cpu", "mlflow", "sdk"):
        words = ["eval", "--raw", f"{usual.path}#{name}.drvPath"]
        there, here = run(*words), usual.nix(*words)
        assert there.stdout == here.stdout != "", there.stderr


def test_the_newest_nix_builds_the_same_images(newest_nix, usual, mlflow, workspace):
    """From the pinned files alone, to the same digests at the same store paths."""
    run, folder = newest_nix
    words = [f"{usual.path}#{name}" for name in ("mlflow", "workspace-cpu")]
    done = run("build", *words, "--no-link", "--print-out-paths")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [str(mlflow.path), str(workspace.path)]
    for image in (mlflow, workspace):
        built = folder / "root" / image.path.relative_to("/")
        assert (built / "digest").read_text() == (image.path / "digest").read_text()
        assert (built / "index.json").read_bytes() == (image.path / "index.json").read_bytes()
