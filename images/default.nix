# What this folder builds, by name; flake.nix only says which of it is a package, an app or a check.
{ system, source, revision }:
let
  locks = import ./nix/locks.nix { inherit system; };
  tools = import ./nix/tools.nix { inherit system locks; };
  inTools = import ./nix/in-tools.nix { inherit system locks tools; };
  layer = import ./nix/layer.nix { inherit inTools; };
  closure = import ./nix/closure.nix { inherit inTools; };
  image = import ./nix/image.nix { inherit inTools closure; };
  tree = import ./nix/tree.nix { inherit inTools; };
  enter = import ./nix/enter.nix { inherit system locks tools tree; };

  sdk = import ./nix/sdk.nix { inherit inTools; };
  layers = import ./layers { inherit layer locks sdk; };
  images = {
    workspace-cpu = import ./workspace-cpu.nix { inherit image layers; };
    mlflow = import ./mlflow.nix { inherit image layers; };
  };
in
{
  inherit images layers sdk tools;
  flights-data = import ./nix/flights-data.nix { inherit inTools locks; };
  enter = builtins.mapAttrs (_: image: enter { inherit image source revision; }) images;
}
