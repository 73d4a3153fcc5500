# Packs the folder $files, as root's and readable by all, into $out.
set -euo pipefail
cp -r --no-preserve=all "$files" /build/root
find /build/root -type d -exec chmod 0755 {} + -o -type f -exec chmod 0644 {} +
python3 "$pack" pack /build/root "$out"
