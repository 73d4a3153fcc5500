# The project (the folder with .git above the current one, else the current folder) appears at its own path, the home
# folder at /home/samebits, and of the host nothing else: not its Python, not its /usr. The root is read-only.
set -eu
die() {
  printf 'samebits: %s\n' "$*" >&2
  exit 3
}
[ $# -gt 0 ] || die "say what to run in the workspace, for example: nix run .#$name -- python -V"

if ! "$busybox" unshare -U -r "$busybox" true 2>/dev/null; then
  setting=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
  if [ "$("$busybox" cat $setting 2>/dev/null)" = 1 ]; then
    how="sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
  elif [ "$("$busybox" cat /proc/sys/kernel/unprivileged_userns_clone 2>/dev/null)" = 0 ]; then
    how="sudo sysctl -w kernel.unprivileged_userns_clone=1"
  else
    how="sudo sysctl -w user.max_user_namespaces=15000"
  fi
  die "this machine does not let you make user namespaces, which entering the workspace without a container runtime" \
    "needs. To allow them until the next boot: $how (in /etc/sysctl.d it lasts). Inside a container, ask for a profile" \
    "that permits unshare, or run the image itself: nix build .#$name && skopeo copy oci:./result …"
fi

project=$PWD
while [ ! -e "$project/.git" ] && [ "$project" != / ]; do project=$("$busybox" dirname "$project"); done
[ "$project" != / ] || project=$PWD
case "$project" in
  / | /bin | /dev | /etc | /lib* | /nix* | /proc | /root | /run | /sbin | /sys | /tmp | /usr | /var)
    [ "$project" = "${HOME-}" ] ||
      die "$project is no project folder: it would hide the workspace's own files. Go to your project's folder first." ;;
esac

libraries=$tools/usr/lib/x86_64-linux-gnu
set -- --remount-ro / --chdir "$PWD" -- "$@"
# A POSIX shell has one list only: each step below puts its options in front of what is there.

# Only what is meant to cross: the terminal, proxies, credentials and settings of our services, numeric switches.
kept=
for variable in $("$busybox" env | "$busybox" sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
  case "$variable" in
    TERM | COLORTERM | TZ | http_proxy | https_proxy | no_proxy | HTTP_PROXY | HTTPS_PROXY | NO_PROXY) ;;
    AWS_* | MLFLOW_* | SAMEBITS_* | FEAST_* | GIT_* | SPARK_* | JUPYTER* | NO_COLOR | PYTHONHASHSEED | PYTHONUNBUFFERED) ;;
    OMP_* | OPENBLAS_* | NPY_* | GLIBC_TUNABLES | ATEN_* | ONEDNN_* | DNNL_* | CUBLAS_* | CUDA_* | NVIDIA_*) ;;
    *) continue ;;
  esac
  kept="$kept $variable"
done
for variable in $kept; do
  eval "value=\$$variable"
  set -- --setenv "$variable" "$value" "$@"
done

if [ -z "${MLFLOW_TRACKING_URI-}" ]; then
  # A folder that ignores itself: the project stays clean without an entry in its own .gitignore.
  if "$busybox" mkdir -p "$project/.samebits" 2>/dev/null; then
    [ -e "$project/.samebits/.gitignore" ] || echo '*' >"$project/.samebits/.gitignore"
  fi
  # The second is how MLflow's server hands its artifact root to the store; without it files land in ./mlruns.
  set -- --setenv MLFLOW_TRACKING_URI "sqlite:///$project/.samebits/mlflow.db" \
    --setenv _MLFLOW_SERVER_ARTIFACT_ROOT "$project/.samebits/artifacts" "$@"
fi
if [ -z "${SAMEBITS_FLAKE-}" ]; then
  flake="path:$source#$name"
  if [ -n "$revision" ] && [ -e "$project/flake.nix" ]; then flake="git+file://$project?rev=$revision#$name"; fi
  set -- --setenv SAMEBITS_FLAKE "$flake" "$@"
fi
while IFS= read -r line; do set -- --setenv "${line%%=*}" "${line#*=}" "$@"; done <<IMAGE
$image_environment
IMAGE
set -- --clearenv --setenv HOME /home/samebits --setenv USER samebits --setenv PYTHONNOUSERSITE 1 \
  --setenv SAMEBITS_IMAGE "$("$busybox" cat "$image/digest")" "$@"

# A worktree's objects lie in the main repository.
if [ -f "$project/.git" ]; then
  main=$("$busybox" sed -n 's|^gitdir: \(/.*\)/worktrees/[^/]*$|\1|p' "$project/.git")
  [ -z "$main" ] || set -- --bind "$main" "$main" "$@"
fi
set -- --bind "$project" "$project" "$@"
[ ! -d "${HOME-}" ] || [ "$HOME" = / ] || set -- --bind "$HOME" /home/samebits "$@"
for file in /etc/resolv.conf /etc/hosts; do
  [ ! -e "$file" ] || set -- --ro-bind "$("$busybox" readlink -f "$file")" "$file" "$@"
done
set -- --proc /proc --dev /dev --ro-bind /sys /sys --tmpfs /tmp --tmpfs /run --tmpfs /var/tmp --dir /home/samebits --dir /root "$@"

# The root is a tmpfs, where anybody may make mount points; its folders are the layers over each other. In the store they
# belong to root and are closed for writing, so one overlay on / would have no place for a project.
for folder in etc opt srv usr var; do
  sources= count=0
  for tree in $trees; do
    if [ -d "$tree/$folder" ]; then sources="$sources --overlay-src $tree/$folder" count=$((count + 1)); fi
  done
  # shellcheck disable=SC2086 # store paths hold no spaces
  case $count in
    0) ;;
    1) set -- --ro-bind ${sources# --overlay-src } "/$folder" "$@" ;;
    *) set -- $sources --ro-overlay "/$folder" "$@" ;;
  esac
done
for link in bin lib lib64 sbin; do set -- --symlink "usr/$link" "/$link" "$@"; done

exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" --argv0 bwrap "$tools/usr/bin/bwrap" \
  --unshare-user --uid 1000 --gid 1000 --unshare-pid --unshare-ipc --unshare-uts --die-with-parent "$@"
