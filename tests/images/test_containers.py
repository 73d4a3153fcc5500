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
WORKSPACE, MLFLOW = "samebits/workspace-cpu:latest", "samebits/mlflow:latest"


def loaded_configuration(archive: Path, expected: str) -> tuple[dict, str]:
    """The configuration inside a docker-archive, and the name of its file, as `docker load` finds them."""
    with tarfile.open(archive) as tar:
        [image] = json.load(tar.extractfile("manifest.json"))
        assert [name.removeprefix("docker.io/") for name in image["RepoTags"]] == [expected]
        return json.load(tar.extractfile(image["Config"])), image["Config"]


def skopeo_copy(program, *words):
    return subprocess.run(
        [*program, "--insecure-policy", "copy", "--quiet", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_current_skopeo_copies_it_for_docker(workspace, newest, tmp_path):
    """`skopeo copy oci:… docker-archive:…`, and the image keeps its identity: the configuration's digest."""
    archive = tmp_path / "workspace.tar"
    skopeo = newest("skopeo", folders=[tmp_path], environment={"TMPDIR": str(tmp_path)})
    done = skopeo_copy(skopeo, f"oci:{workspace.path}", f"docker-archive:{archive}:{WORKSPACE}")
    assert done.returncode == 0, done.stderr
    configuration, name = loaded_configuration(archive, WORKSPACE)
    archive.unlink()
    assert configuration == workspace.configuration
    assert name == workspace.manifest["config"]["digest"][7:] + ".json"


def test_an_old_skopeo_copies_it_in_two_steps(mlflow, tmp_path):
    """Before 1.14 skopeo refuses zstd for docker-archive; recompressed on the way through a folder it is the same image."""
    archive, folder = tmp_path / "mlflow.tar", tmp_path / "gzip"
    gzip = ["--dest-compress", "--dest-compress-format", "gzip", "--dest-compress-level", "1"]
    for words in (
        [*gzip, f"oci:{mlflow.path}", f"dir:{folder}"],
        [f"dir:{folder}", f"docker-archive:{archive}:{MLFLOW}"],
    ):
        done = skopeo_copy(["skopeo"], *words)
        assert done.returncode == 0, done.stderr
    configuration, _ = loaded_configuration(archive, MLFLOW)
    archive.unlink()
    assert configuration == mlflow.configuration


class Containerd:
    """A containerd of the test's own, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.socket = folder, folder / "socket"

    def ctr(self, *words) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ctr", "--address", self.socket, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def load(self, layout: Path) -> None:
        """Imports an image as `nix build` leaves it; layers that are there already are not unpacked again."""
        archive = self.folder / "image.tar"
        subprocess.run(["tar", "-C", layout, "-chf", archive, "--mode=u+w", "."], check=True)
        done = self.ctr("images", "import", archive)
        archive.unlink()
        assert done.returncode == 0, done.stderr

    def run(self, image: str, *command) -> subprocess.CompletedProcess[str]:
        """Runs a command in a fresh container of the image."""
        return self.ctr("run", "--rm", "--net-host", image, f"test-{uuid.uuid4()}", *command)


@pytest.fixture(scope="module")
def containerd(tmp_path_factory, mlflow, workspace):
    """A containerd that has imported both images; it and all it started are gone afterwards."""
    if os.getuid():
        pytest.skip("a containerd needs root")
    folder = tmp_path_factory.mktemp("containerd")
    (folder / "config.toml").write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{folder}/socket"\n'
    )
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen(["containerd", "--config", folder / "config.toml"], stdout=log, stderr=log)
    server = Containerd(folder)
    try:
        for _ in range(100):
            if server.ctr("version").returncode == 0:
                break
            assert daemon.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
        for layout in (mlflow, workspace):
            server.load(layout.path)
        yield server
    finally:
        daemon.terminate()
        daemon.wait(30)
        subprocess.run(["rm", "-rf", folder / "root", folder / "state"], check=False)


@pytest.fixture(params=[WORKSPACE, MLFLOW])
def run(request, containerd):
    """Runs a command in a container of each image in turn."""
    return lambda *command: containerd.run(request.param, *command)


def test_containerd_knows_them_by_our_digests(containerd, mlflow, workspace):
    """What is deployed by digest is what `nix build` wrote."""
    listed = containerd.ctr("images", "ls").stdout
    for name, layout in ((MLFLOW, mlflow), (WORKSPACE, workspace)):
        [line] = [line for line in listed.splitlines() if line.startswith(f"{name} ")]
        assert (layout.path / "digest").read_text().strip() in line


def test_python_runs_in_a_container(run):
    """With the image's own interpreter, behind tini."""
    assert run("python3", "-V").stdout.startswith("Python 3.13")
    assert run("cat", "/proc/1/comm").stdout == "cat\n"
    entry = run("/usr/bin/tini", "--", "sh", "-c", "cat /proc/1/comm")
    assert entry.stdout == "tini\n"


def test_the_container_is_uid_1000_with_a_home_to_write_in(run):
    """The user has a name, which Java and ssh ask for; its home is writable, the system is not."""
    assert run("id").stdout == "uid=1000(samebits) gid=1000(samebits) groups=1000(samebits)\n"
    wrote = run("sh", "-c", "pwd && touch here ~/.config && ls -A")
    assert wrote.stdout.startswith("/home/samebits\n"), wrote.stderr
    assert {"here", ".config"} <= set(wrote.stdout.split())
    refused = run("touch", "/usr/local/x")
    assert refused.returncode != 0
    assert "Permission denied" in refused.stderr


def test_dpkg_is_clean_in_a_container(run):
    """The package database survives being packed and unpacked by somebody else."""
    audit = run("dpkg", "--audit")
    assert (audit.returncode, audit.stdout) == (0, ""), audit.stderr


def test_mlflow_starts_in_a_container(containerd):
    """The server's program answers, with PostgreSQL's and S3's clients beside it."""
    assert containerd.run(MLFLOW, "mlflow", "--version").stdout.startswith("mlflow, version 3.")
    done = containerd.run(MLFLOW, "python3", "-c", "import boto3, psycopg; print(psycopg.pq.__impl__)")
    assert done.stdout == "binary\n", done.stderr


def test_the_workspace_computes_in_a_container(containerd, workspace):
    """PyTorch and Spark compute, and the SDK finds the closure that the image's label names."""
    program = """
import os, torch
from pyspark.sql import SparkSession
from samebits.capture import used_closure
print("torch", float(torch.ones(3, 3) @ torch.ones(3) @ torch.ones(3)))
print("spark", SparkSession.builder.master("local[1]").getOrCreate().range(10).selectExpr("sum(id) AS s").first().s)
print("closure", used_closure(os.environ).closure_id)
"""
    told = containerd.run(WORKSPACE, "python3", "-W", "ignore", "-c", program)
    labels = workspace.configuration["config"]["Labels"]
    expected = ["torch 9.0", "spark 45", f"closure {labels['samebits.closure_id']}"]
    assert told.stdout.splitlines() == expected, told.stderr[-3000:]


def test_a_failing_command_fails(run):
    """Exit codes come through, so that the tests above can fail."""
    assert run("sh", "-c", "exit 7").returncode == 7
