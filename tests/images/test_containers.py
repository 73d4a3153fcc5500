"""The images in the ecosystem's own tools: skopeo, and a real containerd with runc."""

import json
import os
import subprocess
import tarfile
import time
import uuid
from pathlib import Path

import pytest

pytestmark = pytest.mark.image
NAME = "samebits/mlflow:latest"


def loaded_configuration(archive: Path) -> tuple[dict, str]:
    """The configuration inside a docker-archive, and the name of its file, as `docker load` finds them."""
    with tarfile.open(archive) as tar:
        [image] = json.load(tar.extractfile("manifest.json"))
        assert [name.removeprefix("docker.io/") for name in image["RepoTags"]] == [NAME]
        return json.load(tar.extractfile(image["Config"])), image["Config"]


def skopeo_copy(program, *words):
    return subprocess.run(
        [*program, "--insecure-policy", "copy", "--quiet", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_current_skopeo_copies_it_for_docker(mlflow, newest, tmp_path):
    """`skopeo copy oci:… docker-archive:…`, and the image keeps its identity: the configuration's digest."""
    archive = tmp_path / "mlflow.tar"
    done = skopeo_copy(newest("skopeo", folders=[tmp_path]), f"oci:{mlflow.path}", f"docker-archive:{archive}:{NAME}")
    assert done.returncode == 0, done.stderr
    configuration, name = loaded_configuration(archive)
    archive.unlink()
    assert configuration == mlflow.configuration
    assert name == mlflow.manifest["config"]["digest"][7:] + ".json"


def test_an_old_skopeo_copies_it_in_two_steps(mlflow, tmp_path):
    """Before 1.14 skopeo refuses zstd for docker-archive; recompressed on the way through a folder it is the same image."""
    archive, folder = tmp_path / "mlflow.tar", tmp_path / "gzip"
    gzip = ["--dest-compress", "--dest-compress-format", "gzip", "--dest-compress-level", "1"]
    for words in (
        [*gzip, f"oci:{mlflow.path}", f"dir:{folder}"],
        [f"dir:{folder}", f"docker-archive:{archive}:{NAME}"],
    ):
        done = skopeo_copy(["skopeo"], *words)
        assert done.returncode == 0, done.stderr
    configuration, _ = loaded_configuration(archive)
    archive.unlink()
    assert configuration == mlflow.configuration


class Containerd:
    """A containerd of the test's own, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "socket"

    def ctr(self, *words) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ctr", "--address", self.socket, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def run(self, *command) -> subprocess.CompletedProcess[str]:
        """Runs a command in a fresh container of the image."""
        return self.ctr("run", "--rm", "--net-host", NAME, f"test-{uuid.uuid4()}", *command)


@pytest.fixture(scope="module")
def containerd(tmp_path_factory, mlflow):
    """A containerd that has imported the image; it and all it started are gone afterwards."""
    if os.getuid():
        pytest.skip("a containerd needs root")
    folder = tmp_path_factory.mktemp("containerd")
    (folder / "config.toml").write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{folder}/socket"\n'
    )
    archive = folder / "image.tar"
    subprocess.run(["tar", "-C", mlflow.path, "-chf", archive, "--mode=u+w", "."], check=True)
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen(["containerd", "--config", folder / "config.toml"], stdout=log, stderr=log)
    server = Containerd(folder)
    try:
        for _ in range(100):
            if server.ctr("version").returncode == 0:
                break
            assert daemon.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
        done = server.ctr("images", "import", archive)
        assert done.returncode == 0, done.stderr
        archive.unlink()
        yield server
    finally:
        daemon.terminate()
        daemon.wait(30)
        subprocess.run(["rm", "-rf", folder / "root", folder / "state"], check=False)


def test_containerd_knows_it_by_our_digest(containerd, mlflow):
    """What is deployed by digest is what `nix build` wrote."""
    listed = containerd.ctr("images", "ls").stdout
    assert f"{NAME} " in listed
    assert (mlflow.path / "digest").read_text().strip() in listed


def test_python_runs_in_a_container(containerd):
    """With the image's own interpreter, behind tini."""
    assert containerd.run("python3", "-V").stdout.startswith("Python 3.13")
    assert containerd.run("cat", "/proc/1/comm").stdout == "cat\n"
    entry = containerd.run("/usr/bin/tini", "--", "sh", "-c", "cat /proc/1/comm")
    assert entry.stdout == "tini\n"


def test_the_container_is_uid_1000_with_a_home_to_write_in(containerd):
    """The user has a name, which Java and ssh ask for; its home is writable, the system is not."""
    assert containerd.run("id").stdout == "uid=1000(samebits) gid=1000(samebits) groups=1000(samebits)\n"
    wrote = containerd.run("sh", "-c", "pwd && touch here ~/.config && ls -A")
    assert wrote.stdout.startswith("/home/samebits\n"), wrote.stderr
    assert {"here", ".config"} <= set(wrote.stdout.split())
    refused = containerd.run("touch", "/usr/local/x")
    assert refused.returncode != 0
    assert "Permission denied" in refused.stderr


def test_mlflow_starts_in_a_container(containerd):
    """The server's program answers, with PostgreSQL's and S3's clients beside it."""
    assert containerd.run("mlflow", "--version").stdout.startswith("mlflow, version 3.")
    done = containerd.run("python3", "-c", "import boto3, psycopg; print(psycopg.pq.__impl__)")
    assert done.stdout == "binary\n", done.stderr


def test_a_failing_command_fails(containerd):
    """Exit codes come through, so that the tests above can fail."""
    assert containerd.run("sh", "-c", "exit 7").returncode == 7
