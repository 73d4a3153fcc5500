"""The workspace entered without a container runtime: what crosses into it, and what does not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.image
EXIT_ERROR = 3


@pytest.fixture
def project(tmp_path):
    """A repository with one commit."""
    git(tmp_path, "init", "-q")
    (tmp_path / "data.txt").write_text("here")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=T", "-c", "user.email=t@example.invalid", "commit", "-qm", "first")
    return tmp_path


def git(folder, *words):
    subprocess.run(["git", *words], cwd=folder, check=True)


def test_python_is_the_image_s(enter, project):
    """`python` is Debian 13's, and nothing of the host's Python is on its path or in sight."""
    seen = enter("python", "-c", "import sys; print(sys.version.split()[0], sys.prefix, *sys.path)", cwd=project)
    version, prefix, *path = seen.stdout.split()
    assert (version[:4], prefix) == ("3.13", "/usr")
    assert all(entry.startswith(("/usr/lib/python", "/usr/local/lib/python3.13")) for entry in path)
    host = Path(sys.base_prefix)
    if not host.is_relative_to(Path.home()) and host != Path("/usr"):
        assert enter("ls", str(host), cwd=project).returncode != 0


def test_project_and_home_are_mounted_and_the_rest_is_read_only(enter, project):
    """What is written in the project is there afterwards; the system cannot be written."""
    done = enter("sh", "-c", "cat data.txt && echo new > made.txt && echo $HOME && touch /tmp/x", cwd=project)
    assert (done.returncode, done.stdout) == (0, "here/home/samebits\n"), done.stderr
    assert (project / "made.txt").read_text() == "new\n"
    listed = enter("ls", "-A", "/home/samebits", cwd=project).stdout.split()
    assert {entry.name for entry in Path.home().iterdir()} == set(listed)
    for path in ("/usr/x", "/etc/x", "/x", "/usr/local/lib/python3.13/dist-packages/x"):
        refused = enter("touch", path, cwd=project)
        assert refused.returncode == 1
        assert "Read-only" in refused.stderr


def test_the_folder_of_the_tracking_store_does_not_make_the_project_dirty(enter, project):
    """`.samebits` ignores itself."""
    enter("true", cwd=project)
    assert (project / ".samebits").is_dir()
    state = subprocess.run(["git", "status", "--porcelain"], cwd=project, check=True, capture_output=True, text=True)
    assert state.stdout == ""


@pytest.mark.parametrize(
    "word", ["", " ", "two words", 'it\'s "quoted"', "$HOME `id` \\", "line\nbreak", "-x", "ü", "*"]
)
def test_arguments_arrive_as_they_are(enter, project, word):
    """No shell stands between the two command lines."""
    program = "import os, sys; sys.stdout.buffer.write(os.fsencode(repr(sys.argv[1:])))"
    assert enter("python", "-c", program, word, "last", cwd=project).stdout == repr([word, "last"])


def test_a_subfolder_stays_the_current_folder(enter, project):
    """The command starts where the user stands."""
    (project / "a b").mkdir()
    assert enter("pwd", cwd=project / "a b").stdout == f"{project}/a b\n"


@pytest.mark.parametrize("code", [0, 1, 42])
def test_exit_codes_pass_through(enter, project, code):
    """The workspace adds nothing of its own."""
    assert enter("sh", "-c", f"exit {code}", cwd=project).returncode == code


def test_a_program_that_is_not_there_says_so(enter, project):
    """The message names the program."""
    done = enter("no-such-program", cwd=project)
    assert done.returncode != 0
    assert "no-such-program" in done.stderr


def test_only_settings_on_the_list_cross(enter, project):
    """A token of another tool stays outside; MLflow's and thread settings come along."""
    environment = os.environ | {"OTHER_TOKEN": "secret", "MLFLOW_TRACKING_URI": "http://127.0.0.1:1", "OMP_NUM_THREADS": "7",
                                "PYTHONPATH": "/host", "LD_LIBRARY_PATH": "/host"}  # fmt: skip
    seen = enter("env", cwd=project, env=environment).stdout
    assert "MLFLOW_TRACKING_URI=http://127.0.0.1:1\n" in seen
    assert "OMP_NUM_THREADS=7\n" in seen
    for name in ("OTHER_TOKEN", "PYTHONPATH", "LD_LIBRARY_PATH"):
        assert name not in seen


def test_a_value_with_every_awkward_character_crosses_whole(enter, project):
    """Quotes, newlines and dollars in a setting are not evaluated on the way."""
    value = "a 'b' \"c\" $(id) `id` \\ \n d"
    seen = enter("python", "-c", "import os; print(repr(os.environ['MLFLOW_NOTE']))", cwd=project,
                 env=os.environ | {"MLFLOW_NOTE": value})  # fmt: skip
    assert seen.stdout == repr(value) + "\n"


def test_it_knows_its_image_and_flake(enter, project, workspace_image):
    """The record's fields come from here."""
    seen = enter("sh", "-c", "echo $SAMEBITS_IMAGE; echo $SAMEBITS_FLAKE; head -c 99 $SAMEBITS_CLOSURE", cwd=project)
    digest, flake, manifest = seen.stdout.splitlines()
    assert digest == (workspace_image / "digest").read_text().strip()
    assert flake.endswith("#workspace-cpu")
    assert manifest.startswith('{"closure_id":"sha256:')


def test_a_git_worktree_works(enter, project):
    """git inside sees the objects of the main repository, which lie outside the worktree."""
    other = project.parent / f"{project.name}-worktree"
    git(project, "worktree", "add", "-q", str(other))
    done = enter("git", "log", "--oneline", cwd=other)
    assert done.returncode == 0, done.stderr
    assert "first" in done.stdout


def test_a_signal_ends_it(enter, flake_output, project):
    """Nothing keeps running after the command was ended."""
    program = flake_output("enter-workspace-cpu") / "bin/enter-workspace-cpu"
    running = subprocess.Popen([program, "sh", "-c", "echo up; exec sleep 98765"], cwd=project, stdout=subprocess.PIPE)
    assert running.stdout.readline() == b"up\n"
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) != 0
    assert subprocess.run(["pgrep", "-f", "sleep 98765"], check=False, capture_output=True).returncode == 1


def test_a_system_folder_is_no_project(enter):
    """The workspace's own /usr would vanish behind the host's."""
    done = enter("true", cwd="/usr")
    assert done.returncode == EXIT_ERROR
    assert "is no project folder" in done.stderr


def test_without_a_command_it_says_what_to_type(enter, project):
    """An example, not a usage line."""
    done = enter(cwd=project)
    assert done.returncode == EXIT_ERROR
    assert "python -V" in done.stderr


def test_forbidden_user_namespaces_are_explained(flake_output, project):
    """Where the kernel gives none, the message says which setting allows them."""
    program = flake_output("enter-workspace-cpu") / "bin/enter-workspace-cpu"
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", forbid, "sh", program, "true"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EXIT_ERROR
    assert "user namespaces" in done.stderr
    assert "sysctl -w" in done.stderr
    allowed = subprocess.run(
        ["unshare", "-Urm", program, "true"], cwd=project, capture_output=True, text=True, check=False
    )
    assert allowed.returncode == 0, allowed.stderr
