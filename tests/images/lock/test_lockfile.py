"""Reading and writing locks: round trips, order, hostile content, and never half a file."""

import dataclasses
import json
import os
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.errors import LockInvalidError, LockMissingError
from images.lock import lockfile
from images.lock.lockfile import Artifact, Bootstrap, Lock

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
FILES = st.from_regex(r"[0-9A-Za-z][0-9A-Za-z._+~%=@!-]{0,60}", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9A-Za-z][0-9A-Za-z.+:~!_-]{0,20}", fullmatch=True)
SETS = st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), min_size=1, max_size=3, unique=True)
NAMES = {
    "debian": st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,20}", fullmatch=True),
    "python": st.from_regex(r"[a-z0-9]{1,9}(-[a-z0-9]{1,9}){0,2}", fullmatch=True),
    "maven": st.from_regex(r"[a-z][a-z.]{0,9}:[a-z][a-z-]{0,9}", fullmatch=True),
}


@st.composite
def artifacts(draw, kind):
    """Draw an artifact that a lock of this kind may hold."""
    file = draw(FILES)
    folder = draw(st.lists(st.text(string.ascii_lowercase, min_size=1, max_size=5), min_size=1, max_size=4))
    return Artifact(
        name=draw(NAMES[kind]),
        version=draw(VERSIONS),
        file=file,
        store=lockfile.store_name(file),
        size=draw(st.integers(1, 1 << 40)),
        sha256=draw(HEX),
        sets=tuple(sorted(draw(SETS))),
        path="/".join([*folder, file]) if kind != "python" else None,
        archive=draw(st.sampled_from(["debian", "debian-security"])) if kind == "debian" else None,
    )


@st.composite
def locks(draw):
    """Draw a lock, its artifacts in any order."""
    kind = draw(st.sampled_from(lockfile.KINDS))
    found = draw(st.lists(artifacts(kind), max_size=8, unique_by=lambda item: item.store))
    found = list({item.key: item for item in found}.values())
    bootstrap = None
    if kind == "debian" and found and draw(st.booleans()) and all(item.store != "busybox" for item in found):
        bootstrap = Bootstrap("busybox", found[0].file, "./usr/bin/busybox", draw(HEX))
    return Lock(kind, draw(HEX), tuple(found), bootstrap)


def one(**changes):
    """Give the JSON values of a lock with one artifact, `changes` made to that."""
    artifact = {
        "name": "curl",
        "version": "8.14.1-2",
        "file": "curl_8.14.1-2_amd64.deb",
        "store": "curl_8.14.1-2_amd64.deb",
        "size": 5,
        "sha256": "a" * 64,
        "sets": ["base"],
        "archive": "debian",
        "path": "pool/main/c/curl_8.14.1-2_amd64.deb",
    }
    artifact |= changes
    return {"version": 1, "kind": "debian", "intent": "0" * 64, "artifacts": [artifact]}


def refusal(values):
    """Say why these values are refused as a lock."""
    with pytest.raises(LockInvalidError) as caught:
        lockfile.parse(json.dumps(values), "x.lock.json")
    return str(caught.value)


@given(locks())
def test_what_is_rendered_is_parsed_back(lock):
    """A lock survives its text, sorted; the text survives the lock, byte for byte."""
    text = lockfile.render(lock)
    back = lockfile.parse(text, "here")
    in_order = tuple(sorted(lock.artifacts, key=lambda item: item.key))
    assert back == dataclasses.replace(lock, artifacts=in_order)
    assert lockfile.render(back) == text
    assert text.endswith("}\n")
    assert "://" not in text


@given(locks(), st.randoms())
def test_the_order_of_artifacts_does_not_show_in_the_text(lock, random):
    """Two resolvers that find the same in another order write the same file."""
    shuffled = list(lock.artifacts)
    random.shuffle(shuffled)
    assert lockfile.render(dataclasses.replace(lock, artifacts=tuple(shuffled))) == lockfile.render(lock)


@given(st.text())
def test_no_text_crashes_the_reader(text):
    """Whatever the file holds, the answer is a lock or a LockInvalidError."""
    with pytest.raises(LockInvalidError):
        lockfile.parse(text, "here")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_json_crashes_the_reader(values):
    """The same for JSON of any shape."""
    with pytest.raises(LockInvalidError):
        lockfile.parse(json.dumps(values), "here")


@given(
    st.sampled_from(["name", "version", "file", "store", "sha256", "path", "archive", "sets"]),
    st.text(max_size=300),
)
def test_a_hostile_string_never_gets_through(field, text):
    """What gets past the reader holds no control character, blank, quote, backslash or step upwards."""
    try:
        lock = lockfile.parse(json.dumps(one(**{field: text})), "here")
    except LockInvalidError:
        return
    value = getattr(lock.artifacts[0], field)
    assert not set(value) & set(" \t\r\n\0'\"\\$`;&|<>*?#")
    assert ".." not in value.split("/")
    assert not value.startswith(("/", "-", "."))


HOSTILE = [
    "../../etc/passwd",
    "a/../b",
    "a\n",
    "\n",
    "",
    ".",
    "..",
    ".hidden",
    "-rf",
    "a b",
    "a\0",
    "é",
    "a" * 300,
    "a/b",
]


@pytest.mark.parametrize("value", [*HOSTILE, None, 7, ["a"], True])
def test_hostile_file_names_are_refused(value):
    """Path traversal, newlines, absurd lengths and other types are no file names."""
    assert "the file of curl" in refusal(one(file=value, store=value))


@pytest.mark.parametrize("value", [*HOSTILE, "A", None, 7])
def test_hostile_names_are_refused(value):
    """The same for the names of packages."""
    assert "a name" in refusal(one(name=value)) or "name" in refusal(one(name=value))


@pytest.mark.parametrize(
    "value",
    [
        "/pool/curl_8.14.1-2_amd64.deb",
        "pool/../curl_8.14.1-2_amd64.deb",
        "pool//curl_8.14.1-2_amd64.deb",
        "./curl_8.14.1-2_amd64.deb",
        "curl_8.14.1-2_amd64.deb",
        "pool/other.deb",
        "pool/curl_8.14.1-2_amd64.deb\n",
        "pool/a?b/curl_8.14.1-2_amd64.deb",
        "a/" * 30 + "curl_8.14.1-2_amd64.deb",
        None,
    ],
)
def test_paths_stay_below_the_archives_base(value):
    """A path is relative, goes only downwards, and ends in the file."""
    assert "the path of curl" in refusal(one(path=value))


@pytest.mark.parametrize("field", ["name", "version", "file", "path", "sha256"])
def test_addresses_are_refused_by_name(field):
    """A lock holds no address, and the message says so."""
    assert "locks hold none" in refusal(one(**{field: "https://mirror.example.invalid/curl_8.14.1-2_amd64.deb"}))


@pytest.mark.parametrize("size", [0, -1, 1.5, "5", True, None, 1 << 50])
def test_sizes_are_plain_positive_numbers(size):
    """Neither booleans, fractions nor absurd sizes count."""
    assert "the size of" in refusal(one(size=size))


@pytest.mark.parametrize("sets", [[], ["b", "a"], ["a", "a"], ["A"], "base", None, [1]])
def test_sets_are_sorted_names(sets):
    """Every artifact is in a set, and no order but one is accepted."""
    assert "set" in refusal(one(sets=sets))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"version": 2}, "format version is 2"),
        ({"version": True}, "format version is True"),
        ({"kind": "npm"}, "kind is 'npm'"),
        ({"kind": ["debian"]}, "kind is"),
        ({"intent": "0" * 63}, "intent"),
        ({"artifacts": {}}, "not a list"),
        ({"extra": 1}, "extra"),
        ({"artifacts": [{}]}, "lacks"),
        ({"artifacts": [None]}, "not an object"),
        ({"bootstrap": {}}, "bootstrap"),
    ],
)
def test_the_frame_is_checked_too(change, complaint):
    """Another format version, unknown fields and missing ones are refused by name."""
    assert complaint in refusal(one() | change)


def test_unknown_and_missing_fields_of_artifacts_are_refused():
    """An artifact has exactly its kind's fields."""
    assert "url" in refusal(one(url="x"))
    values = one()
    del values["artifacts"][0]["path"]
    assert "path" in refusal(values)


def test_a_store_name_follows_from_the_file_name():
    """No lock can put a file under a name of its own choice."""
    assert "store name" in refusal(one(store="something-else"))
    assert lockfile.store_name("a_1%3a2~rc1_all.deb") == "a_1_3a2_rc1_all.deb"


@given(FILES)
def test_store_names_use_only_what_nix_allows(file):
    """Nix's alphabet, and never a leading dot."""
    name = lockfile.store_name(file)
    assert set(name) <= set(string.ascii_letters + string.digits + "+._?=-")
    assert not name.startswith(".")


def test_duplicates_and_disorder_are_refused():
    """An artifact twice, or before its turn, is no lock."""
    values = one()
    first = values["artifacts"][0]
    values["artifacts"] = [first, first]
    assert "twice" in refusal(values)
    earlier = first | {"name": "bash", "file": "b.deb", "store": "b.deb", "path": "pool/b.deb"}
    values["artifacts"] = [first, earlier]
    assert "not sorted" in refusal(values)
    values["artifacts"] = [first, first | {"name": "curl2"}]
    assert "share a store name" in refusal(values)


def test_a_key_given_twice_is_refused():
    """JSON readers disagree on which of two equal keys counts, so neither does."""
    text = json.dumps(one()).replace('"kind": "debian"', '"kind": "debian", "kind": "debian"')
    with pytest.raises(LockInvalidError, match="same key twice"):
        lockfile.parse(text, "here")


@pytest.mark.parametrize(
    "change",
    [
        {"store": "../x"},
        {"from": "absent.deb"},
        {"member": "/usr/bin/busybox"},
        {"member": "./../x"},
        {"nar_sha256": "x"},
    ],
)
def test_a_hostile_bootstrap_is_refused(change):
    """The bootstrap's names are as closely checked, and its package has to be in the lock."""
    sane = {
        "store": "busybox",
        "from": "curl_8.14.1-2_amd64.deb",
        "member": "./usr/bin/busybox",
        "nar_sha256": "a" * 64,
    }
    lockfile.parse(json.dumps(one() | {"bootstrap": sane}), "here")
    assert "bootstrap" in refusal(one() | {"bootstrap": sane | change})


def test_a_missing_lock_says_how_to_get_it(tmp_path):
    """The message names the file and the command."""
    with pytest.raises(LockMissingError, match="images.lock refresh"):
        lockfile.load(tmp_path / "debian.lock.json")


def test_a_lock_that_is_not_utf8_is_refused(tmp_path):
    """Bytes that are no text give the same kind of error."""
    (tmp_path / "debian.lock.json").write_bytes(b"\xff\xfe")
    with pytest.raises(LockInvalidError, match="UTF-8"):
        lockfile.load(tmp_path / "debian.lock.json")


def test_nesting_without_end_is_refused():
    """A text made to exhaust the reader's stack is just another invalid lock."""
    with pytest.raises(LockInvalidError):
        lockfile.parse("[" * 200_000, "here")


def test_a_failed_write_leaves_the_old_lock_and_nothing_else(tmp_path, monkeypatch):
    """When the disk refuses, the old bytes stand and no temporary file stays."""
    path = tmp_path / "debian.lock.json"
    path.write_text("old")

    def refuse(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        lockfile.write(path, lockfile.parse(json.dumps(one()), "here"))
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("debian.lock.json", "old")]


def test_what_could_not_be_read_is_not_written(tmp_path):
    """A resolver's odd answer ends as an error, never as a lock that only the next reader refuses."""
    lock = lockfile.parse(json.dumps(one()), "here")
    odd = dataclasses.replace(lock, artifacts=(dataclasses.replace(lock.artifacts[0], file="a/b"),))
    with pytest.raises(LockInvalidError):
        lockfile.write(tmp_path / "debian.lock.json", odd)
    assert list(tmp_path.iterdir()) == []


def test_a_written_lock_can_be_read_by_everybody(tmp_path):
    """Its mode is that of any file in the repository."""
    path = tmp_path / "debian.lock.json"
    lockfile.write(path, lockfile.parse(json.dumps(one()), "here"))
    assert path.stat().st_mode & 0o777 == 0o644


def test_locks_must_not_meet_in_the_store():
    """Two kinds of locks that use one store name for two files are refused, naming both files."""
    debian = lockfile.parse(json.dumps(one()), "here")
    values = one(file="x~1", store="x_1", path="p/x~1")
    other = lockfile.parse(json.dumps(values), "here")
    clash = lockfile.parse(json.dumps(one(file="x_1", store="x_1", path="p/x_1")), "here")
    lockfile.check_together([debian, other])
    with pytest.raises(LockInvalidError, match="x~1.*x_1"):
        lockfile.check_together([other, dataclasses.replace(clash, kind="maven")])


def test_the_reader_needs_only_the_standard_library():
    """The fetcher imports it on bare machines: what it imports is the standard library and its own two modules."""
    folder = Path(lockfile.__file__).parent
    texts = [(folder / f"{name}.py").read_text() for name in ("lockfile", "entries", "validation")]
    imported = {
        line.split()[1] for text in texts for line in text.splitlines() if line.startswith(("import ", "from "))
    }
    own = {"images.errors", "images.lock.entries", "images.lock.validation"}
    assert imported - own <= {
        "__future__",
        "json",
        "os",
        "pathlib",
        "re",
        "tempfile",
        "typing",
        "dataclasses",
    }
