"""HTTPS: certificates of a company's own, and those that nobody vouches for."""

from __future__ import annotations

import select
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading

import pytest

from images.connection import Client
from images.errors import RefusedError
from images.route import Route


@pytest.fixture
def secure(start_mirror, tmp_path):
    """Start a server with a certificate that nobody vouches for; give address, certificate and server."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, to make a certificate")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mirror"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    mirror = start_mirror()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    mirror.socket = context.wrap_socket(mirror.socket, server_side=True)
    mirror.files["/a"] = b"bytes"
    return mirror.url.replace("http:", "https:"), str(certificate), mirror


def read(url: str, route: Route) -> bytes:
    """Read a short file."""
    buffer = memoryview(bytearray(10))
    answer = Client(5.0).open(url, route)
    count = answer.readinto(buffer)
    answer.close()
    return bytes(buffer[:count])


def test_a_certificate_that_nobody_vouches_for_is_final(secure):
    """The message says whose certificate, and what to install or set; it is not tried again."""
    address, _, _ = secure
    with pytest.raises(
        RefusedError, match=r"the certificate of https://127\.0\.0\.1:\d+ is not trusted .*SSL_CERT_FILE"
    ):
        read(f"{address}/a", Route())


def test_a_companys_certificate_is_trusted_when_pip_is_told_so(secure):
    """A route's certificates (PIP_CERT), or its trust in the host (PIP_TRUSTED_HOST), let it through."""
    address, certificate, _ = secure
    assert read(f"{address}/a", Route(cafile=certificate)) == b"bytes"
    assert read(f"{address}/a", Route(trusted=True)) == b"bytes"


def test_certificates_that_cannot_be_read_are_named(secure, tmp_path):
    """A certificate file that is not there is an error of its own."""
    address, _, _ = secure
    with pytest.raises(RefusedError, match=r"the certificates at /nonexistent\.pem cannot be read"):
        read(f"{address}/a", Route(cafile="/nonexistent.pem"))


def test_the_whole_command_over_https(secure, world):
    """PIP_CERT reaches the index and its files."""
    address, certificate, mirror = secure
    world.python("six-1.17.0-py2.py3-none-any.whl", b"six" * 100)
    mirror.files.update(world.mirror.files)
    done = world.fetch(PIP_INDEX_URL=f"{address}/simple", PIP_CERT=certificate)
    assert done.returncode == 0, done.stderr
    assert world.stored() == world.contents
    assert world.mirror.connections == 0


class Tunnel(socketserver.ThreadingTCPServer):
    """A proxy that only knows CONNECT, and remembers what it was asked for."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connect)
        self.heads: list[bytes] = []


class _Connect(socketserver.StreamRequestHandler):
    server: Tunnel

    def handle(self) -> None:
        """Connect to where the client wants, and carry bytes both ways."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.rfile.readline()
        self.server.heads.append(head)
        host, _, port = head.split()[1].decode().rpartition(":")
        with socket.create_connection((host, int(port))) as far:
            self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ways = {self.connection: far, far: self.connection}
            while True:
                for ready in select.select(list(ways), [], [])[0]:
                    piece = ready.recv(65536)
                    if not piece:
                        return
                    ways[ready].sendall(piece)


def test_https_goes_through_a_proxys_tunnel(secure):
    """An HTTPS address behind a proxy is reached by CONNECT, with the proxy's own login and no other's."""
    address, certificate, _ = secure
    with Tunnel() as tunnel:
        threading.Thread(target=tunnel.serve_forever, args=(0.02,), daemon=True).start()
        proxy = f"http://me:word@127.0.0.1:{tunnel.server_address[1]}"
        with_login = address.replace("https://", "https://user:secret@")
        assert read(f"{with_login}/a", Route(cafile=certificate, proxy=proxy)) == b"bytes"
        tunnel.shutdown()
    head = tunnel.heads[0].decode()
    assert head.startswith(f"CONNECT {address.removeprefix('https://')} HTTP/1.")
    assert "Proxy-Authorization: Basic bWU6d29yZA==\r\n" in head
    assert head.count("uthorization") == 1
