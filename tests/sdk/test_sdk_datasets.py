"""Datasets by content: every byte and name counts, as sha256sum would have it."""

import hashlib
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samebits import datasets
from samebits.errors import DatasetError

FILES = st.dictionaries(st.text("abc.é ", min_size=1, max_size=5).filter(lambda name: name.strip(". ")),
                        st.binary(max_size=20), min_size=1, max_size=5)  # fmt: skip


def test_a_file_is_its_sha256(tmp_path):
    """Digest, size, and the path relative to the repository."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_bytes(b"a,b\n" * 100_000)
    found = datasets.measure(tmp_path / "data" / "x.csv", None, str(tmp_path))
    assert found.sha256 == hashlib.sha256(b"a,b\n" * 100_000).hexdigest()
    assert (found.name, found.path, found.in_repository, found.kind) == ("x.csv", "data/x.csv", True, "file")
    assert (found.size, found.files) == (400_000, 1)


@given(FILES)
def test_a_folder_is_what_sha256sum_prints(tmp_path_factory, files):
    """The folder's digest can be reproduced with sha256sum over its sorted files."""
    folder = tmp_path_factory.mktemp("data")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    names = sorted(files, key=os.fsencode)
    printed = subprocess.run(["sha256sum", "--", *names], cwd=folder, check=True, capture_output=True).stdout
    found = datasets.measure(folder, "all", None)
    assert found.sha256 == hashlib.sha256(printed).hexdigest()
    assert (found.files, found.size) == (len(files), sum(map(len, files.values())))


def test_any_byte_or_name_changes_a_folder(tmp_path):
    """Content, name and presence of each file count; times and modes do not."""
    (tmp_path / "d" / "sub").mkdir(parents=True)
    (tmp_path / "d" / "sub" / "a").write_bytes(b"1")
    digests = [datasets.hash_folder(str(tmp_path / "d"))[0]]
    (tmp_path / "d" / "sub" / "a").chmod(0o600)
    os.utime(tmp_path / "d" / "sub" / "a", (1, 1))
    assert datasets.hash_folder(str(tmp_path / "d"))[0] == digests[0]
    (tmp_path / "d" / "sub" / "a").write_bytes(b"2")
    digests.append(datasets.hash_folder(str(tmp_path / "d"))[0])
    (tmp_path / "d" / "sub" / "a").rename(tmp_path / "d" / "sub" / "b")
    digests.append(datasets.hash_folder(str(tmp_path / "d"))[0])
    (tmp_path / "d" / "empty").write_bytes(b"")
    digests.append(datasets.hash_folder(str(tmp_path / "d"))[0])
    assert len(set(digests)) == 4


def test_links_are_followed_and_loops_refused(tmp_path):
    """A link counts as what it shows; a folder that contains itself is an error, not an endless walk."""
    (tmp_path / "real").write_bytes(b"1")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").symlink_to("../real")
    assert datasets.measure(tmp_path / "d", None, None).size == 1
    (tmp_path / "d" / "loop").symlink_to("..")
    with pytest.raises(DatasetError, match="above itself"):
        datasets.measure(tmp_path / "d", None, None)


def test_a_link_inside_the_repository_stays_there(tmp_path):
    """A dataset linked from elsewhere is recorded where the program finds it, not where the link leads."""
    (tmp_path / "store").write_bytes(b"1")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "x").symlink_to(tmp_path / "store")
    found = datasets.measure(tmp_path / "project" / "x", None, str(tmp_path / "project"))
    assert (found.path, found.in_repository) == ("x", True)


@pytest.mark.parametrize("path", ["absent", "dangling", "d"])
def test_what_cannot_be_read_is_an_error_naming_the_path(tmp_path, path):
    """A missing file, a link to nowhere, and a folder that holds one."""
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "dangling").symlink_to("nowhere")
    with pytest.raises(DatasetError, match=path):
        datasets.measure(tmp_path / path, None, None)


def test_a_neighbour_is_not_inside():
    """/data-old is not below /data, and everything is below the root."""
    assert datasets.is_under("/data/x", "/data")
    assert datasets.is_under("/data", "/data")
    assert not datasets.is_under("/data-old/x", "/data")
    assert datasets.is_under("/x", "/")
