#!/bin/bash
# From nothing to a verdict: Nix, the pinned files, the workspace, a model of real flights, the same run again.
# Every step does only what is left to do. YES=1 asks nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
state=$root/.samebits
needed_gib=14 # 2 GiB of pinned files, 2 of layers, 4 unpacked, and room to build in
port=${PORT:-5000}

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
die() {
  printf 'quickstart: %s\n' "$*" >&2
  exit 3
}
[ -t 1 ] || step() { printf '\n%s\n' "$*"; }

step "1/7 Nix, with its sandbox"
images/setup-nix.sh
nix --version
export NIX_CONFIG=$'extra-experimental-features = nix-command flakes\nmax-jobs = auto'
git rev-parse --git-dir >/dev/null 2>&1 ||
  die "this folder is not a git repository, and a run is recorded by its commit. Clone it with git, then start again."

step "2/7 room"
store=/nix/store
[ -d $store ] || store=/
free_gib=$(($(df --output=avail -k $store | tail -n 1) / 1024 / 1024))
if [ ! -e build/workspace-cpu ] && [ "$free_gib" -lt "$needed_gib" ]; then
  die "$needed_gib GiB are needed in $store, and $free_gib GiB are free. Make room ('nix-collect-garbage' drops what no" \
    "link keeps), then start again."
fi
echo "$free_gib GiB free in $store"

step "3/7 pinned files into the Nix store"
make --no-print-directory fetch

step "4/7 the workspace and the example's data, built by Nix"
mkdir -p build
progress=()
[ -t 2 ] || progress=(--print-build-logs)
nix build "$root#workspace-cpu" --out-link build/workspace-cpu "${progress[@]}"
# Unpacks the layers, once, for entering without a container runtime.
nix build "$root#enter-workspace-cpu" --out-link build/enter-workspace-cpu "${progress[@]}"
make --no-print-directory data
image=$(cat build/workspace-cpu/digest)
echo "image $image"

workspace() { (cd examples/flights && exec "$root/build/enter-workspace-cpu/bin/enter-workspace-cpu" "$@"); }

step "5/7 train on a year of flights"
mkdir -p "$state"
echo '*' >"$state/.gitignore"
done=$state/quickstart
this="$(git rev-parse HEAD) $(git status --porcelain | sha256sum | cut -c1-16) $image"
if [ -e "$done" ] && [ "$(head -n 1 "$done")" = "$this" ]; then
  run=$(sed -n 2p "$done")
  echo "run $run is of this very commit and image already"
else
  rm -f "$done"
  workspace samebits exec -- python -m flights.train --epochs "${EPOCHS:-3}" 2>&1 | tee "$state/train.log"
  run=$(sed -n 's/^samebits: run \([0-9a-f]*\) recorded.*/\1/p' "$state/train.log" | tail -n 1)
  [ -n "$run" ] || die "the training said no run id; its output is in .samebits/train.log."
  printf '%s\n%s\n' "$this" "$run" >"$done"
fi

step "6/7 the same run again"
if [ "$(sed -n 3p "$done")" = IDENTICAL ]; then
  echo "IDENTICAL, as proven before (remove .samebits/quickstart to prove it again)"
  verdict=0
else
  verdict=0
  workspace samebits rerun "$run" || verdict=$?
  [ $verdict != 0 ] || echo IDENTICAL >>"$done"
fi

step "7/7 look at it"
echo "MLflow's pages on both runs:  make ui   then open http://127.0.0.1:$port"
echo "JupyterLab in the workspace:  make lab"
[ $verdict = 0 ] && printf '\nIDENTICAL: run %s, executed again, gave the same bits.\n' "$run"
exit $verdict
