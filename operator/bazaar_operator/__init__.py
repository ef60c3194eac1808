"""The operator that turns a Bazaar resource into a ring of pods (not part of this release yet)."""
