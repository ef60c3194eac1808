"""The ConfigMap: what every peer of the ring is told, in the file ring.json.

`spec.peers` is not in it: who is a member is the ring's own, replicated decision. So scaling rolls
no pod, and a changed setting rolls them all.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from bazaar_operator import labels
from bazaar_operator.manifests.metadata import Manifest, head
from bazaar_operator.spec import Bazaar

RING_FILE = "ring.json"


def ring_json(bazaar: Bazaar) -> dict[str, Any]:
    """The settings of the ring as values."""
    spec, status = bazaar.spec, bazaar.status
    assert status.ring_id, "latch the ring's identity before building it"
    assert status.genesis_peers, "it is latched together with the ring id"
    more: dict[str, Any] = {}
    # Only where they say something: an older release knows no such words.
    if not spec.record:
        more["record"] = False
    if spec.drills:
        more["drills"] = True
    if spec.storage.restore_from:
        more["restoreFrom"] = spec.storage.restore_from
    if status.former_ring_ids:
        more["former"] = list(status.former_ring_ids)
        more["recoverFrom"] = msgspec.to_builtins(status.recovered_from)
    return {
        "ring": status.ring_id,
        "name": bazaar.name,
        "peers": status.genesis_peers,
        "election": spec.election.algorithm,
        "preempt": spec.election.preempt,
        "heartbeat": msgspec.to_builtins(spec.heartbeat),
        "market": msgspec.to_builtins(spec.market),
        "checkpoint": msgspec.to_builtins(spec.checkpoint),
        "domain": labels.peers_service(bazaar.name),
        **more,
    }


def ring_text(bazaar: Bazaar) -> str:
    return json.dumps(ring_json(bazaar), indent=2) + "\n"


def settings_hash(bazaar: Bazaar) -> str:
    return hashlib.sha256(ring_text(bazaar).encode()).hexdigest()[:16]


def config_map(bazaar: Bazaar) -> Manifest:
    base = head(bazaar, "v1", "ConfigMap", labels.config_map(bazaar.name))
    return base | {"data": {RING_FILE: ring_text(bazaar)}}
