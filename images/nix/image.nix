# An OCI image layout: its layers' blobs are links to the layers' store paths, so nothing is copied. The last layer holds
# the closure manifest; `config` is the OCI image configuration's `config` object.
{ inTools, closure }:
{ name, layers, config }:
let manifest = closure { inherit name layers; };
in
inTools {
  name = "image-${name}";
  program = [ "/usr/bin/python3" ./image.py ];
  layer = "closure";
  pack = ./pack.py;
  imageName = name;
  config = builtins.toJSON config;
  layers = map (l: "${l}") layers;
  closure = manifest;
} // { closure = manifest; imageLayers = layers; imageConfig = config; imageName = name; }
