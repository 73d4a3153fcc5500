# Debian's essential packages, Python 3.13, tini, and the user (uid 1000) that every container runs as.
{ layer, locks, ... }:
layer {
  name = "debian-base";
  script = ../nix/debian.sh;
  artifacts = locks.set "debian" "base";
  env.excludes = ../nix/dpkg-excludes;
}
