# Builds the wheel of $source into $out.
set -euo pipefail
cp -r --no-preserve=all "$source" /build/sdk
uv build --quiet --wheel --offline --no-build-isolation --python /usr/bin/python3 --cache-dir /build/uv --out-dir "$out" /build/sdk
rm -f "$out/.gitignore"
