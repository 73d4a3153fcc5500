# Installs the wheels and sdists $artifacts into /usr/local, as Debian's Python looks for them, compiles them and packs
# the result into $out. $jars, if given, go into pyspark's own folder.
set -euo pipefail
mkdir -p /build/local /build/files
mount --bind /build/local /usr/local
while read -r path file; do ln -s "$path" "/build/files/$file"; done <<<"$artifacts"

# No INSTALLER, REQUESTED, direct_url.json: they tell of this build, not of the package.
export UV_NO_INSTALLER_METADATA=1 UV_CACHE_DIR=/build/uv UV_LINK_MODE=hardlink PYTHONPATH=/opt/python
uv pip install --quiet --python /usr/bin/python3 --system --break-system-packages \
  --no-index --no-deps --no-build-isolation /build/files/*
unset PYTHONPATH
site=/usr/local/lib/python3.13/dist-packages
if [ -n "${jars-}" ]; then
  while read -r path file; do cp "$path" "$site/pyspark/jars/$file"; done <<<"$jars"
fi
rm -rf /usr/local/.lock "$site/.lock"
python3 "$compile" "$site"
find /usr/local -perm /6000 -exec chmod ug-s {} +

mkdir -p /build/root/usr
umount -l /usr/local
mv /build/local /build/root/usr/local
python3 "$pack" pack /build/root "$out"
