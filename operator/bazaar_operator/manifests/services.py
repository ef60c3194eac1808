"""Three Services: how peers find each other, how clients find a peer, and who the trader is."""

from __future__ import annotations

from bazaar_operator import labels
from bazaar_operator.manifests.metadata import Manifest, head
from bazaar_operator.spec import Bazaar

CLIENT: Manifest = {
    "name": "client", "port": labels.CLIENT_PORT, "targetPort": "client", "protocol": "TCP",
}  # fmt: skip
PEER: Manifest = {
    "name": "peer", "port": labels.PEER_PORT, "targetPort": "peer", "protocol": "TCP",
}  # fmt: skip
HTTPS: Manifest = {
    "name": "https", "port": labels.HTTPS_PORT, "targetPort": labels.HTTPS_PORT, "protocol": "TCP",
}  # fmt: skip


def _for_clients(bazaar: Bazaar) -> list[Manifest]:
    return [dict(CLIENT), dict(HTTPS)] if bazaar.status.tls.mode else [dict(CLIENT)]


def peers(bazaar: Bazaar) -> Manifest:
    """The name of every peer, ready or not: unready peers must meet to become ready (K1)."""
    name = bazaar.name
    base = head(bazaar, "v1", "Service", labels.peers_service(name))
    return base | {
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": labels.selector(name),
            "ports": [*_for_clients(bazaar), dict(PEER)],
        }
    }


def client(bazaar: Bazaar) -> Manifest:
    """Any ready peer: each takes any request."""
    return _cluster_ip(bazaar, labels.client_service(bazaar.name), {})


def trader(bazaar: Bazaar) -> Manifest:
    """The trader as last seen by the operator; a shortcut that may lag behind an election."""
    return _cluster_ip(bazaar, labels.trader_service(bazaar.name), {labels.TRADER: "true"})


def _cluster_ip(bazaar: Bazaar, service: str, further: dict[str, str]) -> Manifest:
    base = head(bazaar, "v1", "Service", service)
    return base | {
        "spec": {
            "type": "ClusterIP",
            "selector": labels.selector(bazaar.name) | further,
            "ports": _for_clients(bazaar),
        }
    }
