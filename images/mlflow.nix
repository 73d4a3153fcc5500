# The MLflow tracking server, with PostgreSQL's and S3's clients: the workspace's first two layers and nothing else.
{ image, layers }:
image {
  name = "mlflow";
  layers = [ layers.debian-base layers.python-mlflow ];
  config = {
    User = "1000:1000";
    WorkingDir = "/home/samebits";
    Entrypoint = [ "/usr/bin/tini" "--" ];
    Cmd = [ "mlflow" "server" "--host" "0.0.0.0" "--port" "5000" ];
    ExposedPorts."5000/tcp" = { };
    Env = [
      "PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin"
      "LANG=C.UTF-8"
      "SAMEBITS_CLOSURE=/etc/samebits/closure.json"
    ];
  };
}
