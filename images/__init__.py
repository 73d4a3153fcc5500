"""Pinned container images: locks, fetching them, and the Nix builder."""
