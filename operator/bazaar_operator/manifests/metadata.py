"""What every object of a Bazaar begins with: its kind, name, labels and owner."""

from __future__ import annotations

from typing import Any, TypeAlias

from bazaar_operator import labels
from bazaar_operator.spec import Bazaar

Manifest: TypeAlias = dict[str, Any]


def owner_reference(bazaar: Bazaar) -> Manifest:
    """The owner: its deletion deletes the object, with no finalizer and no operator needed.

    It does not block the owner's deletion: that would ask for the right to update finalizers where
    the cluster enforces owner references, and nothing has to be gone first.
    """
    return {
        "apiVersion": labels.API_VERSION,
        "kind": labels.KIND,
        "name": bazaar.name,
        "uid": bazaar.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def head(bazaar: Bazaar, api_version: str, kind: str, name: str) -> Manifest:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": bazaar.namespace,
            "labels": labels.labels(bazaar.name),
            "ownerReferences": [owner_reference(bazaar)],
        },
    }
