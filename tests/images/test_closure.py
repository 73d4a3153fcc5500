"""The closure manifest against docs/closure.md, with an implementation that shares nothing with the builder's."""

import base64
import hashlib
import importlib.util
import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
SPECIFICATION = (ROOT / "docs/closure.md").read_text()


def ids(paths, layers):
    """closure_id and content_id, from the specification's words alone."""
    first = hashlib.sha256()
    for path in sorted(paths):
        first.update(path.encode() + b"\n")
    second = hashlib.sha256()
    for name, nar_hash in sorted(layers):
        second.update(f"{name} {nar_hash}\n".encode())
    return "sha256:" + first.hexdigest(), "sha256:" + second.hexdigest()


def vector(name):
    """A row of the specification's table of test vectors."""
    return tuple(re.search(rf"^\| {name} \| `([^`]+)` \| `([^`]+)` \|$", SPECIFICATION, re.MULTILINE).groups())


def load_builder():
    spec = importlib.util.spec_from_file_location("closure_builder", ROOT / "images/nix/closure.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


builder = load_builder()


def test_the_specification_s_vectors():
    """The document's worked examples hold."""
    paths = re.findall(r"^    (/nix/store/\S+)$", SPECIFICATION, re.MULTILINE)
    layers = re.findall(r"^    (\S+)  (sha256:[0-9a-f]{64})$", SPECIFICATION, re.MULTILINE)
    assert (len(paths), len(layers)) == (2, 1)
    assert ids(paths, layers) == vector("one layer")
    assert ids([], []) == vector("empty")


@pytest.mark.image
def test_a_built_image_s_ids_are_recomputed(any_image):
    """Both hashes of a real image, and any change of what they cover changes them."""
    manifest = json.loads((any_image / "closure/closure.json").read_text())
    paths = [entry["path"] for entry in manifest["paths"]]
    layers = [(layer["name"], layer["narHash"]) for layer in manifest["layers"]]
    assert ids(paths, layers) == (manifest["closure_id"], manifest["content_id"])
    assert ids(paths[1:], layers)[0] != manifest["closure_id"]
    assert ids(paths, [(name, nar_hash[:-1] + "x") for name, nar_hash in layers])[1] != manifest["content_id"]


@pytest.mark.image
def test_the_manifest_is_canonical_and_in_the_image(any_image):
    """Byte for byte the canonical form, and the image's last layer carries the same bytes."""
    content = (any_image / "closure/closure.json").read_bytes()
    value = json.loads(content)
    assert content == (json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n").encode()
    index = json.loads((any_image / "index.json").read_text())
    manifest = json.loads((any_image / "blobs/sha256" / index["manifests"][0]["digest"][7:]).read_text())
    last = any_image / "blobs/sha256" / manifest["layers"][-1]["digest"][7:]
    tar = subprocess.run(["zstd", "-dc", last], check=True, capture_output=True).stdout
    inside = subprocess.run(
        ["tar", "-xO", "./etc/samebits/closure.json"], input=tar, check=True, capture_output=True
    ).stdout
    assert inside == content


@pytest.mark.image
def test_nix_lists_every_pinned_artifact_and_layer(any_image):
    """`nix-store -qR` of the closure names all that the locks hold for the image, and what the manifest names."""
    manifest = json.loads((any_image / "closure/closure.json").read_text())
    listed = subprocess.run(
        ["nix-store", "-qR", (any_image / "closure").resolve()], check=True, capture_output=True, text=True
    ).stdout.split()
    assert {entry["path"] for entry in manifest["paths"]} == set(listed) - {manifest["root"]}
    names = {path.split("-", 1)[1] for path in listed}
    wanted = {"mlflow": {"debian": ["base"], "python": ["mlflow"]}}.get(
        manifest["name"], {"debian": ["base", "workspace"], "python": ["mlflow", "workspace"], "maven": ["s3a"]}
    )
    for kind, sets in wanted.items():
        lock = json.loads((ROOT / f"images/lock/{kind}.lock.json").read_text())
        pinned = {a["store"] for a in lock["artifacts"] if set(a["sets"]) & set(sets)}
        assert pinned
        assert pinned <= names
    assert {f"layer-{layer['name']}" for layer in manifest["layers"]} <= names


@pytest.mark.image
def test_nar_hashes_are_nix_s_own(workspace_image):
    """Every hash in the manifest is the one in Nix's database."""
    manifest = json.loads((workspace_image / "closure/closure.json").read_text())
    paths = [entry["path"] for entry in manifest["paths"]]
    told = subprocess.run(
        ["nix-store", "-q", "--hash", *paths], check=True, capture_output=True, text=True
    ).stdout.split()
    hexadecimal = subprocess.run(
        ["nix-hash", "--type", "sha256", "--to-base16", *(line.removeprefix("sha256:") for line in told)],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert [entry["narHash"] for entry in manifest["paths"]] == [f"sha256:{digits}" for digits in hexadecimal]


@given(st.binary(min_size=32, max_size=32))
def test_nix_base_32_is_read_right(digest):
    """Agrees with the definition: the 5-bit groups of the little-endian number, most significant first."""
    number, digits = int.from_bytes(digest, "little"), ""
    for place in reversed(range(52)):
        digits += builder.BASE32[number >> 5 * place & 31]
    assert builder.hexadecimal(f"sha256:{digits}") == f"sha256:{digest.hex()}"
    assert builder.hexadecimal(f"sha256:{digest.hex()}") == f"sha256:{digest.hex()}"


@pytest.mark.parametrize("odd", ["md5:00", "sha256:", "sha256-" + base64.b64encode(bytes(32)).decode()])
def test_an_unknown_form_of_hash_is_refused(odd):
    """A Nix that writes hashes in another way is told apart, not misread."""
    with pytest.raises(SystemExit, match="does not know"):
        builder.hexadecimal(odd)


hashes = st.binary(min_size=32, max_size=32).map(lambda digest: f"sha256:{digest.hex()}")
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
graphs = st.dictionaries(names, hashes, min_size=1, max_size=8)


@given(graphs, st.randoms())
def test_order_and_hostile_names_do_not_matter(graph, random):
    """The manifest depends on what is in the closure, not on the order in which Nix tells it."""
    entries = [{"path": p, "narHash": h, "narSize": 1, "references": list(graph)} for p, h in graph.items()]
    layers = [{"name": path, "path": path} for path in graph]
    one = builder.manifest("/root", "x", "s", entries, layers)
    random.shuffle(entries)
    assert builder.canonical(builder.manifest("/root", "x", "s", entries, layers)) == builder.canonical(one)
    assert json.loads(builder.canonical(one)) == one
    assert ids(graph, graph.items()) == (one["closure_id"], one["content_id"])
