"""What the builders make, as golden files and as facts."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from bazaar_operator import labels, manifests
from bazaar_operator.spec import Bazaar
from tests.unit.operator.conftest import Golden
from tests.unit.operator.resources import (
    EVERYTHING,
    UID,
    assert_restricted,
    bazaar,
    body,
    members,
)

IMMUTABLE = {
    "storage": {"size": "20Gi", "className": "fast"},
    "market": {"commissionBp": 25},
}


def by_kind(of: Bazaar, *, replicas: int = 6) -> dict[str, dict[str, Any]]:
    found = manifests.build(of, replicas=replicas)
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in found}


def pod(of: Bazaar) -> dict[str, Any]:
    found: dict[str, Any] = by_kind(of)["StatefulSet/souk"]["spec"]["template"]
    return found


@pytest.mark.parametrize(
    ("name", "of", "replicas"),
    [
        ("defaults", bazaar(), 6),
        ("everything", bazaar(EVERYTHING), 9),
        ("tls", bazaar(tls={"mode": "Required", "keys": "0123456789abcdef"}), 6),
        ("one-peer", bazaar({"peers": 1}, genesisPeers=1), 1),
    ],
)
def test_builders_make_the_golden_objects(
    golden: Golden, name: str, of: Bazaar, replicas: int
) -> None:
    golden(name, manifests.build(of, replicas=replicas))


def test_ring_json_has_exactly_what_a_peer_expects() -> None:
    found = json.loads(by_kind(bazaar())["ConfigMap/souk"]["data"]["ring.json"])

    assert found == {
        "ring": UID,
        "name": "souk",
        "peers": 6,
        "election": "ring",
        "preempt": False,
        "heartbeat": {"intervalMs": 100, "timeoutMs": 500},
        "market": {
            "items": ["salt", "fish", "boars", "figs", "wool", "lamps"],
            "roles": "both",
            "seed": 0,
            "ordersPerSecond": 20,
            "commissionBp": 0,
        },
        "checkpoint": {"intervalSeconds": 60, "entries": 20000, "keepJournal": False},
        "domain": "souk-peers",
    }


def test_ring_json_names_the_backup_that_the_ring_begins_with() -> None:
    mark = "0123456789abcdef" * 2
    made = by_kind(bazaar({"storage": {"restoreFrom": mark}}))["ConfigMap/souk"]

    assert json.loads(made["data"]["ring.json"])["restoreFrom"] == mark


def test_another_number_of_peers_rolls_no_pod() -> None:
    assert pod(bazaar({"peers": 3})) == pod(bazaar({"peers": 9}))


def test_what_the_operator_observes_rolls_no_pod() -> None:
    later = bazaar(
        members=members(6), trader="souk-3", epoch=7, phase="Ready", history=True, ready=6
    )

    assert pod(later) == pod(bazaar())


@pytest.mark.parametrize(
    "change",
    [
        {"election": {"preempt": True}},
        {"heartbeat": {"timeoutMs": 600}},
        {"market": {"ordersPerSecond": 21}},
        {"checkpoint": {"keepJournal": True}},
        {"record": False},
        {"drills": True},
        {"resources": {"limits": {}}},
    ],
)
def test_a_changed_setting_rolls_the_pods(change: dict[str, Any]) -> None:
    assert pod(bazaar(change)) != pod(bazaar())


def test_the_claim_template_depends_on_what_is_immutable_alone() -> None:
    """A StatefulSet refuses another one, and with it every further apply."""
    everything = body(EVERYTHING | IMMUTABLE)["spec"]
    templates = [
        by_kind(bazaar(spec))["StatefulSet/souk"]["spec"]["volumeClaimTemplates"]
        for spec in (IMMUTABLE, everything)
    ]

    assert templates[0] == templates[1]
    assert templates[0] != by_kind(bazaar())["StatefulSet/souk"]["spec"]["volumeClaimTemplates"]


def test_the_immutable_part_of_the_statefulset_never_changes() -> None:
    first = by_kind(bazaar(IMMUTABLE))["StatefulSet/souk"]["spec"]
    other = by_kind(bazaar(EVERYTHING | IMMUTABLE), replicas=2)["StatefulSet/souk"]["spec"]
    mutable = {"replicas", "template"}

    assert {k: v for k, v in first.items() if k not in mutable} == {
        k: v for k, v in other.items() if k not in mutable
    }


@pytest.mark.parametrize(
    ("peers", "spare"),
    [(1, None), (2, 1), (3, 1), (4, 1), (5, 2), (6, 2), (7, 3), (24, 11)],
)
def test_a_drain_may_take_as_many_as_a_majority_can_do_without(
    peers: int, spare: int | None
) -> None:
    found = by_kind(bazaar({"peers": peers})).get("PodDisruptionBudget/souk")

    assert (found["spec"]["maxUnavailable"] if found else None) == spare


@pytest.mark.parametrize(("wished", "now", "spare"), [(6, 3, 1), (3, 6, 1), (1, 6, 1), (6, 1, 1)])
def test_while_it_scales_the_smaller_ring_counts(wished: int, now: int, spare: int) -> None:
    found = by_kind(bazaar({"peers": wished}, members=members(now)))

    assert found["PodDisruptionBudget/souk"]["spec"]["maxUnavailable"] == spare


def test_what_may_be_left_out_is_declared() -> None:
    full = {(m["apiVersion"], m["kind"]) for m in manifests.build(bazaar(EVERYTHING), replicas=1)}
    least = {
        (m["apiVersion"], m["kind"]) for m in manifests.build(bazaar({"peers": 1}), replicas=1)
    }

    assert full - least == set(manifests.OPTIONAL)


def test_every_object_is_owned_labelled_and_in_the_namespace() -> None:
    built = [*manifests.build(bazaar(EVERYTHING), replicas=9)]
    for manifest in [*built, manifests.admin_secret(bazaar(), "t")]:
        meta = manifest["metadata"]

        assert meta["namespace"] == "market"
        assert meta["labels"] == labels.labels("souk")
        assert [owner["uid"] for owner in meta["ownerReferences"]] == [UID]
        assert meta["ownerReferences"][0]["blockOwnerDeletion"] is False


def test_services_find_the_pods_and_their_ports() -> None:
    found = by_kind(bazaar())
    template = pod(bazaar())
    ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
    trader = {labels.TRADER: "true"}

    for name, further in (("souk-peers", {}), ("souk-client", {}), ("souk-trader", trader)):
        spec = found[f"Service/{name}"]["spec"]
        assert spec["selector"].items() <= (template["metadata"]["labels"] | further).items()
        assert {port["targetPort"] for port in spec["ports"]} <= ports
    assert found["Service/souk-peers"]["spec"]["publishNotReadyAddresses"] is True
    assert labels.TRADER not in template["metadata"]["labels"]


def test_peers_of_two_rings_are_kept_apart() -> None:
    own = labels.labels("souk")

    assert labels.selector("souk").items() <= own.items()
    assert not labels.selector("souk-1").items() <= own.items()


def test_a_pod_is_restricted_and_has_no_token() -> None:
    template = pod(bazaar(EVERYTHING))["spec"]

    assert_restricted(template)
    assert template["automountServiceAccountToken"] is False


def test_the_token_is_in_the_secret_alone() -> None:
    secret = manifests.admin_secret(bazaar(), "t0p-secret")
    built = json.dumps(manifests.build(bazaar(), replicas=6))

    assert base64.b64decode(secret["data"]["token"]) == b"t0p-secret"
    assert secret["metadata"]["name"] == "souk-admin"
    assert "t0p-secret" not in built
    assert base64.b64encode(b"t0p-secret").decode() not in built


def test_every_mount_has_its_volume() -> None:
    template = pod(bazaar())["spec"]
    claims = by_kind(bazaar())["StatefulSet/souk"]["spec"]["volumeClaimTemplates"]
    there = {v["name"] for v in template["volumes"]} | {c["metadata"]["name"] for c in claims}

    assert {mount["name"] for mount in template["containers"][0]["volumeMounts"]} == there


def test_nothing_is_built_before_the_identity_is_latched() -> None:
    for field in ("ringId", "genesisPeers", "image"):
        resource = body()
        del resource["status"][field]
        with pytest.raises(AssertionError, match="latch"):
            manifests.build(manifests_input(resource), replicas=1)


def manifests_input(resource: dict[str, Any]) -> Bazaar:
    return bazaar(
        resource["spec"], **({"ringId": "", "genesisPeers": 0, "image": ""} | resource["status"])
    )


@pytest.mark.parametrize("ordinal", [0, 7, 23])
def test_ordinals_are_read_from_the_names_they_make(ordinal: int) -> None:
    assert labels.ordinal("souk", labels.pod("souk", ordinal)) == ordinal


@pytest.mark.parametrize("pod_name", ["souk-client", "souk-1-2", "souk-01", "bazaar-1", "souk-"])
def test_other_pods_have_no_ordinal(pod_name: str) -> None:
    assert labels.ordinal("souk", pod_name) is None


def test_objects_are_plain_json() -> None:
    for manifest in manifests.build(bazaar(EVERYTHING), replicas=9):
        assert msgspec.json.decode(msgspec.json.encode(manifest)) == json.loads(
            json.dumps(manifest)
        )


def test_policy_lets_clients_in_by_https_where_there_are_certificates() -> None:
    spec = {"networkPolicy": {"enabled": True}}
    found = []
    for status in ({}, {"tls": {"mode": "Offered", "keys": "k"}}):
        rules = by_kind(bazaar(spec, **status))["NetworkPolicy/souk"]["spec"]["ingress"]
        found.append([[each["port"] for each in rule["ports"]] for rule in rules])

    assert found == [[[8601], [8600]], [[8601], [8600, 8602]]]
