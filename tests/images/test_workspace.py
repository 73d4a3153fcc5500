"""What the workspace promises to hold, tried inside it."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.image
ROOT = Path(__file__).parents[2]
MODULES = [
    "torch",
    "lightning",
    "sklearn",
    "pandas",
    "pyarrow",
    "matplotlib",
    "mlflow",
    "mlflow.pytorch",
    "pyspark",
    "prestodb",
    "feast",
    "boto3",
    "s3fs",
    "duckdb",
    "redis",
    "psycopg",
    "samebits",
    "jupyterlab",
    "jupyterhub",
    "jupyterlab_git",
    "jupyter_resource_usage",
    "tensorboard",
    "threadpoolctl",
    "detect_secrets",
    "ipykernel",
    "feast.infra.online_stores.postgres_online_store.postgres",
    "feast.infra.online_stores.redis",
    "feast.infra.offline_stores.duckdb",
]


@pytest.fixture
def inside(enter, tmp_path):
    """Runs a command in the workspace, in an empty project, and demands success."""

    def run(*command, **options):
        done = enter(*command, cwd=tmp_path, **options)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout

    return run


def test_every_promised_package_is_importable(inside):
    """In one process, so that they also get along."""
    program = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]; print('all')"
    assert inside("python", "-W", "ignore", "-c", program, *MODULES).splitlines()[-1] == "all"


def test_torch_is_debian_s_and_shares_memory_with_numpy(inside):
    """One torch version in all images, and arrays that cross without a copy."""
    program = (
        "import numpy, torch; a = numpy.ones(3, numpy.float32); t = torch.from_numpy(a); t += 1;"
        "print(torch.__version__, torch.__file__, a.tolist())"
    )
    version, path, numbers = inside("python", "-c", program).split(maxsplit=2)
    assert version.startswith("2.6.0")
    assert path.startswith("/usr/lib/python3")
    assert numbers.strip() == "[2.0, 2.0, 2.0]"


def test_dpkg_is_clean_and_holds_what_the_lock_says(inside):
    """Real dpkg, every package configured, each at its locked version."""
    assert inside("dpkg", "--audit") == ""
    told = dict(
        line.split("\t")
        for line in inside("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Package}\t${Version}\n").splitlines()
    )
    lock = json.loads((ROOT / "images/lock/debian.lock.json").read_text())
    wanted = {f"ii {a['name']}": a["version"] for a in lock["artifacts"] if {"base", "workspace"} & set(a["sets"])}
    assert told == wanted


def test_wheels_are_the_locked_ones(inside):
    """Python's own metadata name the locked versions."""
    program = (
        "import importlib.metadata as m, json;"
        "print(json.dumps({d.name.lower().replace('_', '-').replace('.', '-'): d.version"
        " for d in m.distributions(path=['/usr/local/lib/python3.13/dist-packages'])}))"
    )
    told = json.loads(inside("python", "-c", program))
    lock = json.loads((ROOT / "images/lock/python.lock.json").read_text())
    wanted = {
        re.sub(r"[-_.]+", "-", a["name"]).lower(): a["version"]
        for a in lock["artifacts"] if {"mlflow", "workspace"} & set(a["sets"])
    }  # fmt: skip
    told.pop("samebits")
    assert told == wanted


def test_pip_finds_one_known_conflict(enter, tmp_path):
    """Debian's torch asks for a sympy that Debian itself does not ship; whatever else disagrees is new, and to be looked at."""
    told = enter("python", "-m", "pip", "check", cwd=tmp_path).stdout.splitlines()
    assert [line.partition(" has requirement ")[2].partition("=")[0] for line in told] == ["sympy"]


def test_the_shell_has_its_tools(inside):
    """git, ssh, curl, vim, ps, tini and Java 21."""
    for command in (
        ["git", "--version"],
        ["ssh", "-V"],
        ["curl", "--version"],
        ["vim", "--version"],
        ["ps", "ax"],
        ["tini", "--version"],
    ):
        inside(*command)
    assert "21." in inside("sh", "-c", "java -version 2>&1")


def test_spark_runs_and_has_s3a(inside):
    """A local job computes, and the S3A file system's classes load with the same Hadoop."""
    program = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[2]").getOrCreate()
print("rows", sorted((r.k, r["count"]) for r in spark.range(10).selectExpr("id % 2 AS k").groupBy("k").count().collect()))
for name in ("org.apache.hadoop.fs.s3a.S3AFileSystem", "software.amazon.awssdk.services.s3.S3AsyncClient"):
    print("class", spark._jvm.java.lang.Class.forName(name).getName())
"""
    told = inside("python", "-c", program)
    assert "rows [(0, 5), (1, 5)]" in told
    assert told.count("class ") == 2


def test_jupyterlab_s_extensions_are_enabled(inside):
    """git and the resource monitor, on both sides."""
    labs = inside("sh", "-c", "jupyter labextension list 2>&1")
    servers = inside("sh", "-c", "jupyter server extension list 2>&1")
    for lab, server in (
        ("@jupyterlab/git", "jupyterlab_git"),
        ("@jupyter-server/resource-usage", "jupyter_resource_usage"),
    ):
        assert re.search(rf"{lab} v\S+ .*enabled.*OK", labs)
        assert re.search(rf"{server} \S+ .*OK", servers)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def get(address, until=120):
    """The answer's status and body, once there is one."""
    end = time.monotonic() + until
    while True:
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def test_jupyterlab_opens(flake_output, tmp_path):
    """The lab answers, the resource monitor measures, and TensorBoard is served from the launcher's entry."""
    program = flake_output("enter-workspace-cpu") / "bin/enter-workspace-cpu"
    port = free_port()
    server = subprocess.Popen(
        [program, "jupyter", "lab", "--no-browser", f"--port={port}", "--IdentityProvider.token=t"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    try:
        status, page = get(f"{base}/lab?token=t")
        assert status == 200
        assert "jupyter-config-data" in page
        launchers = json.loads(get(f"{base}/server-proxy/servers-info?token=t")[1])["server_processes"]
        assert "TensorBoard" in {launcher["launcher_entry"]["title"] for launcher in launchers}
        assert "rss" in get(f"{base}/api/metrics/v1?token=t")[1]
        assert "tensorboard" in get(f"{base}/tensorboard/?token=t")[1].lower()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
