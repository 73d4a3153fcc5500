# `enter-NAME CMD…`: runs CMD inside an image's root file system, rootless and without a container runtime.
{ system, locks, tools, tree }:
{ image, source, revision }:
let
  name = image.imageName;
  quote = text: "'" + builtins.replaceStrings [ "'" ] [ "'\\''" ] text + "'";
in
derivation {
  name = "enter-${name}";
  inherit system;
  builder = "${locks.busybox}/busybox";
  args = [
    "sh"
    "-euc"
    ''
      "$busybox" mkdir -p "$out/bin" "$out/tree/etc/samebits"
      "$busybox" cp "$closure/closure.json" "$out/tree/etc/samebits/"
      # What is mounted over a file needs a file to be mounted over.
      "$busybox" touch "$out/tree/etc/resolv.conf" "$out/tree/etc/hosts"
      { printf '#!%s sh\n' "$busybox"; printf '%s\n' "$settings" "trees=\"\$trees $out/tree\""; "$busybox" cat "$script"; } > "$out/bin/enter-$image"
      "$busybox" chmod 0755 "$out/bin/enter-$image"
    ''
  ];
  busybox = "${locks.busybox}/busybox";
  image = name;
  inherit (image) closure;
  script = ./enter.sh;
  settings = ''
    busybox=${locks.busybox}/busybox
    tools=${tools}
    image=${image}
    name=${name}
    source=${source}
    revision=${revision}
    trees=${quote (builtins.concatStringsSep " " (map (l: "${tree l}") image.imageLayers))}
    image_environment=${quote (builtins.concatStringsSep "\n" image.imageConfig.Env)}
  '';
}
