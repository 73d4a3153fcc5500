# in-tools.sh BUSYBOX TOOLS PROGRAM ARGS…: runs PROGRAM with TOOLS as its root, the store and the build folder at their
# usual places, as root of a user namespace: it may mount and chroot, and touches nothing outside the sandbox.
set -eu
busybox=$1 tools=$2
shift 2
if [ "$NIX_BUILD_TOP" != /build ]; then
  echo "This build needs Nix's sandbox, which is switched off here. Run 'make nix', or put 'sandbox = true' into" \
    "/etc/nix/nix.conf (and restart nix-daemon if it runs), then build again." >&2
  exit 1
fi
unset TMPDIR TMP TEMP TEMPDIR
export PATH=/usr/sbin:/usr/bin HOME=/build LC_ALL=C.UTF-8 PYTHONHASHSEED=0
# 1 January 2025, for every program that asks for a date to write; also makes byte-code checked by hash, not by time.
export SOURCE_DATE_EPOCH=1735689600
exec "$busybox" unshare -U -r -m "$busybox" sh -euc '
  busybox=$1 tools=$2
  shift 2
  for place in proc dev nix/store build; do
    "$busybox" mount --rbind "/$place" "$tools/$place"
  done
  "$busybox" mount -t tmpfs tmpfs "$tools/tmp"
  # Tens of thousands of small files that nobody keeps: where memory is plenty, they need not see a disk.
  if [ "$("$busybox" sed -n "s/^MemAvailable: *\([0-9]*\) kB/\1/p" /proc/meminfo)" -gt $((12 * 1024 * 1024)) ]; then
    "$busybox" mount -t tmpfs -o mode=0755 tmpfs "$tools/build"
    for file in /build/.attrs.*; do [ ! -e "$file" ] || "$busybox" cp "$file" "$tools/build/"; done
  fi
  cd "$tools"
  exec "$busybox" chroot "$tools" "$@"
' in-tools "$busybox" "$tools" "$@"
