"""The StatefulSet: one pod and one claim a peer, restricted, spread over nodes.

Parallel, because peers need each other to become ready. OnDelete, because the operator rolls: it
restarts followers first and lets the trader hand over before its turn. Claims are always retained
by the StatefulSet: what happens to them when the Bazaar is deleted or scaled is the operator's
decision, made when the removal of a member is committed and not before.

The claim template holds what is immutable in the resource, and nothing else: it cannot be changed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bazaar_operator import labels
from bazaar_operator.manifests.config import settings_hash
from bazaar_operator.manifests.metadata import Manifest, head
from bazaar_operator.spec import Bazaar, Scheduling

VOLUME_PATH = "/data"
CONFIG_PATH = "/etc/bazaar"
TOKEN_PATH = "/etc/bazaar-admin"  # noqa: S105 - a folder
CERTIFICATES_PATH = "/etc/bazaar-certificates"
KEY_PATH = "/etc/bazaar-key.pem"

GRACE_S = 30
"""Handing over, five seconds more of service, and room."""


def stateful_set(bazaar: Bazaar, *, replicas: int) -> Manifest:
    assert bazaar.status.image, "latch the peers' image before building the StatefulSet"
    name = bazaar.name
    base = head(bazaar, "apps/v1", "StatefulSet", labels.statefulset(name))
    return base | {
        "spec": {
            "replicas": replicas,
            "serviceName": labels.peers_service(name),
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Retain",
                "whenScaled": "Retain",
            },
            "selector": {"matchLabels": labels.selector(name)},
            "template": _template(bazaar),
            "volumeClaimTemplates": [_claim(bazaar)],
        }
    }


def _claim(bazaar: Bazaar) -> Manifest:
    storage = bazaar.spec.storage
    spec: Manifest = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": storage.size}},
    }
    if storage.class_name is not None:
        spec["storageClassName"] = storage.class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": labels.CLAIM, "labels": labels.labels(bazaar.name)},
        "spec": spec,
    }


def _template(bazaar: Bazaar) -> Manifest:
    return {
        "metadata": {
            "labels": labels.labels(bazaar.name),
            "annotations": {labels.SETTINGS_HASH: settings_hash(bazaar), **_keys(bazaar)},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_S,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": labels.UID,
                "runAsGroup": labels.UID,
                "fsGroup": labels.UID,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(bazaar)],
            "volumes": _volumes(bazaar),
            **_scheduling(bazaar.name, bazaar.spec.scheduling),
        },
    }


def _container(bazaar: Bazaar) -> Manifest:
    return {
        "name": labels.CONTAINER,
        "image": bazaar.status.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["bazaar", "serve"],
        "args": [
            "--settings", f"{CONFIG_PATH}/ring.json",
            "--token-file", f"{TOKEN_PATH}/token",
            "--volume", VOLUME_PATH,
        ],
        "env": [
            _from_pod("POD_NAME", "metadata.name"),
            _from_pod("POD_IP", "status.podIP"),
            *_tls_places(bazaar),
        ],
        "ports": [
            {"name": "client", "containerPort": labels.CLIENT_PORT, "protocol": "TCP"},
            {"name": "peer", "containerPort": labels.PEER_PORT, "protocol": "TCP"},
        ],
        # A start may have to replay a journal; only a process that hangs is killed for it.
        "startupProbe": _probe("/healthz", period=1, failures=120),
        "livenessProbe": _probe("/healthz", period=5, failures=6),
        "readinessProbe": _probe("/readyz", period=1, failures=2),
        "resources": msgspec.to_builtins(bazaar.spec.resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": labels.CLAIM, "mountPath": VOLUME_PATH},
            {"name": "settings", "mountPath": CONFIG_PATH, "readOnly": True},
            {"name": "admin", "mountPath": TOKEN_PATH, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the root is read-only
            *_tls_mounts(bazaar),
        ],
    }  # fmt: skip


def _from_pod(name: str, path: str) -> Manifest:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _probe(path: str, *, period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "client", "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _volumes(bazaar: Bazaar) -> list[Manifest]:
    name = bazaar.name
    return [
        {"name": "settings", "configMap": {"name": labels.config_map(name)}},
        {"name": "admin", "secret": {"secretName": labels.admin_secret(name)}},
        {"name": "tmp", "emptyDir": {}},
        *_tls_volumes(bazaar),
    ]


# ---- certificates: a folder that all see and that changes, and the pod's own key


def _keys(bazaar: Bazaar) -> Manifest:
    """Other keys roll the ring: a key is read when a container starts."""
    tls = bazaar.status.tls
    return {labels.KEYS_HASH: tls.keys} if tls.mode else {}


def _tls_places(bazaar: Bazaar) -> list[Manifest]:
    """In the environment, where a release that knows no certificates overlooks them."""
    if not bazaar.status.tls.mode:
        return []
    places = {"BAZAAR_CERTIFICATES": CERTIFICATES_PATH, "BAZAAR_KEY": KEY_PATH}
    return [{"name": name, "value": value} for name, value in places.items()]


def _tls_mounts(bazaar: Bazaar) -> list[Manifest]:
    if not bazaar.status.tls.mode:
        return []
    key = {"name": "keys", "mountPath": KEY_PATH, "subPathExpr": "$(POD_NAME)", "readOnly": True}
    return [{"name": "certificates", "mountPath": CERTIFICATES_PATH, "readOnly": True}, key]


def _tls_volumes(bazaar: Bazaar) -> list[Manifest]:
    if not bazaar.status.tls.mode:
        return []
    names = {
        "certificates": labels.certificates_secret(bazaar.name),
        "keys": labels.keys_secret(bazaar.name),
    }
    return [{"name": name, "secret": {"secretName": secret}} for name, secret in names.items()]


def _scheduling(name: str, wish: Scheduling) -> dict[str, Any]:
    found: dict[str, Any] = {
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": wish.topology_key,
                "whenUnsatisfiable": wish.when_unsatisfiable,
                "labelSelector": {"matchLabels": labels.selector(name)},
                # A drained or tainted node takes no pod, so it must not count as an empty one.
                "nodeTaintsPolicy": "Honor",
            }
        ]
    }
    if wish.node_selector:
        found["nodeSelector"] = dict(wish.node_selector)
    if wish.tolerations:
        found["tolerations"] = [msgspec.to_builtins(toleration) for toleration in wish.tolerations]
    if wish.priority_class_name:
        found["priorityClassName"] = wish.priority_class_name
    return found
