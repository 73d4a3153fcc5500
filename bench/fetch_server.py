"""A server of files by sha256 on 127.0.0.1, in a process of its own, as fast as it can or at a given pace.

`python3 -m bench.fetch_server RATE < LIST`: RATE in bytes a second (0: no limit), LIST with a line `<hex> <path>` for
each file. Prints its address, and serves `/sha256/<hex>` until its standard input and output are closed by a kill.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PIECE = 1 << 18


class Pace:
    """Lets bytes through at `rate` a second, over all connections together."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._next = time.monotonic()
        self._guard = threading.Lock()

    def take(self, count: int) -> None:
        """Wait until `count` bytes may go."""
        if not self._rate:
            return
        with self._guard:
            now = time.monotonic()
            self._next = max(self._next, now - 0.1) + count / self._rate
            wait = self._next - now
        if wait > 0:
            time.sleep(wait)


class Handler(BaseHTTPRequestHandler):
    """Answers GET with a file, by sendfile."""

    protocol_version = "HTTP/1.1"
    files: dict[str, str] = {}  # noqa: RUF012  set once, before serving
    pace = Pace(0)

    def do_GET(self) -> None:
        """Send the whole file."""
        path = self.files.get(self.path)
        if path is None:
            self.send_error(404)
            return
        with open(path, "rb") as stream:  # noqa: PTH123  its number is what is needed
            size = os.fstat(stream.fileno()).st_size
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.flush()
            sent = 0
            while sent < size:
                piece = min(_PIECE, size - sent)
                self.pace.take(piece)
                sent += os.sendfile(self.connection.fileno(), stream.fileno(), sent, piece)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def main() -> None:
    """Serve what standard input lists."""
    Handler.pace = Pace(float(sys.argv[1]))
    for line in sys.stdin:
        digest, path = line.split()
        Handler.files[f"/sha256/{digest}"] = path
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
