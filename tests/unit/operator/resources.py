"""Bazaars as the API server gives them, and what makes a pod a restricted one."""

from __future__ import annotations

from typing import Any

from bazaar_operator.spec import Bazaar, parse

UID = "7d0e3c1a-0a5b-4c7e-8d2f-9b1e6f3a4c5d"


def body(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "bazaar.dev/v1alpha1",
        "kind": "Bazaar",
        "metadata": {
            "name": "souk",
            "namespace": "market",
            "uid": UID,
            "generation": 3,
            "resourceVersion": "17",
        },
        "spec": spec or {},
        "status": {"ringId": UID, "genesisPeers": 6, "image": "bazaar:dev"} | status,
    }


def bazaar(spec: dict[str, Any] | None = None, **status: Any) -> Bazaar:
    return parse(body(spec, **status))


def members(count: int) -> list[dict[str, Any]]:
    return [{"id": i, "incarnation": 0, "voter": True, "volume": f"v{i}"} for i in range(count)]


EVERYTHING: dict[str, Any] = {
    "peers": 9,
    "market": {
        "items": ["salt", "silk"],
        "roles": "buyers=4,sellers=5",
        "seed": 7,
        "ordersPerSecond": 0,
        "commissionBp": 25,
    },
    "election": {"algorithm": "bully", "preempt": True},
    "heartbeat": {"intervalMs": 200, "timeoutMs": 1000},
    "checkpoint": {"intervalSeconds": 30, "entries": 5000, "keepJournal": True},
    "storage": {
        "size": "20Gi",
        "className": "fast",
        "retentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"},
        "adoptRing": "an-older-ring",
        "recoverFrom": {"ring": "the-present-ring", "peer": 2},
    },
    "resources": {"requests": {"cpu": 1}, "limits": {}},
    "scheduling": {
        "nodeSelector": {"pool": "market"},
        "tolerations": [
            {"key": "pool", "operator": "Equal", "value": "market", "effect": "NoExecute"},
            {"operator": "Exists", "tolerationSeconds": 0},
        ],
        "priorityClassName": "high",
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
    },
    "networkPolicy": {"enabled": True},
    "tls": {"enabled": True},
    "updatePolicy": "Supervised",
    "record": False,
    "drills": True,
    "hibernated": True,
    "paused": True,
}
"""Every field with another value than its default."""


def assert_restricted(pod: dict[str, Any]) -> None:
    """The pod security standard `restricted`, and a read-only root on top."""
    own = pod["securityContext"]

    assert own["runAsNonRoot"] is True
    assert own["runAsUser"] == own["runAsGroup"] == 10001
    assert own["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not any(pod.get(word) for word in ("hostNetwork", "hostPID", "hostIPC"))
    for volume in pod["volumes"]:
        assert volume.keys() - {"name"} <= {"configMap", "secret", "emptyDir"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not any("hostPort" in port for port in container.get("ports", []))
