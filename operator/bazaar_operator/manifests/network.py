"""The NetworkPolicy: peers speak with peers of their own ring only; clients come from anywhere."""

from __future__ import annotations

from bazaar_operator import labels
from bazaar_operator.manifests.metadata import Manifest, head
from bazaar_operator.spec import Bazaar


def network_policy(bazaar: Bazaar) -> Manifest | None:
    """None unless it is asked for. What leaves a peer is not limited: DNS differs by cluster."""
    if not bazaar.spec.network_policy.enabled:
        return None
    clients = [labels.CLIENT_PORT] + ([labels.HTTPS_PORT] if bazaar.status.tls.mode else [])
    own = {"matchLabels": labels.selector(bazaar.name)}
    base = head(bazaar, "networking.k8s.io/v1", "NetworkPolicy", labels.network_policy(bazaar.name))
    return base | {
        "spec": {
            "podSelector": own,
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [{"podSelector": own}],
                    "ports": [{"port": labels.PEER_PORT, "protocol": "TCP"}],
                },
                {"ports": [{"port": port, "protocol": "TCP"} for port in clients]},
            ],
        }
    }
