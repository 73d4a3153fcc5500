"""The MLflow image's server on a real PostgreSQL."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.image


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def call(address, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """The address of an empty database; PostgreSQL does not run as root, so root lends it the user it comes with."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("PostgreSQL is not installed: tests/install.sh does that")
    folder, port = tmp_path_factory.mktemp("postgres"), free_port()
    user = {}
    if os.geteuid() == 0:
        entry = pwd.getpwnam("postgres")
        user = {"user": entry.pw_uid, "group": entry.pw_gid}
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        for parent in list(folder.parents)[:3]:
            parent.chmod(parent.stat().st_mode | 0o011)
    initdb = [programs[-1] / "initdb", "-D", folder / "data", "-U", "mlflow", "--auth=trust"]
    subprocess.run(initdb, check=True, cwd=folder, stdout=subprocess.DEVNULL, **user)
    server = subprocess.Popen(
        [programs[-1] / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-h", "127.0.0.1"],
        cwd=folder, stderr=subprocess.DEVNULL, **user,
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        ready = [programs[-1] / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ready, check=False).returncode != 0:
            assert time.monotonic() < end
            time.sleep(0.2)
        yield f"postgresql+psycopg://mlflow@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(60)
        shutil.rmtree(folder)


@pytest.fixture
def serve(flake_output, database, tmp_path):
    """Starts the image's server on the database; ends what was started."""
    program = flake_output("enter-mlflow") / "bin/enter-mlflow"
    running = []

    def start():
        port = free_port()
        running.append(
            subprocess.Popen(
                [program, "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                 "--backend-store-uri", database, "--artifacts-destination", str(tmp_path)],
                cwd=tmp_path, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip
        base, end = f"http://127.0.0.1:{port}", time.monotonic() + 180
        while True:
            try:
                assert call(f"{base}/health") == "OK"
            except OSError:
                assert running[-1].poll() is None
                assert time.monotonic() < end
                time.sleep(0.5)
            else:
                return base

    def stop():
        process = running.pop()
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)

    yield start, stop
    while running:
        stop()


def test_a_run_survives_a_restart_of_the_server(serve):
    """What was logged through one server is in PostgreSQL, and the next one tells it, bit by bit."""
    start, stop = serve
    api = f"{start()}/api/2.0/mlflow"
    run = json.loads(call(f"{api}/runs/create", {"experiment_id": "0"}))["run"]["info"]["run_id"]
    call(f"{api}/runs/log-metric", {"run_id": run, "key": "m", "value": 0.1, "timestamp": 1, "step": 0})
    stop()
    told = json.loads(call(f"{start()}/api/2.0/mlflow/runs/get?run_id={run}"))
    assert told["run"]["data"]["metrics"][0]["value"] == 0.1


def test_the_server_has_the_client_of_s3(flake_output, tmp_path):
    """boto3 is in the image: artifacts can be proxied to a bucket."""
    program = flake_output("enter-mlflow") / "bin/enter-mlflow"
    subprocess.run([program, "python3", "-c", "import boto3, psycopg"], cwd=tmp_path, check=True)
