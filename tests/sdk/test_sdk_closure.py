"""Reading closure manifests: the ids are recomputed, and a manifest that contradicts itself is refused."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samebits import closure
from samebits.errors import ClosureError

PATHS = st.lists(st.text("abcdefgh0123-", min_size=1).map("/nix/store/{}".format), unique=True)


@given(PATHS)
def test_the_closure_id_is_the_hash_of_its_sorted_paths(paths):
    """A second implementation in one line agrees, in whatever order the paths come."""
    expected = hashlib.sha256("".join(f"{path}\n" for path in sorted(paths)).encode()).hexdigest()
    assert closure.closure_id(paths) == closure.closure_id(reversed(paths)) == f"sha256:{expected}"


@given(st.dictionaries(st.text("abc-", min_size=1), st.text("0123", min_size=1)))
def test_the_content_id_is_the_hash_of_its_named_contents(layers):
    """A second implementation in one line agrees, in whatever order the layers come."""
    lines = "".join(f"{name} {nar}\n" for name, nar in sorted(layers.items()))
    found = closure.content_id(reversed(list(layers.items())))
    assert found == "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def test_known_ids():
    """The empty closure, and one of two paths, worked out with sha256sum."""
    assert closure.closure_id([]) == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    two = closure.closure_id(["/nix/store/b", "/nix/store/a"])
    assert two == "sha256:" + hashlib.sha256(b"/nix/store/a\n/nix/store/b\n").hexdigest()


def test_a_valid_manifest_is_read(manifest):
    """Name, system, root and both ids come from the manifest."""
    found = closure.load(manifest())
    assert (found.name, found.system) == ("workspace-test", "x86_64-linux")
    assert found.closure_id.startswith("sha256:")


@pytest.mark.parametrize(
    ("place", "value", "label"),
    [
        (("paths", 0, "path"), "/nix/store/other", "closure_id"),
        (("layers", 0, "narHash"), "sha256:" + "f" * 64, "content_id"),
        (("layers", 0, "name"), "other", "content_id"),
        (("closure_id",), "sha256:" + "0" * 64, "closure_id"),
        (("content_id",), "sha256:" + "0" * 64, "content_id"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(manifest, place, value, label):
    """One changed byte among what the ids cover is noticed, and the message names the id."""
    path = manifest()
    data = json.loads(path.read_bytes())
    inner = data
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path.write_text(json.dumps(data))
    with pytest.raises(ClosureError, match=f"says {label} "):
        closure.load(path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"version": "1"}', '{"version": 1}', '{"version": 2}', "[" * 9999,
                                     '{"version": 1, "paths": 3}', "\x00", "nul"])  # fmt: skip
def test_what_is_no_manifest_is_refused(tmp_path, content):
    """Anything else in the manifest's place is a ClosureError that names the file."""
    path = tmp_path / "closure.json"
    path.write_text(content)
    with pytest.raises(ClosureError, match=str(path)):
        closure.load(path)


def test_an_absent_or_enormous_manifest_is_refused(tmp_path, monkeypatch):
    """A path that leads nowhere and a file above the cap are refused without being read."""
    with pytest.raises(ClosureError, match="cannot be read"):
        closure.load(tmp_path / "absent.json")
    monkeypatch.setattr(closure, "MAX_BYTES", 10)
    (tmp_path / "big.json").write_text(" " * 11)
    with pytest.raises(ClosureError, match="larger than 10 bytes"):
        closure.load(tmp_path / "big.json")


def test_the_manifest_is_where_the_environment_says(tmp_path, monkeypatch):
    """SAMEBITS_CLOSURE wins; else the image's place, if there is one there."""
    monkeypatch.setattr(closure, "DEFAULT_PATH", str(tmp_path / "default.json"))
    assert closure.manifest_path({"SAMEBITS_CLOSURE": "/x/closure.json"}).as_posix() == "/x/closure.json"
    assert closure.manifest_path({}) is None
    (tmp_path / "default.json").touch()
    assert closure.manifest_path({}) == tmp_path / "default.json"
