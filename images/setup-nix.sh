#!/bin/sh
# Makes this machine ready to build: Nix 2.8 or newer, its sandbox and flakes switched on, Python 3 for `make fetch`.
# Asks before it changes anything; with YES=1 it does not ask. Does nothing, in a few milliseconds, where all is well.
set -eu
die() {
  printf 'setup-nix: %s\n' "$*" >&2
  exit 1
}
ask() {
  [ "${YES-}" != 1 ] || return 0
  [ -t 0 ] || die "$1 This needs your word: run it again with YES=1, or on a terminal."
  printf '%s Go on? [y/N] ' "$1" >&2
  read -r answer
  [ "$answer" = y ] || [ "$answer" = Y ] || die "nothing was changed."
}
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else
    command -v sudo >/dev/null || die "'$*' must be run as root, and sudo is not here. Run it as root, then start again."
    sudo "$@"
  fi
}
# A user's shell often lacks the folders where Nix installs itself.
PATH=$PATH:/nix/var/nix/profiles/default/bin:$HOME/.nix-profile/bin
# What is switched on for make's own commands is not switched on for those that people type.
unset NIX_CONFIG
configuration=${NIX_CONF_DIR:-/etc/nix}/nix.conf

missing=
command -v nix >/dev/null || missing="nix-bin"
command -v python3 >/dev/null || missing="$missing python3"
command -v git >/dev/null || missing="$missing git"
if [ -n "$missing" ]; then
  command -v apt-get >/dev/null ||
    die "missing here: $missing. Install Nix 2.8 or newer, Python 3.9 or newer and git as your system does, then start again."
  # shellcheck disable=SC2086 # a list of packages
  ask "To be installed with apt-get:$(printf ' %s' $missing)."
  as_root apt-get update -qq
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >&2
  case "$missing" in
    *nix-bin*) printf '%s\n' '# By Samebits: this Nix fetches from no public cache; name your own here.' 'substituters =' |
      as_root tee -a "$configuration" >/dev/null ;;
  esac
fi

# An ordinary user reaches the store through the daemon, which Debian opens to the group nix-users.
socket=/nix/var/nix/daemon-socket/socket
if [ "$(id -u)" != 0 ] && [ ! -w /nix/store ] && [ ! -w "$socket" ]; then
  if getent group nix-users >/dev/null && ! id -nG | grep -qw nix-users; then
    ask "$(id -un) must be in the group nix-users to use Nix's daemon."
    as_root usermod -aG nix-users "$(id -un)"
    die "$(id -un) is now in the group nix-users; log in again (or run 'newgrp nix-users') and start again."
  fi
  [ -S "$socket" ] ||
    die "Nix's daemon does not run here. Start it ('sudo systemctl start nix-daemon', or 'sudo nix-daemon &'), then start again."
fi

shown=$(nix --extra-experimental-features nix-command show-config 2>/dev/null ||
  nix --extra-experimental-features nix-command config show) || die "'nix show-config' failed: is this Nix 2.8 or newer?"
lines=
echo "$shown" | grep -q '^sandbox = true$' || lines="sandbox = true
sandbox-fallback = false"
case "$(echo "$shown" | sed -n 's/^experimental-features = //p')" in
  *flakes*nix-command* | *nix-command*flakes*) ;;
  *) lines="${lines:+$lines
}extra-experimental-features = nix-command flakes" ;;
esac
if [ -n "$lines" ]; then
  ask "To be added to $configuration: $(echo "$lines" | tr '\n' ';')"
  printf '# By Samebits: builds see nothing of this machine.\n%s\n' "$lines" | as_root tee -a "$configuration" >/dev/null
  if command -v systemctl >/dev/null && systemctl is-active -q nix-daemon 2>/dev/null; then
    as_root systemctl restart nix-daemon
  fi
fi
