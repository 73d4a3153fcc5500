"""The record's JSON: it survives a round trip exactly, and nothing malformed or hostile gets past reading it."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samebits import record as records
from samebits.errors import RecordError

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
# What argv and paths hold: any text without NUL, undecodable bytes as surrogate escapes included.
TEXT = st.binary(max_size=30).map(lambda data: data.replace(b"\0", b"").decode(errors="surrogateescape"))
WORDS = st.lists(TEXT, max_size=4)
NUMBER = st.integers(min_value=0, max_value=2**63)
INSIDE = st.sampled_from([".", "src", "a b/c", "ünï/…", "data/x.csv"])


def build(made, /, **fields):
    return st.builds(made, **fields)


READ = {
    "reason": st.one_of(st.none(), TEXT), "read_at": st.sampled_from(["exec", "autolog"]),
    "repository": st.lists(HEX, max_size=2), "changed": WORDS, "changed_total": NUMBER, "store_files": WORDS,
}  # fmt: skip
SNAPSHOT = build(
    records.Snapshot, commit=HEX.map(lambda text: text[:40]), sha256=HEX, files=NUMBER,
    size=st.integers(min_value=1, max_value=records.SNAPSHOT_BYTES),
)  # fmt: skip
CODE = st.one_of(
    build(records.Code, commit=st.one_of(st.sampled_from(["dirty", "none"]), HEX.map(lambda text: text[:40])),
          head=st.one_of(st.none(), HEX), snapshot=st.none(), **READ),
    build(records.Code, commit=st.just("dirty"), head=HEX, snapshot=SNAPSHOT, **READ),
)  # fmt: skip
ENTRY = build(
    records.Entry, kind=st.sampled_from(["module", "script"]), name=TEXT, typed=st.one_of(st.none(), WORDS),
    python=WORDS, arguments=WORDS, cwd=st.one_of(st.none(), INSIDE),
)  # fmt: skip
CLOSURE = st.one_of(
    build(records.ClosureUsed, kind=st.just("none"), reason=TEXT),
    build(records.ClosureUsed, kind=st.just("image"), reason=st.none(), name=TEXT, system=TEXT, root=TEXT,
          closure_id=HEX.map("sha256:{}".format), content_id=HEX.map("sha256:{}".format),
          image=st.one_of(st.none(), TEXT), flake=st.one_of(st.none(), TEXT)),
)  # fmt: skip
DATASET = build(records.Dataset, name=TEXT, path=INSIDE, in_repository=st.booleans(), kind=st.just("file"), sha256=HEX,
                size=NUMBER, files=NUMBER)  # fmt: skip
RECORD = build(
    records.Record,
    run=build(records.Run, session=TEXT, ordinal=NUMBER, status=TEXT, rerun_of=st.one_of(st.none(), HEX)),
    code=CODE,
    entry=ENTRY,
    environment=st.dictionaries(TEXT, build(records.Variable, value=TEXT, by=TEXT), max_size=3),
    seed=build(records.Seed, value=st.one_of(st.none(), NUMBER), by=st.none(), hash_seed=TEXT,
               applied=st.dictionaries(TEXT, TEXT, max_size=2)),
    datasets=st.lists(DATASET, max_size=2),
    closure=CLOSURE,
    numerics=st.dictionaries(TEXT, TEXT, max_size=3),
    modules=build(records.Modules, repository=NUMBER, outside=WORDS),
    python=TEXT, samebits=TEXT, not_recorded=WORDS, not_checked=WORDS,
    version=st.just(1),
)  # fmt: skip


def example(**changes):
    made = records.Record(
        run=records.Run("s", 1, "FINISHED", None),
        code=records.Code("a" * 40, "a" * 40, None, "exec", [], [], 0, []),
        entry=records.Entry("script", "t.py", ["python", "t.py"], ["python", "t.py"], [], "."),
        environment={}, seed=records.Seed(None, None, "0", {}), datasets=[],
        closure=records.ClosureUsed("none", "a venv"), numerics={}, modules=records.Modules(1, []),
        python="cpython 3.13.5", samebits="0.1.0",
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def altered(path, value):
    """The example record as bytes with one field replaced."""
    data = json.loads(records.to_bytes(example()))
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(data).encode()


@given(RECORD)
def test_a_record_survives_a_round_trip_exactly(record):
    """What is written is read back equal, hostile names and undecodable bytes included."""
    data = records.to_bytes(record)
    assert records.from_bytes(data) == record
    assert records.to_bytes(records.from_bytes(data)) == data


@given(RECORD)
def test_a_record_is_one_line_of_ascii(record):
    """Whatever the names hold, the artifact is ASCII and one line, so no terminal or tool can trip over it."""
    data = records.to_bytes(record)
    assert data.isascii()
    assert data.count(b"\n") == 1
    assert data.endswith(b"\n")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)
                    | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_canonical_json_depends_on_content_alone(data):
    """The order in which keys were inserted does not show, and the JSON says what was put in."""

    def turned(value):
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    assert records.canonical(data) == records.canonical(turned(data))
    assert json.loads(records.canonical(data)) == data


def test_canonical_json_refuses_what_json_has_not():
    """NaN and infinities are no JSON and are refused, not written in Python's dialect."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.canonical(float("nan"))


@given(st.one_of(st.binary(), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
).map(lambda data: json.dumps(data).encode())))  # fmt: skip
def test_arbitrary_input_is_refused_with_our_own_error(data):
    """Reading anything that is no record raises RecordError and nothing else."""
    with pytest.raises(RecordError):
        records.from_bytes(data)


@given(RECORD, st.data())
def test_a_field_of_another_type_is_refused(record, data):
    """Replacing any one field by a value of another type is noticed."""
    plain = json.loads(records.to_bytes(record))
    section = data.draw(st.sampled_from(sorted(plain)))
    plain[section] = data.draw(st.sampled_from([1.5, {"x": 1}, [[]]]))
    with pytest.raises(RecordError):
        records.from_bytes(json.dumps(plain).encode())


@pytest.mark.parametrize("section", ["run", "code", "entry", "seed", "closure", "modules", None])
def test_missing_and_unknown_fields_are_refused(section):
    """A record of version 1 has exactly the fields of version 1."""
    for change in ("missing", "unknown"):
        data = json.loads(records.to_bytes(example()))
        place = data if section is None else data[section]
        if change == "missing":
            del place[min(set(place) - {"version"})]
        else:
            place["surprise"] = 1
        with pytest.raises(RecordError, match="malformed at record"):
            records.from_bytes(json.dumps(data).encode())


SNAPPED = {"commit": "c" * 40, "sha256": "0" * 64, "size": 1, "files": 1}
DIRTY = {"commit": "dirty", "head": "a" * 40, "reason": None, "read_at": "exec", "repository": [], "changed": ["? x"],
         "changed_total": 1, "store_files": [], "snapshot": SNAPPED}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("entry", "cwd"), "../outside", "climbs out"),
        (("entry", "cwd"), "/etc", "climbs out"),
        (("entry", "cwd"), ".git/hooks", "climbs out"),
        (("entry", "typed"), ["python\0"], "NUL"),
        (("entry", "typed"), "python t.py; rm -rf /", "expected list"),
        (("entry", "typed"), ["python", 3], "expected str"),
        (("entry", "python"), {"0": "python"}, "expected list"),
        (("code", "commit"), "--upload-pack=touch x", "neither a commit id"),
        (("code", "commit"), "HEAD", "neither a commit id"),
        (("code", "head"), "main", "not a commit id"),
        (("code", "snapshot"), SNAPPED, "although the tree was not dirty"),
        (("code",), {**DIRTY, "snapshot": {**SNAPPED, "commit": "--all"}}, "not a commit id"),
        (("code",), {**DIRTY, "snapshot": {**SNAPPED, "sha256": "0"}}, "not a sha256"),
        (("code",), {**DIRTY, "snapshot": {**SNAPPED, "size": 2**40}}, "not between"),
        (("run", "ordinal"), True, "expected int"),
        (("closure", "kind"), "nix", "neither image nor none"),
        (("closure", "kind"), "image", "not as its kind demands"),
        (("closure", "closure_id"), "sha256:" + "0" * 64, "not as its kind demands"),
        (("datasets",), [{"name": "x", "path": "../../.ssh/id", "in_repository": True, "kind": "file",
                          "sha256": "0" * 64, "size": 1, "files": 1}], "climbs out"),
        (("datasets",), [{"name": "x", "path": "x", "in_repository": True, "kind": "file", "sha256": "0",
                          "size": 1, "files": 1}], "not a sha256"),
        (("version",), 2, "reads up to 1"),
        (("version",), "1", "expected int"),
    ],
)  # fmt: skip
def test_hostile_values_are_refused(path, value, words):
    """Paths that climb, commands that are no lists of words, options posing as commits: refused, each by name."""
    with pytest.raises(RecordError, match=words):
        records.from_bytes(altered(path, value))


def test_an_enormous_record_is_refused_before_it_is_parsed():
    """The cap holds for the bytes, whatever they are."""
    with pytest.raises(RecordError, match="records end at"):
        records.from_bytes(b" " * (records.MAX_BYTES + 1))


def test_deep_nesting_is_refused():
    """JSON nested deeper than Python's stack is refused like any other malformed record."""
    with pytest.raises(RecordError):
        records.from_bytes(b"[" * 100_000 + b"]" * 100_000)


@given(st.text())
def test_a_path_called_inside_stays_inside(path):
    """is_inside never accepts a path that, joined to a folder, leaves it."""
    import posixpath

    if records.is_inside(path):
        joined = posixpath.normpath(posixpath.join("/folder", path))
        assert joined == "/folder" or joined.startswith("/folder/")
