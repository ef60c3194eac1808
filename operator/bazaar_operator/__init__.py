"""The operator that turns a Bazaar resource into a ring of pods, and keeps it one."""
