# The SDK's wheel. Only what goes into it counts: an edited test or note changes no hash.
{ inTools }:
let
  source = builtins.path {
    name = "samebits-sdk";
    path = ../../sdk;
    filter = path: _:
      let relative = builtins.substring (builtins.stringLength (toString ../../sdk) + 1) (-1) path;
      in builtins.elem relative [ "pyproject.toml" "README.md" ]
        || builtins.match "src(/.*)?" relative != null && builtins.match ".*(__pycache__|\\.pyc|egg-info).*" relative == null;
  };
  version = (builtins.fromTOML (builtins.readFile ../../sdk/pyproject.toml)).project.version;
in
inTools
  {
    name = "samebits-sdk-${version}";
    program = [ "/usr/bin/bash" ./sdk.sh ];
    inherit source;
    allowedReferences = [ ];
  } // { wheel = "samebits-${version}-py3-none-any.whl"; }
