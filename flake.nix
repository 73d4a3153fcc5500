{
  description = "Samebits: an ML platform where every experiment is bit-reproducible";

  # No inputs: everything comes from images/lock, through `make fetch`.
  outputs = { self }:
    let
      system = "x86_64-linux";
      built = import ./images {
        inherit system;
        source = self.outPath;
        revision = self.rev or "";
      };
      prefixed = prefix: set: builtins.listToAttrs
        (map (name: { name = prefix + name; value = set.${name}; }) (builtins.attrNames set));
    in
    {
      packages.${system} = built.images // prefixed "layer-" built.layers // prefixed "enter-" built.enter // {
        inherit (built) sdk flights-data;
        default = built.images.workspace-cpu;
      };
      apps.${system} = builtins.mapAttrs
        (name: enter: { type = "app"; program = "${enter}/bin/enter-${name}"; })
        built.enter;
      checks.${system} = { inherit (built.images) workspace-cpu mlflow; inherit (built) sdk; };
    };
}
