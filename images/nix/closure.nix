# The closure manifest of an image: every pinned artifact and every layer, with the two hashes of docs/closure.md. Its own
# path is the closure's root: it names all the others, so Nix keeps and copies them together.
{ inTools }:
{ name, layers }:
inTools {
  name = "${name}-closure";
  program = [ "/usr/bin/python3" ./closure.py ];
  # In structured attributes, Nix hands over each path of the graph with its NAR hash.
  __structuredAttrs = true;
  exportReferencesGraph.closure = layers ++ builtins.concatMap (l: l.artifactPaths) layers;
  imageName = name;
  layerPaths = map (l: { name = l.layerName; path = l; }) layers;
}
