"""Making a machine ready: what is asked, what is written into Nix's configuration, and what is refused."""

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "images/setup-nix.sh"
INSTALL = ROOT / "tests/install.sh"
NOBODY = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user is asked for sudo's password")


@pytest.fixture
def configuration(tmp_path):
    """The folder of a Nix configuration as Debian ships it: no sandbox, no flakes."""
    folder = tmp_path / "nix"
    folder.mkdir()
    (folder / "nix.conf").write_text("sandbox = false\n")
    return folder


@pytest.fixture
def setup(configuration):
    """Runs the script on that configuration, as `make` does, with no terminal."""

    def run(**environ: str) -> subprocess.CompletedProcess[str]:
        return start(configuration, NIX_CONFIG="extra-experimental-features = nix-command flakes", **environ)

    return run


def start(configuration, *command, **environ):
    """A command with that configuration, and of this process' settings the place of programs only."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "NIX_CONF_DIR": str(configuration)}
    return subprocess.run(
        command or [SCRIPT],
        env=environment | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def written(configuration):
    """What was added, line by line."""
    first, *added = (configuration / "nix.conf").read_text().splitlines()
    assert first == "sandbox = false"
    return added


def test_sandbox_and_flakes_are_switched_on_for_what_people_type(setup, configuration):
    """The user's own nix commands work afterwards, although make's were told the same by its environment."""
    before = start(configuration, "nix", "flake", "metadata", str(ROOT))
    assert "experimental" in before.stderr
    done = setup(YES="1")
    assert done.returncode == 0, done.stderr
    assert written(configuration) == [
        "# By Samebits: builds see nothing of this machine.",
        "sandbox = true",
        "sandbox-fallback = false",
        "extra-experimental-features = nix-command flakes",
    ]
    after = start(configuration, "nix", "flake", "metadata", str(ROOT))
    assert after.returncode == 0, after.stderr


def test_a_second_time_there_is_nothing_to_do(setup, configuration):
    """Nothing is asked, said or written where all is well."""
    setup(YES="1")
    before = written(configuration)
    again = setup()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert written(configuration) == before


def test_what_is_set_already_is_left_alone(setup, configuration):
    """Only what is missing is added, below what the administrator wrote."""
    with (configuration / "nix.conf").open("a") as file:
        file.write("experimental-features = flakes nix-command ca-derivations\n")
    setup(YES="1")
    assert written(configuration) == [
        "experimental-features = flakes nix-command ca-derivations",
        "# By Samebits: builds see nothing of this machine.",
        "sandbox = true",
        "sandbox-fallback = false",
    ]


def test_without_a_terminal_nothing_is_changed_unasked(setup, configuration):
    """The refusal says what would be done, and how to let it."""
    done = setup()
    assert done.returncode == 1
    assert "sandbox = true" in done.stderr
    assert "YES=1" in done.stderr
    assert written(configuration) == []


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_on_a_terminal_it_asks(configuration, answer, code):
    """Only a yes is a yes."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [SCRIPT],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "NIX_CONF_DIR": str(configuration)},
        stdin=follower,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(leader, f"{answer}\n".encode())
    _, errors = process.communicate(timeout=60)
    os.close(follower)
    os.close(leader)
    assert "Go on? [y/N]" in errors
    assert process.returncode == code
    assert bool(written(configuration)) is (code == 0)
    assert code == 0 or "nothing was changed" in errors


@pytest.fixture
def path_without(tmp_path):
    """A PATH on which everything is but one program."""

    def make(missing: str) -> str:
        folder = tmp_path / "bin"
        folder.mkdir()
        for place in os.environ["PATH"].split(":"):
            for program in Path(place).iterdir() if Path(place).is_dir() else []:
                if program.name != missing and not (folder / program.name).is_symlink():
                    (folder / program.name).symlink_to(program)
        return str(folder)

    return make


def test_a_missing_nix_is_named_before_it_is_installed(path_without, configuration):
    """What apt-get would install stands in the question."""
    if Path("/nix/var/nix/profiles/default/bin/nix").exists() or (Path.home() / ".nix-profile/bin/nix").exists():
        pytest.skip("Nix is installed where the script always looks")
    done = start(configuration, SCRIPT, PATH=path_without("nix"))
    assert done.returncode == 1
    assert "To be installed with apt-get: nix-bin" in done.stderr
    assert "YES=1" in done.stderr


def test_without_apt_get_it_says_what_to_install(path_without, configuration):
    """On other systems the names of what is missing have to do."""
    path = Path(path_without("nix"))
    (path / "apt-get").unlink(missing_ok=True)
    if shutil.which("nix", path=f"{path}:/nix/var/nix/profiles/default/bin:{Path.home()}/.nix-profile/bin"):
        pytest.skip("Nix is installed where the script always looks")
    done = start(configuration, SCRIPT, PATH=str(path), YES="1")
    assert done.returncode == 1
    assert "missing here: nix-bin" in done.stderr
    assert "as your system does" in done.stderr


def test_what_the_tests_need_is_named_before_it_is_installed(path_without, configuration):
    """The same for the programs that the tests use."""
    done = start(configuration, INSTALL, PATH=path_without("skopeo"))
    assert done.returncode == 1
    assert "apt-get would install: skopeo" in done.stderr
    assert "YES=1" in done.stderr


def test_a_user_without_the_daemon_is_told_what_is_needed(configuration, tmp_path):
    """Somebody who may neither write the store nor reach the daemon gets the next step."""
    script = shutil.copy(SCRIPT, tmp_path)
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    done = start(
        configuration,
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        "sh",
        script,
        HOME="/nonexistent",
    )
    assert done.returncode == 1
    assert "nix-users" in done.stderr or "Nix's daemon does not run here. Start it" in done.stderr
