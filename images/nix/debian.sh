# Installs the packages $artifacts with the real dpkg and packs what that changed into $out. With $below (the blob of
# the layer underneath) on top of that root, else into an empty one, which also gets the image's user.
set -euo pipefail
root=/build/root
mkdir "$root"

# The sandbox forbids setuid bits and has one user only: fakeroot remembers both instead. Over System V's message queues,
# because its TCP daemon loses its place in a message that arrives in two parts (docs/adr/0003).
exec 8< <(exec faked-sysv --foreground </dev/null 2>/dev/null)
IFS=: read -r FAKEROOTKEY faked <&8
trap 'kill "$faked"' EXIT
fakelib=/usr/lib/x86_64-linux-gnu/libfakeroot
export FAKEROOTKEY FAKEROOTDONTTRYCHOWN=1 LD_PRELOAD=$fakelib/libfakeroot-sysv.so

debs=()
while read -r path _; do debs+=("$path"); done <<<"$artifacts"

if [ -n "${below-}" ]; then
  zstd -dc "$below/blob.tar.zst" | tar -x -p --numeric-owner -C "$root"
  python3 "$pack" list "$root" /build/before
else
  # What dpkg and the maintainer scripts of essential packages need to run at all: every file in place, none configured.
  for deb in "${debs[@]}"; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -p --numeric-owner -C "$root"
  done
  mkdir -p "$root"/var/lib/dpkg/{info,updates,triggers} "$root/etc/dpkg/dpkg.cfg.d"
  : >"$root/var/lib/dpkg/status"
  cp "$excludes" "$root/etc/dpkg/dpkg.cfg.d/samebits"
fi

mkdir -p "$root"/{proc,dev,tmp} "$root$fakelib"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$fakelib" "$root$fakelib"
# No service starts in a build.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"

export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
dpkg_() {
  dpkg --root="$root" --force-unsafe-io --force-depends --log=/dev/null "$@" >>/build/dpkg.log 2>&1 ||
    { tail -n 40 /build/dpkg.log; echo "dpkg $1 failed; its last lines are above"; exit 1; }
}
if [ -z "${below-}" ]; then
  # These two make /etc/passwd and the root folders that the other packages' scripts ask for.
  dpkg_ --install $(printf '%s\n' "${debs[@]}" | grep -E -- '-base-(passwd|files)_')
fi
dpkg_ --unpack "${debs[@]}"
dpkg_ --configure -a
if [ -z "${below-}" ]; then
  chroot "$root" useradd --create-home --uid 1000 --user-group --shell /bin/bash samebits
fi

# Scanners look for the packages' own hashes in dpkg's "available" file.
for deb in "${debs[@]}"; do
  dpkg-deb --field "$deb"
  printf 'Filename: %s\nSize: %s\nSHA256: %s\n\n' "${deb#*-}" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
done >/build/available
dpkg_ --merge-avail /build/available

audit=$(dpkg --root="$root" --audit)
[ -z "$audit" ] || { echo "dpkg --audit is not clean:"; echo "$audit"; exit 1; }

rm "$root/usr/sbin/policy-rc.d"
umount -l "$root/proc" "$root/dev" "$root/tmp" "$root$fakelib"
[ -n "${below-}" ] || rmdir "$root$fakelib"
# What a package manager leaves behind of the moment and the machine: logs, caches with inode numbers, backups.
find "$root/var/log" "$root/var/cache/apt" "$root/var/cache/debconf" -type f -delete
rm -rf "$root"/var/cache/ldconfig/aux-cache "$root"/etc/machine-id "$root"/var/lib/dbus/machine-id \
  "$root"/etc/{passwd,group,shadow,gshadow,subuid,subgid}- "$root"/var/lib/dpkg/*-old "$root"/var/lib/dpkg/lock* \
  "$root"/var/lib/dpkg/triggers/Lock "$root"/run/*
cacerts=$root/etc/ssl/certs/java/cacerts
[ ! -e "$cacerts" ] || python3 "$keystore" "$cacerts"
python3 "$pack" pack "$root" "$out" ${below:+/build/before}
