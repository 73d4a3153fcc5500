#!/bin/sh
# Refuses to go on when a file that a build would want is not in git: flakes see what git sees, and older versions of Nix
# leave the rest out without a word.
set -eu
cd "$(dirname "$0")/.."
files=$(git ls-files --others --exclude-standard -- flake.nix images sdk/src)
[ -z "$files" ] || {
  printf 'untracked: Nix builds what git knows, and these files are not in git: %s. Add them (git add %s) or move them away.\n' \
    "$(echo $files)" "$(echo $files)" >&2
  exit 1
}
