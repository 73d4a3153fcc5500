# The tools that build layers: the base packages with zstd, fakeroot and bubblewrap, unpacked but not configured, and uv
# with setuptools from their wheels. A store path to chroot into; it never becomes part of an image.
{ system, locks }:
derivation {
  name = "tools";
  inherit system;
  inherit (locks) busybox;
  builder = "${locks.busybox}/busybox";
  args = [ "sh" ./tools.sh ];
  debs = map (a: a.path) (locks.set "debian" "base" ++ locks.set "debian" "tools");
  wheels = map (a: a.path) (locks.set "python" "build");
  allowedReferences = [ ];
}
