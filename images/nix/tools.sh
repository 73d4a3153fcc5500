# Unpacks $debs and $wheels into $out with busybox alone.
set -eu
mkdir_() { "$busybox/busybox" mkdir -p "$@"; }
mkdir_ bin
for applet in $("$busybox/busybox" --list); do
  "$busybox/busybox" ln -s "$busybox/busybox" "bin/$applet"
done
PATH=$PWD/bin

mkdir -p "$out"
for deb in $debs; do
  # The sandbox forbids setuid bits and other owners: neither matters to a tool.
  ar p "$deb" data.tar.xz | xz -dc | tar -x -C "$out" --no-same-owner --no-same-permissions
done
mkdir -p "$out/opt/python"
for wheel in $wheels; do
  unzip -q -o "$wheel" -d "$out/opt/python"
done
mv "$out"/opt/python/uv-*.data/scripts/uv "$out/usr/bin/uv"
chmod 0755 "$out/usr/bin/uv"
# Where the sandbox's own folders appear once a builder has chrooted here, and a place for /usr/local.
mkdir -p "$out/proc" "$out/dev" "$out/tmp" "$out/build" "$out/nix/store" "$out/usr/local"
ln -sf /proc/self/mounts "$out/etc/mtab"
for name in sh:dash awk:mawk; do
  [ -e "$out/usr/bin/${name%%:*}" ] || ln -s "${name##*:}" "$out/usr/bin/${name%%:*}"
done
