# A layer's files, unpacked, for entering an image without a container runtime.
{ inTools }:
layer:
inTools {
  name = "tree-${layer.layerName or "closure"}";
  program = [ "/usr/bin/bash" ./tree.sh ];
  blob = "${layer}/blob.tar.zst";
}
