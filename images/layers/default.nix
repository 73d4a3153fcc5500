# The layers by name, in the one order that every image keeps: images that begin alike share what they begin with.
arguments:
let
  make = file: import file (arguments // { inherit layers; });
  layers = {
    debian-base = make ./debian-base.nix;
    python-mlflow = make ./python-mlflow.nix;
    debian-workspace = make ./debian-workspace.nix;
    python-workspace = make ./python-workspace.nix;
    spark = make ./spark.nix;
    workspace-config = make ./workspace-config.nix;
    sdk = make ./sdk.nix;
  };
in
layers
