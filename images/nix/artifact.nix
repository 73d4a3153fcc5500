# A pinned file as a store path.
#
# The path depends on the name and the sha256 alone, so `make fetch` fills it with `nix-store --add-fixed` and nothing is
# built here. Only where the file is in no store does Nix start this builder: it asks a team's `hashed-mirrors` (the one
# address-free way to fetch by hash), then fails on an address that says what to do.
{ system }:
{ store, sha256, recursive ? false }:
derivation {
  name = store;
  inherit system;
  builder = "builtin:fetchurl";
  url = "run-make-fetch:///${store}";
  executable = recursive;
  unpack = false;
  outputHash = sha256;
  outputHashAlgo = "sha256";
  outputHashMode = if recursive then "recursive" else "flat";
  preferLocalBuild = true;
}
