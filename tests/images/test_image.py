"""The built OCI layouts, read with code of the tests' own."""

import json
import subprocess

import pytest

pytestmark = pytest.mark.image
NEW_YEAR_2025 = 1735689600


def test_every_blob_is_named_after_its_content(layout):
    """Nothing lies among the blobs but what its name's sha256 says, and all of it is used."""
    manifest = layout.manifest
    used = [layout.index["manifests"][0], manifest["config"], *manifest["layers"]]
    assert {path.name for path in (layout.path / "blobs/sha256").iterdir()} == {d["digest"][7:] for d in used}
    digests = {layer.digest for layer in layout.layers}
    for descriptor in used:
        blob = layout.blob(descriptor["digest"])
        assert blob.stat().st_size == descriptor["size"]
        if descriptor["digest"] not in digests:
            told = subprocess.run(["sha256sum", blob], check=True, capture_output=True, text=True).stdout
            assert told.split()[0] == descriptor["digest"][7:]
    assert [layer.digest for layer in layout.layers] == [d["digest"] for d in manifest["layers"]]


def test_the_digest_is_the_manifest_s(layout):
    """The file `digest`, which deployments pin, names the one manifest of the index."""
    assert [(layout.path / "digest").read_text().strip()] == [m["digest"] for m in layout.index["manifests"]]
    assert json.loads((layout.path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}


def test_the_configuration_names_each_layer_s_uncompressed_content(layout):
    """diff_ids are what the layers decompress to, in order, and each has its line of history."""
    configuration = layout.configuration
    assert configuration["rootfs"] == {"type": "layers", "diff_ids": [layer.diff_id for layer in layout.layers]}
    assert [line["created_by"] for line in configuration["history"]] == [layer.name for layer in layout.layers]
    assert (configuration["architecture"], configuration["os"]) == ("amd64", "linux")


def test_the_image_starts_as_an_ordinary_user_under_an_init(layout):
    """Numeric user, which Kubernetes can check with runAsNonRoot; tini; the two hashes as labels."""
    config = layout.configuration["config"]
    assert config["User"] == "1000:1000"
    assert config["WorkingDir"] == "/home/samebits"
    assert config["Entrypoint"] == ["/usr/bin/tini", "--"]
    assert all("=" in line for line in config["Env"])
    ids = json.loads((layout.path / "closure/closure.json").read_bytes())
    assert config["Labels"] == {f"samebits.{name}": ids[name] for name in ("closure_id", "content_id")}


def test_the_closure_manifest_tells_the_layers_of_the_image(layout):
    """Digest, diffId and size in closure.json are those of the image, apart from the last layer, which holds it."""
    ids = json.loads((layout.path / "closure/closure.json").read_bytes())
    told = [(layer["name"], layer["digest"], layer["diffId"], layer["size"]) for layer in ids["layers"]]
    found = [
        (layer.name, layer.digest, layer.diff_id, layout.blob(layer.digest).stat().st_size) for layer in layout.layers
    ]
    assert told == found[:-1]
    assert found[-1][0] == "closure"


def test_images_share_what_they_begin_with(workspace, mlflow):
    """The workspace's first layers are the MLflow server's, so that a node keeps them once."""
    first, second = workspace.configuration["rootfs"]["diff_ids"], mlflow.configuration["rootfs"]["diff_ids"]
    assert len(second) > 2
    assert first[: len(second) - 1] == second[:-1]


def test_nothing_of_the_build_s_moment_or_order_is_in_a_layer(layout):
    """One time stamp, names sorted as bytes, each once, and nothing deleted from a layer below."""
    for layer in layout.layers:
        names = [entry.name for entry in layer.entries]
        assert {entry.mtime for entry in layer.entries} == {NEW_YEAR_2025}, layer.name
        assert names == sorted(names, key=lambda name: name.encode(errors="surrogateescape")), layer.name
        assert len(names) == len(set(names)), layer.name
        assert not [name for name in names if name.rpartition("/")[2].startswith(".wh.")], layer.name


def test_no_layer_needs_the_store(layout):
    """Layers refer to no store path, and no file mentions one, apart from the manifest of the closure."""
    for layer, descriptor in zip(layout.layers, layout.manifest["layers"], strict=True):
        blob = layout.blob(descriptor["digest"])
        if layer.name != "closure":
            assert layer.mentions == frozenset(), layer.name
            told = subprocess.run(
                ["nix-store", "-q", "--references", blob.resolve().parent], check=True, capture_output=True, text=True
            )
            assert told.stdout == ""
    ids = json.loads((layout.path / "closure/closure.json").read_bytes())
    assert layout.layers[-1].mentions == {entry["path"] for entry in ids["paths"]} | {ids["root"]}


def test_layers_are_taken_over_without_a_copy(layout):
    """The blobs are links to the layers' own outputs: editing one layer copies none of the others."""
    ids = json.loads((layout.path / "closure/closure.json").read_bytes())
    for layer in ids["layers"]:
        assert str(layout.blob(layer["digest"]).readlink()) == f"{layer['path']}/blob.tar.zst"


def test_owners_and_special_bits_are_the_packages_own(workspace):
    """What dpkg set is in the archive: setuid root, shadow's group, a sticky /tmp, a home that belongs to its user."""
    files = {}
    for layer in workspace.layers:
        files |= layer.files
    wanted = {
        "./usr/bin/su": (0o4755, 0, 0),
        "./usr/bin/passwd": (0o4755, 0, 0),
        "./etc/shadow": (0o640, 0, 42),
        "./usr/bin/chage": (0o2755, 0, 42),
        "./tmp": (0o1777, 0, 0),
        "./var/tmp": (0o1777, 0, 0),
        "./home/samebits": (0o700, 1000, 1000),
        "./root": (0o700, 0, 0),
        "./var/mail": (0o2775, 0, 8),
    }
    assert {name: (files[name].mode, files[name].uid, files[name].gid) for name in wanted} == wanted
    strange = {
        entry.name
        for entry in files.values()
        if entry.mode & 0o6000 and entry.name.startswith("./usr/local/lib/python")
    }
    assert strange == set(), "no file of a wheel may run as another user"


def test_what_only_maintainer_scripts_make_is_there(workspace):
    """Certificates, the loader's cache, alternatives: an unpacked pool of packages would lack them."""
    files = {}
    for layer in workspace.layers:
        files |= layer.files
    assert {"./etc/ld.so.cache", "./etc/ssl/certs/ca-certificates.crt", "./etc/ssl/certs/java/cacerts"} <= set(files)
    assert files["./etc/alternatives/java"].link == "/usr/lib/jvm/java-21-openjdk-amd64/bin/java"
    assert {"./etc/passwd", "./etc/pam.d/common-auth", "./var/lib/dpkg/status", "./var/lib/dpkg/available"} <= set(
        files
    )


def test_nothing_of_the_machine_that_built_it_is_left(workspace):
    """No machine id, logs, backups of the user database, aux-cache with inode numbers, service policy, or device."""
    files = {}
    for layer in workspace.layers:
        files |= layer.files
    for name in (
        "etc/machine-id",
        "etc/passwd-",
        "var/cache/ldconfig/aux-cache",
        "usr/sbin/policy-rc.d",
        "etc/resolv.conf",
    ):
        assert f"./{name}" not in files
    assert not [e.name for e in files.values() if e.name.startswith("./var/log/") and e.kind == b"0"]
    assert {entry.kind for entry in files.values()} <= {b"0", b"1", b"2", b"5"}, "no devices, no pipes"
