#!/usr/bin/env bash
# Builds the workspace's content as people do it without this project: mmdebstrap, uv, jars, tar and zstd.
#
#   bench/peer_build.sh OUT            root file system in OUT/root, packed to OUT/root.tar.zst, times in OUT/times.json
#   bench/peer_build.sh --fill OUT     the same, and fills the cache from the mirrors first, outside the measured time
#
# Contents come from images/lock; mirrors from the machine's configuration. Downloads are kept in PEER_CACHE, because the
# build it is compared with starts from a filled store too. Needs root (chroot, bind mounts), mmdebstrap, zstd, uv, mvn.
set -euo pipefail

fail() { echo "peer_build: $*" >&2; exit 1; }

fill=
if [ "${1-}" = --fill ]; then fill=1; shift; fi
[ $# = 1 ] || fail "Name one folder for the result: bench/peer_build.sh [--fill] OUT"
[ "$(id -u)" = 0 ] || fail "Run it as root: mmdebstrap's fastest mode and chroot need it."
for tool in mmdebstrap zstd curl; do
  command -v "$tool" >/dev/null || fail "$tool is missing; install it with: apt-get install mmdebstrap zstd curl"
done
repository=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
[ ! -e "$out/root" ] || fail "$out/root is there already; remove it or name another folder."
cache=${PEER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/samebits-bench}
mkdir -p "$cache/debs" "$cache/uv" "$cache/jars"
python=$repository/.venv/bin/python
[ -x "$python" ] || python=python3

# What to install, as plain lists: bench/peer_lists.py reads the intents and locks.
(cd "$repository" && "$python" -m bench.peer_lists "$out")
mapfile -t sources <"$out/sources.list"
packages=$(paste -sd, "$out/packages.txt")
# uv's own binary: it has to run inside the new root too, where a wrapper of the host would not.
uv=$("$python" -c 'import uv; print(uv.find_uv_bin())') || fail "uv is missing; install it with: pip install uv"
certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}

elapsed() { awk -v from="$1" -v to="$2" 'BEGIN { printf "%.2f", to - from }'; }

unmount() { mountpoint -q "$out/root/mnt" && umount "$out/root/mnt" || true; }
trap unmount EXIT

debian() {
  # OpenJDK's alternatives want the manuals' folder, even an empty one. The archives are
  # hard links of the cached .debs, which apt takes instead of downloading, and which are back in the cache afterwards.
  mmdebstrap --quiet --mode=root --variant=required --architectures=amd64 --include="$packages" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt="$repository/images/nix/dpkg-excludes" \
    --skip=cleanup/apt/cache \
    --setup-hook='mkdir -p "$1/var/cache/apt/archives" "$1/usr/share/man/man1"' \
    --setup-hook="cp -al '$cache/debs/.' \"\$1/var/cache/apt/archives/\"" \
    --customize-hook="mv -n \"\$1\"/var/cache/apt/archives/*.deb '$cache/debs/' 2>/dev/null; rm -f \"\$1\"/var/cache/apt/archives/*.deb" \
    trixie "$out/root" "${sources[@]}"
}

wheels() {
  mount --bind "$cache" "$out/root/mnt"
  cp "$uv" "$cache/uv.bin"
  cp "$certificates" "$cache/certificates.pem"
  cp "$out/requirements.txt" "$cache/requirements.txt"
  # shellcheck disable=SC2086  # $1 is an optional flag
  chroot "$out/root" env UV_CACHE_DIR=/mnt/uv UV_LINK_MODE=copy SSL_CERT_FILE=/mnt/certificates.pem \
    ${UV_INDEX_URL:+UV_INDEX_URL="$UV_INDEX_URL"} \
    /mnt/uv.bin pip install --quiet --system --break-system-packages --no-deps --compile-bytecode \
    ${1-} -r /mnt/requirements.txt
  umount "$out/root/mnt"
  mkdir -p "$out/root/usr/local/lib/python3.13/dist-packages"
  cp -r "$repository/sdk/src/samebits" "$out/root/usr/local/lib/python3.13/dist-packages/"
}

jars() {
  local target=$out/root/usr/local/lib/python3.13/dist-packages/pyspark/jars name file
  while read -r name file; do
    if [ ! -e "$cache/jars/$file" ]; then
      mvn --quiet dependency:copy -Dartifact="$name" -DoutputDirectory="$cache/jars"
    fi
    cp "$cache/jars/$file" "$target/"
  done <"$out/jars.txt"
}

pack() { tar --directory="$out/root" --numeric-owner --create . | zstd --quiet -3 -T2 -o "$out/root.tar.zst"; }

if [ -n "$fill" ]; then
  debian; wheels; jars
  rm -rf "$out/root"
fi
marks=("$EPOCHREALTIME")
debian; marks+=("$EPOCHREALTIME")
# After --fill everything is in the cache: offline, uv does not ask the index again.
wheels "${fill:+--offline}"; marks+=("$EPOCHREALTIME")
jars; marks+=("$EPOCHREALTIME")
pack; marks+=("$EPOCHREALTIME")
printf '{"debian": %s, "wheels": %s, "jars": %s, "pack": %s, "total": %s, "bytes": %s}\n' \
  "$(elapsed "${marks[0]}" "${marks[1]}")" "$(elapsed "${marks[1]}" "${marks[2]}")" \
  "$(elapsed "${marks[2]}" "${marks[3]}")" "$(elapsed "${marks[3]}" "${marks[4]}")" \
  "$(elapsed "${marks[0]}" "${marks[4]}")" "$(stat -c %s "$out/root.tar.zst")" | tee "$out/times.json"
