"""Drawn reports: a page, its pictures, and the figures that they are drawn from.

`write.write` makes them of a drill's `drill.json`, `write.write_bench` of a measurement's
`bench.json`. Only `figures/` needs matplotlib; without it the page has its numbers and tables.
"""
