# PySpark and the jars of its S3A file system: large, and changed with Spark's version only.
{ layer, locks, ... }:
layer {
  name = "spark";
  script = ../nix/python.sh;
  artifacts = builtins.filter (a: a.name == "pyspark") (locks.set "python" "workspace");
  jars = locks.set "maven" "s3a";
  env.compile = ../nix/compile.py;
}
