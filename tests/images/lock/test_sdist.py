import hashlib
import io
import tarfile

import pytest

from images.errors import ResolutionError
from images.lock import sdist
from images.lock.lockfile import Artifact
from images.lock.uv import Uv


@pytest.fixture
def packed(wheels, tmp_path):
    """Put a source distribution with two jars into the folder that pip is configured to use; give its path."""
    path = tmp_path / "wheels" / "sparky-4.0.tar.gz"
    files = {
        "PKG-INFO": b"Metadata-Version: 2.2\nName: sparky\nVersion: 4.0\n",
        "pyproject.toml": b"[project]\nname = 'sparky'\nversion = '4.0'\n",
        "deps/jars/hadoop-1.0.jar": b"x" * 100_000,
        "deps/jars/other-2.jar": b"",
    }
    with tarfile.open(path, "w:gz") as archive:
        folder = tarfile.TarInfo("sparky-4.0/deps/jars")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            entry = tarfile.TarInfo(f"sparky-4.0/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def artifact(path, **changes):
    """Give the lock's entry of a file."""
    content = path.read_bytes()
    values = {
        "name": "sparky",
        "version": "4.0",
        "file": path.name,
        "store": path.name,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "sets": ("work",),
    }
    return Artifact(**{**values, **changes})


def test_the_files_are_listed_from_where_uv_finds_it(packed, tmp_path):
    """Names of files only, as they stand in the distribution."""
    uv = Uv(tmp_path, "3.13", "x86_64-manylinux_2_40", ["sparky"])
    names = sdist.listing(uv, artifact(packed))
    assert "sparky-4.0/deps/jars/hadoop-1.0.jar" in names
    assert "sparky-4.0/deps/jars" not in names
    assert len(names) == 4


def test_another_file_than_the_locked_one_is_refused(packed, tmp_path):
    """The listing counts only when all bytes were those that the lock pins."""
    uv = Uv(tmp_path, "3.13", "x86_64-manylinux_2_40", ["sparky"])
    with pytest.raises(ResolutionError, match="another sha256"):
        sdist.listing(uv, artifact(packed, sha256="0" * 64))


def test_a_file_that_is_gone_is_named(packed, tmp_path):
    """An index that lists the version, but not the file, is told apart from one that cannot be read."""
    uv = Uv(tmp_path, "3.13", "x86_64-manylinux_2_40", ["sparky"])
    with pytest.raises(ResolutionError, match="no longer has"):
        sdist.listing(uv, artifact(packed, file="sparky-4.0.zip"))


def test_reading_goes_over_the_network_and_is_checked(packed, serve):
    """The distribution is read as it comes, and what is cut short or no archive is refused."""
    address = serve(packed.parent)
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    assert len(sdist.members(f"{address}/{packed.name}", digest)) == 4
    packed.write_bytes(packed.read_bytes()[:-200])
    with pytest.raises(ResolutionError):
        sdist.members(f"{address}/{packed.name}", digest)
    packed.write_bytes(b"no archive")
    with pytest.raises(ResolutionError, match="could not be read"):
        sdist.members(f"{address}/{packed.name}", digest)
    with pytest.raises(ResolutionError, match="could not be read"):
        sdist.members(f"{address}/absent.tar.gz", digest)
