# MLflow, with what its server needs for PostgreSQL and S3. The same wheels serve as client in the workspace.
{ layer, locks, ... }:
layer {
  name = "python-mlflow";
  script = ../nix/python.sh;
  artifacts = locks.set "python" "mlflow";
  env.compile = ../nix/compile.py;
}
