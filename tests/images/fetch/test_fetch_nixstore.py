"""Store paths computed here against those that a real Nix gives, and what happens to additions that fail."""

from __future__ import annotations

import hashlib
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from images.errors import DiskFullError, StoreUnusableError
from images.lock.bootstrap import nar_sha256
from images.nixstore import NixStore, flat_path, recursive_path

NAMES = st.text(alphabet="abcXYZ019+-._?=", min_size=1, max_size=60).filter(lambda name: not name.startswith("."))


def test_a_known_path():
    """The path of one file, written down once: what it is made of must never change."""
    sha256 = hashlib.sha256(b"hello\n").hexdigest()
    assert flat_path("hello.txt", sha256) == "/nix/store/gy454w1cxaq731grqwylhzf4pp9r5izh-hello.txt"


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES, content=st.binary(max_size=200))
def test_paths_are_those_nix_gives(local_store, tmp_path, name, content):
    """For any name that Nix allows, a file's and a folder's path are what nix-store makes of them."""
    file = tmp_path / "in" / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    expected = flat_path(name, hashlib.sha256(content).hexdigest())
    local_store.add_files([file], [expected])  # which raises if nix-store printed another path
    assert local_store.missing([expected]) == set()
    assert local_store.real(expected).read_bytes() == content
    tree = tmp_path / "tree" / "busybox"
    tree.mkdir(parents=True, exist_ok=True)
    (tree / "busybox").unlink(missing_ok=True)
    (tree / "busybox").write_bytes(content)
    (tree / "busybox").chmod(0o755)
    local_store.add_tree(tree, recursive_path("busybox", nar_sha256("busybox", content)))


def test_only_missing_paths_are_given(local_store, tmp_path):
    """Valid paths are told from those that are not, however many there are."""
    file = tmp_path / "here"
    file.write_bytes(b"x")
    here = flat_path("here", hashlib.sha256(b"x").hexdigest())
    local_store.add_files([file], [here])
    absent = {flat_path(f"absent{number}", f"{number:064x}") for number in range(2500)}
    assert local_store.missing([*sorted(absent), here]) == absent
    assert local_store.missing([]) == set()


def test_a_path_other_than_the_expected_is_an_error(local_store, tmp_path):
    """If Nix puts a file elsewhere than the lock says, the fetch does not pretend that it is there."""
    file = tmp_path / "name"
    file.write_bytes(b"x")
    with pytest.raises(StoreUnusableError, match="none of the places that follow from the lock"):
        local_store.add_files([file], [flat_path("name", "0" * 64)])


def test_a_full_disk_under_the_store_is_told_apart(local_store, tmp_path, monkeypatch):
    """nix-store's own words for a full disk become the error about disks, not the one about rights."""
    # The seam is the program: a stand-in says what Nix says when a write fails.
    fake = tmp_path / "nix-store"
    fake.write_text("#!/bin/sh\necho 'error: writing to file: No space left on device' >&2; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(DiskFullError, match="writing to file: No space left on device"):
        NixStore().add_files([tmp_path / "x"], ["/nix/store/x"])


def test_a_chroot_stores_files_are_found(monkeypatch, local_store):
    """The real place of a path follows NIX_REMOTE, in each of the ways to write it."""
    path = "/nix/store/x"
    for remote, real in [
        ("", path),
        ("daemon", path),
        ("/mnt/a", "/mnt/a/nix/store/x"),
        ("local?root=/mnt/b%20c", "/mnt/b c/nix/store/x"),
    ]:
        monkeypatch.setenv("NIX_REMOTE", remote)
        assert str(local_store.real(path)) == real


def test_the_real_store_agrees_where_there_is_one(local_store, monkeypatch):
    """A daemon's or this user's own store answers the same question (skipped where it cannot be opened)."""
    monkeypatch.delenv("NIX_REMOTE")
    probe = subprocess.run(["nix-store", "--check-validity", "--print-invalid"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("this machine's own store cannot be opened")
    absent = flat_path("surely-absent", "0" * 64)
    assert local_store.missing([absent]) == {absent}
