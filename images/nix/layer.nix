# One layer: a derivation of its own, whose output holds `blob.tar.zst` and `layer.json` (digest, diffId, size).
#
# `script` runs in the tools root and leaves the layer's files to pack.py; `artifacts` (and `jars`) are the pinned files
# it reads. The output may hold no reference to the store: the files are meant for any container runtime.
{ inTools }:
{ name, script, artifacts ? [ ], jars ? [ ], env ? { } }:
let
  # One line an artifact: its store path and the name that package managers know it by.
  lines = list: builtins.concatStringsSep "\n" (map (a: "${a.path} ${a.file}") list);
in
inTools
  ({
    name = "layer-${name}";
    program = [ "/usr/bin/bash" script ];
    layer = name;
    pack = ./pack.py;
    artifacts = lines artifacts;
    jars = lines jars;
    allowedReferences = [ ];
  } // env)
// {
  layerName = name;
  artifactPaths = map (a: a.storePath or a.path) (artifacts ++ jars);
}
