#!/bin/sh
# Installs, with apt-get, the programs that the tests and `make check` use beside Nix; with the word `bench`, also what the
# benchmarks' peers are made of. Does nothing where all are there; asks before it installs, with YES=1 it does not ask.
set -eu
missing=
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
command -v gpg >/dev/null || missing="$missing gnupg"
command -v skopeo >/dev/null || missing="$missing skopeo"
command -v zstd >/dev/null || missing="$missing zstd"
command -v containerd >/dev/null || missing="$missing containerd"
command -v runc >/dev/null || missing="$missing runc"
command -v bwrap >/dev/null || missing="$missing bubblewrap"
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing="$missing debian-archive-keyring"
command -v pgrep >/dev/null || missing="$missing procps"
command -v sudo >/dev/null || missing="$missing sudo"
command -v unshare >/dev/null || missing="$missing util-linux"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
if [ "${1-}" = bench ]; then
  command -v mmdebstrap >/dev/null || missing="$missing mmdebstrap"
  command -v curl >/dev/null || missing="$missing curl"
  command -v mvn >/dev/null || missing="$missing maven"
fi
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null || { echo "missing here:$missing. Install them as your system does." >&2; exit 1; }
if [ "${YES-}" != 1 ]; then
  [ -t 0 ] || { echo "apt-get would install:$missing. Run again with YES=1 to let it." >&2; exit 1; }
  printf 'To be installed with apt-get, for tests and benchmarks:%s. Go on? [y/N] ' "$missing"
  read -r answer
  [ "$answer" = y ] || exit 1
fi
root=
[ "$(id -u)" = 0 ] || root=sudo
$root apt-get update -qq
# shellcheck disable=SC2086 # a list of packages
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >&2
