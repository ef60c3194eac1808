"""What cannot be is refused, with a sentence that a user understands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import MakeRing
from tests.e2e.release import Release
from tests.e2e.ring import manifest

MARK = "0123456789abcdef" * 2
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no peers": ({"peers": 0}, "spec.peers"),
    "too many peers": ({"peers": 25}, "spec.peers"),
    "an item's name": ({"market": {"items": ["Salt & Pepper"]}}, "spec.market.items"),
    "roles": ({"market": {"roles": "thieves"}}, "roles"),
    "a timeout that is too short": (
        {"heartbeat": {"intervalMs": 100, "timeoutMs": 200}},
        "timeoutMs",
    ),
    "an unknown algorithm": ({"election": {"algorithm": "dice"}}, "spec.election.algorithm"),
    "a backup that is none": ({"storage": {"restoreFrom": "mine"}}, "32 hexadecimal digits"),
    "a backup and volumes": (
        {"storage": {"restoreFrom": MARK, "adoptRing": "older"}},
        "wish for one of them",
    ),
    "no quantity": ({"resources": {"requests": {"cpu": "much"}}}, "requests are quantities"),
    "no quantity of a limit": ({"resources": {"limits": {"cpu": "much"}}}, "limits are quantities"),
    "a request above its limit": (
        {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}},
        "a request is greater than its limit",
    ),
    "a request above the limit that is there by default": (
        {"resources": {"requests": {"memory": "1Gi"}}},
        "limits memory 512Mi",
    ),
    "an unknown field": ({"pears": 3}, "pears"),
}
CHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "the size of volumes": ({"storage": {"size": "2Gi"}}, "storage"),
    "the class of volumes": ({"storage": {"className": "other"}}, "storage"),
    "what it began with": ({"storage": {"restoreFrom": MARK}}, "what a ring began with"),
    "the commission": ({"market": {"commissionBp": 100}}, "commission"),
}


@pytest.mark.parametrize(("spec", "told"), WRONG.values(), ids=WRONG)
def test_resource_that_cannot_be_is_refused(
    cluster: Cluster, operator: Release, spec: dict[str, Any], told: str
) -> None:
    given = json.dumps(manifest("default", "wrong", **spec))

    said = cluster.refused("apply", "--dry-run=server", "-f", "-", stdin=given)

    assert told in said


def test_what_is_immutable_stays(make_ring: MakeRing) -> None:
    ring = make_ring(peers=1)

    for change, told in CHANGED.values():
        patch = ("patch", "bazaar", "shop", "--type=merge", "-p", json.dumps({"spec": change}))
        assert told in ring.cluster.refused("-n", ring.namespace, *patch)
