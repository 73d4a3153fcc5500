"""Writes an OCI image layout: configuration, manifest, index, and links to the layers' blobs."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CREATED = "2025-01-01T00:00:00Z"  # the same instant as every file in the layers


def blob(blobs: Path, value: dict[str, Any], media_type: str) -> dict[str, Any]:
    """Stores ``value`` as a blob and returns its descriptor."""
    data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def closure_layer(closure: Path) -> Path:
    """The layer that puts the manifest at /etc/samebits/closure.json."""
    root = Path("/build/root")
    target = root / "etc/samebits/closure.json"
    target.parent.mkdir(parents=True)
    target.write_bytes((closure / "closure.json").read_bytes())
    out = Path("/build/closure-layer")
    subprocess.run([sys.executable, os.environ["pack"], "pack", root, out], check=True)
    return out


def main() -> None:
    """Reads the derivation's environment, writes the layout into the output."""
    out, closure = Path(os.environ["out"]), Path(os.environ["closure"])
    blobs = out / "blobs/sha256"
    blobs.mkdir(parents=True)
    descriptors, diff_ids = [], []
    own = closure_layer(closure)
    for layer in [*map(Path, os.environ["layers"].split()), own]:
        facts = json.loads((layer / "layer.json").read_text())
        target = blobs / facts["digest"].removeprefix("sha256:")
        if layer == own:
            target.write_bytes((layer / "blob.tar.zst").read_bytes())
        else:
            target.symlink_to(layer / "blob.tar.zst")
        descriptors.append(
            {
                "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd",
                "digest": facts["digest"],
                "size": facts["size"],
                "annotations": {"samebits.layer": facts["name"]},
            }
        )
        diff_ids.append(facts["diffId"])
    ids = json.loads((closure / "closure.json").read_text())
    config = json.loads(os.environ["config"])
    config["Labels"] = {
        **config.get("Labels", {}),
        "samebits.closure_id": ids["closure_id"],
        "samebits.content_id": ids["content_id"],
    }
    configuration = blob(
        blobs,
        {
            "architecture": "amd64",
            "os": "linux",
            "created": CREATED,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created": CREATED, "created_by": d["annotations"]["samebits.layer"]} for d in descriptors],
        },
        "application/vnd.oci.image.config.v1+json",
    )
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = blob(
        blobs,
        {"schemaVersion": 2, "mediaType": manifest_type, "config": configuration, "layers": descriptors},
        manifest_type,
    )
    name = os.environ["imageName"]
    manifest["annotations"] = {
        "org.opencontainers.image.ref.name": "latest",
        "io.containerd.image.name": f"samebits/{name}:latest",
    }
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [manifest]}
    (out / "index.json").write_text(json.dumps(index, sort_keys=True, indent=1) + "\n")
    (out / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}\n')
    (out / "digest").write_text(manifest["digest"] + "\n")
    (out / "closure").symlink_to(closure)


if __name__ == "__main__":
    main()
