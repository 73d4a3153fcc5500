# A derivation whose `program` (a list: a path inside the tools root, then its arguments) runs in the tools root.
{ system, locks, tools }:
{ program, ... }@attributes:
derivation (builtins.removeAttrs attributes [ "program" ] // {
  inherit system;
  builder = "${locks.busybox}/busybox";
  args = [ "sh" ./in-tools.sh "${locks.busybox}/busybox" "${tools}" ] ++ program;
})
