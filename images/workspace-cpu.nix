# The data scientist's machine, without a GPU.
{ image, layers }:
image {
  name = "workspace-cpu";
  layers = [
    layers.debian-base
    layers.python-mlflow
    layers.debian-workspace
    layers.python-workspace
    layers.spark
    layers.workspace-config
    layers.sdk
  ];
  config = {
    User = "1000:1000";
    WorkingDir = "/home/samebits";
    Entrypoint = [ "/usr/bin/tini" "--" ];
    Cmd = [ "jupyter" "lab" "--ip=0.0.0.0" ];
    ExposedPorts."8888/tcp" = { };
    Env = [
      "PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin"
      "LANG=C.UTF-8"
      "JAVA_HOME=/usr/lib/jvm/java-21-openjdk-amd64"
      "SPARK_CONF_DIR=/etc/spark"
      "SAMEBITS_CLOSURE=/etc/samebits/closure.json"
    ];
  };
}
