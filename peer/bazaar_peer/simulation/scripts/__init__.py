"""Named scenarios: the protocol's rows as scripts, each a function from a fresh world to facts.

A script passes with the core as it is; with the plants that it names it must fail, be it by a
checker or by the fact that it states. `SCRIPTS` maps its name to the plants that it shows.
"""

from bazaar_peer.simulation.scripts import (
    answers,
    found,
    hand_over,
    investiture,
    keys,
    liveness,
    members,
    numbers,
    replication,
    sessions,
    state,
)
from bazaar_peer.simulation.scripts.registry import SCRIPTS

__all__ = [
    "SCRIPTS",
    "answers",
    "found",
    "hand_over",
    "investiture",
    "keys",
    "liveness",
    "members",
    "numbers",
    "replication",
    "sessions",
    "state",
]
