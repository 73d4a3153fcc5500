# Settings of the workspace's programs, as files.
{ layer, ... }:
layer {
  name = "workspace-config";
  script = ../nix/files.sh;
  env.files = ./workspace-config;
}
