"""Benchmarks: goals and figures of one interleaved run; see `python -m bench --help`."""
