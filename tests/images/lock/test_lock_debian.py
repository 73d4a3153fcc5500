"""debian.toml to a lock: apt's own solver and signature checks on a small archive."""

import hashlib
import shutil
from pathlib import Path

import pytest

from images.errors import IntentError, ResolutionError, ToolMissingError
from images.lock import debian, intent, lockfile
from images.lock.bootstrap import nar_sha256

INTENT = """
architecture = "amd64"
components = ["main"]
[archives]
debian = ["trixie"]
[sets.base]
packages = ["?essential", "shell"]
[sets.work]
on = "base"
packages = ["editor"]
[sets.tools]
on = "base"
packages = ["busy"]
[sets.defaults]
dependencies = false
packages = ["editor"]
[bootstrap]
package = "busy"
member = "./usr/bin/busy"
store = "busybox"
"""


@pytest.fixture
def wanted(tmp_path):
    """Give the intent above."""
    path = tmp_path / "debian.toml"
    path.write_text(INTENT)
    return intent.read(path)


@pytest.fixture
def filled(archive):
    """Give an archive with awkward names and versions, published as trixie."""
    archive.add("libc6", "2.41-1", Essential="yes")
    archive.add("shell", "1:2.0~rc1+b2-1", Depends="libc6")
    archive.add("editor", "3+really2~1", Depends="libc6, libedit++", Recommends="manual")
    archive.add("libedit++", "4:1.0", Depends="libc6")
    archive.add("manual", "1")
    archive.add("busy", "1.37", content=b"the executable")
    archive.publish("trixie")
    return archive


def resolve(wanted, keep=None, only=()):
    """Resolve silently."""
    return debian.resolve(wanted, keep, only, lambda _: None)


def test_each_set_holds_what_it_adds_to_the_set_below(filled, wanted):
    """Essential packages and dependencies are in, recommended ones are not, overlapping sets are both named."""
    lock = resolve(wanted)
    assert {item.name: item.sets for item in lock.artifacts} == {
        "busy": ("tools",),
        "editor": ("defaults", "work"),
        "libc6": ("base",),
        "libedit++": ("work",),
        "shell": ("base",),
    }


def test_names_versions_and_paths_are_the_archives_own(filled, wanted):
    """Epochs, tildes and pluses come through apt's quoting unharmed, and size and hash are the file's."""
    lock = resolve(wanted)
    shell = next(item for item in lock.artifacts if item.name == "shell")
    assert (shell.version, shell.file) == ("1:2.0~rc1+b2-1", "shell_2.0~rc1+b2-1_all.deb")
    assert (shell.path, shell.archive) == ("pool/main/s/shell_2.0~rc1+b2-1_all.deb", "debian")
    assert shell.store == "shell_2.0_rc1+b2-1_all.deb"
    file = filled.folder / shell.path
    assert shell.size == file.stat().st_size
    assert shell.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_bootstrap_is_hashed_out_of_its_package(filled, wanted):
    """The lock tells the member of the .deb and the NAR hash of the folder that will hold it."""
    found = resolve(wanted).bootstrap
    assert found == lockfile.Bootstrap(
        "busybox", "busy_1.37_all.deb", "./usr/bin/busy", nar_sha256("busybox", b"the executable")
    )


def test_the_lock_can_be_written_and_read_back(filled, wanted, tmp_path):
    """What resolves passes the rules that locks are read with."""
    lock = resolve(wanted)
    lockfile.write(tmp_path / "debian.lock.json", lock)
    assert lockfile.load(tmp_path / "debian.lock.json") == lock


def test_an_archive_in_a_folder_serves_as_well(filled, wanted, monkeypatch):
    """A file: mirror gives the same lock as an http one."""
    over_http = resolve(wanted)
    monkeypatch.setenv("SAMEBITS_DEBIAN_MIRROR", filled.folder.as_uri())
    assert resolve(wanted) == over_http


def test_a_strangers_signature_is_refused(filled, wanted, keys):
    """Lists signed with a key that is not in the keyring give an error that speaks of keys."""
    _, filled.key = keys
    filled.publish("trixie")
    with pytest.raises(ResolutionError, match="does not accept the signatures"):
        resolve(wanted)


def test_a_changed_list_is_refused(filled, wanted):
    """Lists that are not those the signed Release names give an error, not a lock."""
    for path in filled.folder.glob("dists/trixie/main/binary-amd64/Packages*"):
        path.write_bytes(path.read_bytes().replace(b"1.37", b"1.38") + b"\n")
    with pytest.raises(ResolutionError, match="cannot read the package lists"):
        resolve(wanted)


def test_an_unsigned_archive_is_refused(filled, wanted):
    """Without InRelease there is nothing to trust."""
    (filled.folder / "dists/trixie/InRelease").unlink()
    with pytest.raises(ResolutionError):
        resolve(wanted)


def test_messages_name_no_mirror(filled, wanted, monkeypatch):
    """Errors are pasted into issues: they hold no address of a mirror."""
    (filled.folder / "dists/trixie/InRelease").unlink()
    with pytest.raises(ResolutionError) as caught:
        resolve(wanted)
    assert "127.0.0.1" not in str(caught.value)


def test_a_package_that_does_not_exist_is_named(filled, wanted, tmp_path):
    """apt's own words say which package it cannot find."""
    path = tmp_path / "debian.toml"
    path.write_text(INTENT.replace('"editor"]\n[sets.tools]', '"editro"]\n[sets.tools]'))
    with pytest.raises(ResolutionError, match="editro"):
        resolve(intent.read(path))


def test_only_keeps_every_other_version(filled, wanted):
    """With newer versions of two packages out, just the named one changes."""
    before = resolve(wanted)
    filled.add("editor", "4", Depends="libc6, libedit++")
    filled.add("libedit++", "4:2.0", Depends="libc6")
    filled.publish("trixie")
    after = resolve(wanted, before, {"editor"})
    versions = {item.name: item.version for item in after.artifacts}
    assert (versions["editor"], versions["libedit++"]) == ("4", "4:1.0")
    assert {item.name: item.version for item in resolve(wanted).artifacts}["libedit++"] == "4:2.0"


def test_only_refuses_to_move_what_it_should_keep(filled, wanted):
    """A version that the archive has dropped cannot be kept, and the error names it and what to do."""
    before = resolve(wanted)
    filled.add("libedit++", "4:2.0", Depends="libc6")
    filled.drop("libedit++", "4:1.0")
    filled.publish("trixie")
    with pytest.raises(ResolutionError, match=r"libedit\+\+ 4:1.0.*--only"):
        resolve(wanted, before, {"editor"})
    after = resolve(wanted, before, {"editor", "libedit++"})
    assert "4:2.0" in [item.version for item in after.artifacts]


def test_a_set_never_removes_from_the_set_below(filled, wanted):
    """A package that conflicts with the base is refused, where apt alone would take the base apart."""
    filled.add("editor", "5", Conflicts="shell")
    filled.publish("trixie")
    with pytest.raises(ResolutionError):
        resolve(wanted)


def test_a_bootstrap_that_is_not_there_is_an_intent_error(filled, tmp_path):
    """A member that the package lacks points to the intent."""
    path = tmp_path / "debian.toml"
    path.write_text(INTENT.replace("./usr/bin/busy", "./bin/busy"))
    with pytest.raises(IntentError, match="bootstrap"):
        resolve(intent.read(path))


def test_a_missing_keyring_says_what_to_install(filled, wanted, monkeypatch, tmp_path):
    """Without keys to check with, nothing is asked of the network."""
    monkeypatch.setenv("SAMEBITS_DEBIAN_KEYRING", str(tmp_path / "none.gpg"))
    with pytest.raises(ToolMissingError, match="debian-archive-keyring"):
        resolve(wanted)


def test_a_machine_without_apt_is_told_so(wanted, archive, monkeypatch, tmp_path):
    """apt is needed, and the error says where it is to be had."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match="Debian or Ubuntu"):
        resolve(wanted)


def test_the_hosts_apt_is_left_alone(filled, wanted):
    """Neither its lists nor its package database change."""

    def state():
        paths = [Path("/var/lib/dpkg/status"), Path("/var/lib/apt/lists"), Path("/etc/apt/sources.list.d")]
        return [path.stat().st_mtime_ns for path in paths if path.exists()]

    before = state()
    resolve(wanted)
    assert state() == before


def test_hooks_of_the_hosts_apt_do_not_run(filled, wanted, monkeypatch, tmp_path):
    """Of the host's configuration only how to reach the network counts."""
    fake = tmp_path / "bin"
    fake.mkdir()
    hook = f'APT::Update::Pre-Invoke:: "touch {tmp_path}/hooked";'
    script = f'#!/bin/sh\n{shutil.which("apt-config")} "$@"\n[ "$1" != dump ] || echo \'{hook}\'\n'
    (fake / "apt-config").write_text(script)
    (fake / "apt-config").chmod(0o755)
    monkeypatch.setenv("PATH", str(fake), prepend=":")
    resolve(wanted)
    assert not (tmp_path / "hooked").exists()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('on = "base"', 'on = "attic"', "attic"),
        ("components", "component", "component"),
        ('debian = ["trixie"]', "", "no suites"),
        ('debian = ["trixie"]', 'ubuntu = ["noble"]', "ubuntu"),
        ('package = "busy"', 'package = "lazy"', "lazy"),
        ('packages = ["busy"]', "packages = [1]", "list of strings"),
    ],
)
def test_a_wrong_intent_says_what_is_wrong_with_it(filled, tmp_path, old, new, complaint):
    """Each mistake is named, in a message that says which file to correct."""
    path = tmp_path / "debian.toml"
    path.write_text(INTENT.replace(old, new))
    with pytest.raises(IntentError, match=complaint):
        resolve(intent.read(path))
