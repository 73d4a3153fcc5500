"""Writes the closure manifest from what Nix knows of each path. docs/closure.md is its specification."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

HEX_DIGITS, BASE32_DIGITS = 64, 52
BASE32 = "0123456789abcdfghijklmnpqrsvwxyz"


def canonical(value: object) -> bytes:
    """The one way our JSON is written: keys sorted, no spaces, UTF-8, a newline at the end."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def hexadecimal(nar_hash: str) -> str:
    """``sha256:<hex>`` of a hash that Nix wrote in its base 32 (least significant digit last) or already in hex."""
    algorithm, _, digits = nar_hash.partition(":")
    if algorithm != "sha256" or len(digits) not in (HEX_DIGITS, BASE32_DIGITS):
        raise SystemExit(f"Nix wrote a NAR hash in a form that this builder does not know: {nar_hash}")
    if len(digits) == HEX_DIGITS:
        return nar_hash
    number = 0
    for digit in digits:
        number = number * 32 + BASE32.index(digit)
    return f"sha256:{number.to_bytes(32, 'little').hex()}"


def manifest(
    root: str, name: str, system: str, graph: list[dict[str, Any]], layers: list[dict[str, Any]]
) -> dict[str, Any]:
    """The manifest as plain data; ``layers`` in image order, as {name, path, digest, diffId, size}."""
    paths = sorted(
        (
            {
                "path": entry["path"],
                "narHash": hexadecimal(entry["narHash"]),
                "narSize": entry["narSize"],
                "references": sorted(entry["references"]),
            }
            for entry in graph
        ),
        key=lambda entry: entry["path"],
    )
    known = {entry["path"]: {key: entry[key] for key in ("narHash", "narSize")} for entry in paths}
    full = [{**layer, **known[layer["path"]]} for layer in layers]
    lines = sorted((layer["name"], layer["narHash"]) for layer in full)
    return {
        "version": 1,
        "name": name,
        "system": system,
        "root": root,
        "layers": full,
        "paths": paths,
        "closure_id": "sha256:" + hashlib.sha256("".join(p["path"] + "\n" for p in paths).encode()).hexdigest(),
        "content_id": "sha256:" + hashlib.sha256("".join(f"{n} {h}\n" for n, h in lines).encode()).hexdigest(),
    }


def main() -> None:
    """Reads Nix's structured attributes, writes ``closure.json`` into the output."""
    # NIX_ATTRS_JSON_FILE is not asked: Nix 2.8 names the path outside the sandbox.
    attributes = json.loads(Path(os.environ["NIX_BUILD_TOP"], ".attrs.json").read_text())
    out = attributes["outputs"]["out"]
    layers = []
    for entry in attributes["layerPaths"]:
        facts = json.loads((Path(entry["path"]) / "layer.json").read_text())
        layers.append({**facts, **entry})
    Path(out).mkdir()
    value = manifest(out, attributes["imageName"], attributes["system"], attributes["closure"], layers)
    (Path(out) / "closure.json").write_bytes(canonical(value))


if __name__ == "__main__":
    main()
