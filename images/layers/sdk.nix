# The SDK, from its wheel: the small layer that an edit of the SDK rebuilds.
{ layer, sdk, ... }:
layer {
  name = "sdk";
  script = ../nix/python.sh;
  artifacts = [{ path = "${sdk}/${sdk.wheel}"; storePath = sdk; file = sdk.wheel; }];
  env.compile = ../nix/compile.py;
}
