"""Every object of a Bazaar, built from the resource alone: pure, one module a kind.

The builders read the spec and what is latched in the status (ring id, genesis peers, image) and
`members` for the disruption budget; no clock, no environment, no I/O. So equal resources make equal
objects, to the byte, and applying them again changes nothing. Objects are applied server-side, so a
builder names exactly the fields that are the operator's.

Secrets are apart: what is in them is made once, or as time demands, and never built again.
"""

from __future__ import annotations

from typing import Any

from bazaar_operator.manifests import budget, config, network, services, statefulset
from bazaar_operator.manifests.config import ring_json
from bazaar_operator.manifests.metadata import Manifest, owner_reference
from bazaar_operator.manifests.secret import admin_secret, opaque_secret
from bazaar_operator.spec import Bazaar

__all__ = [
    "KINDS", "OPTIONAL", "Manifest", "admin_secret", "build", "opaque_secret", "owner_reference",
    "ring_json",
]  # fmt: skip

KINDS = (
    "ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "StatefulSet",
)  # fmt: skip
"""Of all objects that `build` may make."""
OPTIONAL = (("policy/v1", "PodDisruptionBudget"), ("networking.k8s.io/v1", "NetworkPolicy"))
"""Kinds of which `build` may leave the Bazaar's object out: then it is to be deleted."""


def build(bazaar: Bazaar, *, replicas: int) -> list[dict[str, Any]]:
    """All objects but the Secret, in the order in which they are to be applied.

    The caller has latched `status.ring_id`, `status.genesis_peers` and `status.image`.
    """
    found = [
        config.config_map(bazaar),
        services.peers(bazaar),
        services.client(bazaar),
        services.trader(bazaar),
        budget.disruption_budget(bazaar),
        network.network_policy(bazaar),
        statefulset.stateful_set(bazaar, replicas=replicas),
    ]
    return [manifest for manifest in found if manifest is not None]
