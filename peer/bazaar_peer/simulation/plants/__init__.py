"""Planted bugs (G2): each a part of the core replaced from outside, for one run of the simulator.

A checker that never failed has shown nothing; every plant must be found, by biased schedules or by
a named script. Many leave a part of a rule out or do it the nearest wrong way; some are bugs that
the core once had.
"""

from bazaar_peer.simulation.plants import (
    answers,
    investiture,
    liveness,
    members,
    once,
    replication,
    state,
)
from bazaar_peer.simulation.plants.registry import PLANTS, planted

__all__ = [
    "PLANTS",
    "answers",
    "investiture",
    "liveness",
    "members",
    "once",
    "planted",
    "replication",
    "state",
]
