"""Names, labels, annotations and ports: every word that two places must spell alike.

Builders, the plan, the chart, k8s/ and the tests take them from here. Selectors use the labels of
`selector` alone: they never change, so a StatefulSet's immutable selector never has to.
"""

from __future__ import annotations

import re

GROUP = "bazaar.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "Bazaar"
PLURAL = "bazaars"
CRD_NAME = f"{PLURAL}.{GROUP}"

FIELD_MANAGER = "bazaar-operator"
"""The one field manager of everything that the operator applies."""

CLIENT_PORT = 8600
PEER_PORT = 8601
HTTPS_PORT = 8602
CONTAINER = "peer"
CLAIM = "data"
UID = 10001

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
PART_OF = "app.kubernetes.io/part-of"
MANAGED_BY = "app.kubernetes.io/managed-by"

BAZAAR = f"{GROUP}/bazaar"
TRADER = f"{GROUP}/trader"
"""On the pod of the trader, "true"; nothing may depend on it but the Service NAME-trader."""

SETTINGS_HASH = f"{GROUP}/settings-hash"
CRD_VERSION = f"{GROUP}/crd-version"
UPDATE_TO = f"{GROUP}/update-to"
ROTATE = f"{GROUP}/rotate-certificates"
"""On a Bazaar: another value than before asks for another authority, and new certificates."""
NUDGE = f"{GROUP}/certificates"
"""On a pod: its change lets the kubelet look at the pod's Secrets at once."""
KEYS_HASH = f"{GROUP}/keys-hash"
DELETION_PROTECTION = f"{GROUP}/deletion-protection"

MANAGED_SELECTOR = f"{MANAGED_BY}={FIELD_MANAGER}"
"""What the operator watches: its own objects, never every pod of the cluster."""


def selector(name: str) -> dict[str, str]:
    """The labels by which a Bazaar's pods are found; immutable."""
    return {NAME: "bazaar", INSTANCE: name, COMPONENT: CONTAINER}


def selector_text(name: str) -> str:
    """The same for `status.selector`, which kubectl scale and autoscalers read."""
    return ",".join(f"{key}={value}" for key, value in selector(name).items())


def labels(name: str) -> dict[str, str]:
    """The labels of every object of a Bazaar, its pods included."""
    return selector(name) | {PART_OF: "bazaar", MANAGED_BY: FIELD_MANAGER, BAZAAR: name}


def statefulset(name: str) -> str:
    return name


def peers_service(name: str) -> str:
    return f"{name}-peers"


def domains(name: str, namespace: str) -> list[str]:
    """Return under which names a ring's peers are reached: as themselves, and by its Services."""
    peers = peers_service(name)
    services = (client_service(name), trader_service(name))
    by_service = [f"{own}{end}" for own in services for end in ("", f".{namespace}")]
    within = [f"{own}.{namespace}.svc" for own in services]
    return [peers, f"{peers}.{namespace}.svc", *by_service, *within]


def names_of(name: str, namespace: str, peer: int) -> list[str]:
    """Return the names of a peer, its own first."""
    own, space, *services = domains(name, namespace)
    return [f"{pod(name, peer)}.{own}", f"{pod(name, peer)}.{space}", *services]


def client_service(name: str) -> str:
    return f"{name}-client"


def trader_service(name: str) -> str:
    return f"{name}-trader"


def config_map(name: str) -> str:
    return name


def admin_secret(name: str) -> str:
    return f"{name}-admin"


def authority_secret(name: str) -> str:
    """The ring's own authority with its key: for the operator alone, no pod mounts it."""
    return f"{name}-ca"


def keys_secret(name: str) -> str:
    """The peers' keys, by the names of their pods: each pod sees its own."""
    return f"{name}-keys"


def certificates_secret(name: str) -> str:
    """What all pods see: nothing of it is secret, but the name collides with no Bazaar's."""
    return f"{name}-certificates"


def budget(name: str) -> str:
    return name


def network_policy(name: str) -> str:
    return name


def pod(name: str, ordinal: int) -> str:
    return f"{name}-{ordinal}"


def claim(name: str, ordinal: int) -> str:
    return f"{CLAIM}-{name}-{ordinal}"


def ordinal(name: str, pod_name: str) -> int | None:
    """The ordinal of a pod of the Bazaar NAME; None if the pod is not one of it."""
    found = re.fullmatch(re.escape(name) + r"-(0|[1-9][0-9]{0,3})", pod_name)
    return int(found[1]) if found else None
