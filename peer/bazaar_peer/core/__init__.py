"""The ring's core: decides everything and touches nothing (no I/O, no clock, no randomness)."""
