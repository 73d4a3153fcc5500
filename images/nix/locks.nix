# The locks as store paths: `set kind name` is the list of artifacts that a set of a lock holds, each
# { path, file, name, version }, and `busybox` the bootstrap.
{ system }:
let
  artifact = import ./artifact.nix { inherit system; };
  read = file: builtins.fromJSON (builtins.readFile file);
  locks = {
    debian = read ../lock/debian.lock.json;
    python = read ../lock/python.lock.json;
    maven = read ../lock/maven.lock.json;
  };
  resolved = builtins.mapAttrs
    (_: lock: map
      (a: {
        inherit (a) name version file sets;
        path = artifact { inherit (a) store sha256; };
      })
      lock.artifacts)
    locks;
in
{
  set = kind: name: builtins.filter (a: builtins.elem name a.sets) resolved.${kind};
  busybox = artifact {
    inherit (locks.debian.bootstrap) store;
    sha256 = locks.debian.bootstrap.nar_sha256;
    recursive = true;
  };
}
