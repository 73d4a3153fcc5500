"""The names of the files in a source distribution, read while it comes over the network, never stored.

PySpark's is half a gigabyte, of which only the list of its jars is wanted.
"""

import hashlib
import io
import os
import tarfile

from images.answer import Answer
from images.connection import Client
from images.errors import ResolutionError, TransferError
from images.lock.lockfile import Artifact
from images.lock.uv import Uv
from images.mirrors import pipconfig
from images.route import DIRECT, Route


class _Hashing(io.RawIOBase):
    """What an answer holds, as a file that hashes what is read from it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        count = self._answer.readinto(view)
        self.digest.update(view[:count])
        return count


def listing(uv: Uv, artifact: Artifact) -> list[str]:
    """Give the names of the files in a locked source distribution, which `uv` finds on the index.

    Raises ResolutionError when the index no longer has it, or has another file in its place.
    """
    for release in uv.resolve([f"{artifact.name}=={artifact.version}"], dependencies=False):
        for file in release.files:
            if file.name == artifact.file:
                return members(file.url, artifact.sha256, pipconfig.read(os.environ).route(file.url))
    raise ResolutionError(
        f"The package index no longer has {artifact.file}, which the Python lock pins. Refresh that lock "
        "with `python3 -m images.lock refresh python maven`."
    )


def members(url: str, sha256: str, route: Route = DIRECT) -> list[str]:
    """Give the names of the files in the .tar.gz at `url`, once all of it was read and has this sha256 (hex).

    Raises ResolutionError when it cannot be read or is another file.
    """
    try:
        answer = Client().open(url, route)
        try:
            stream = _Hashing(answer)
            buffered = io.BufferedReader(stream, 1 << 20)
            with tarfile.open(fileobj=buffered, mode="r|gz") as archive:
                names = [member.name for member in archive if member.isfile()]
            while buffered.read(1 << 20):
                pass
        finally:
            answer.close()
    except (TransferError, tarfile.TarError, EOFError, OSError) as error:
        raise ResolutionError(
            f"The source distribution {url.rsplit('/', 1)[-1]} could not be read from the package index: "
            f"{error}. Run the command again, or name another index in pip's configuration."
        ) from error
    if stream.digest.hexdigest() != sha256:
        raise ResolutionError(
            f"The package index gave a {url.rsplit('/', 1)[-1]} with another sha256 than the Python lock "
            "says. Refresh that lock with `python3 -m images.lock refresh python`, and ask why if it "
            "happens again."
        )
    return names
