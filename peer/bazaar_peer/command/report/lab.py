"""The lab report that this system comes from: a bazaar on Pyro4, on its authors' machine."""

from __future__ import annotations

REPORT_MS = {5: 850.0509, 6: 1190.0829}
"""Its mean latencies at so many nodes, each over 1200 requests."""
