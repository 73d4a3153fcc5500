# Unpacks $blob into $out. The store keeps neither owners nor setuid bits; a rootless namespace has no use for them.
set -euo pipefail
mkdir "$out"
zstd -dc "$blob" | tar -x -C "$out" --no-same-owner --no-same-permissions
