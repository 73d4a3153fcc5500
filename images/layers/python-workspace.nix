# The workspace's other wheels: JupyterLab, the scientific stack, Feast, Presto's client.
{ layer, locks, ... }:
layer {
  name = "python-workspace";
  script = ../nix/python.sh;
  artifacts = builtins.filter (a: a.name != "pyspark") (locks.set "python" "workspace");
  env.compile = ../nix/compile.py;
}
