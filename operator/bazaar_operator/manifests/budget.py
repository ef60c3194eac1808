"""The PodDisruptionBudget: as many pods may be drained at once as the ring can do without."""

from __future__ import annotations

from bazaar_operator import labels
from bazaar_operator.manifests.metadata import Manifest, head
from bazaar_operator.spec import Bazaar


def disruption_budget(bazaar: Bazaar) -> Manifest | None:
    """None for a ring of one: there a budget could only block a drain for ever.

    Two pods of a node must be able to go at once: with local volumes an evicted pod stays Pending
    until its node is back, and a budget of one would block the drain for as long. While the ring
    grows or shrinks the smaller of its sizes counts.
    """
    sizes = {bazaar.spec.peers, len(bazaar.status.members) or bazaar.spec.peers}
    if max(sizes) == 1:
        return None
    spare = min(size - (size // 2 + 1) for size in sizes)
    base = head(bazaar, "policy/v1", "PodDisruptionBudget", labels.budget(bazaar.name))
    return base | {
        "spec": {
            "maxUnavailable": max(1, spare),
            "selector": {"matchLabels": labels.selector(bazaar.name)},
        }
    }
