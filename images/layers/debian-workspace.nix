# What a data scientist's shell needs, and Debian's PyTorch.
{ layer, locks, layers, ... }:
layer {
  name = "debian-workspace";
  script = ../nix/debian.sh;
  artifacts = locks.set "debian" "workspace";
  env = {
    below = layers.debian-base;
    keystore = ../nix/keystore.py;
  };
}
