"""What a peer shows to Prometheus: docs/metrics.md lists it.

catalogue    every metric, its labels and buckets
interregna   since when there is no trader, as this peer sees it
meter        counts requests, notes of the core, and syncs as they come
state        reads gauges from the peer when it is scraped
telemetry    the registry of a process, over all lives of its peer
"""
