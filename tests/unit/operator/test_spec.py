"""The resource as values: defaults, bounds, and sentences that a user can act on."""

from __future__ import annotations

from typing import Any

import kopf
import pytest

from bazaar_operator.spec import NAME_MAX, InvalidSpec, Spec, Status, parse
from tests.unit.operator.resources import EVERYTHING, UID, bazaar, body, members


def test_an_empty_resource_is_one_with_every_default() -> None:
    found = parse({"metadata": {"name": "souk", "namespace": "market", "uid": UID}})

    assert found.spec == Spec()
    assert found.status == Status()
    assert found.status.observed_generation == -1


def test_everything_that_is_wished_is_read() -> None:
    spec = bazaar(EVERYTHING).spec

    assert spec.market.roles == "buyers=4,sellers=5"
    assert spec.heartbeat.timeout_ms == 1000
    assert spec.storage.retention_policy.when_scaled == "Delete"
    assert spec.scheduling.tolerations[1].toleration_seconds == 0
    assert spec.resources.limits == {}
    assert spec.paused


def test_what_kopf_hands_over_is_read_like_any_mapping() -> None:
    raw: Any = body(EVERYTHING, members=members(3))

    assert parse(kopf.Body(raw)) == parse(raw)


def test_the_status_is_read() -> None:
    found = bazaar(
        volumes={"0": "a"},
        members=members(2),
        history=True,
        conditions=[{"type": "Ready", "status": "True", "reason": "Ready"}],
    ).status

    assert found.volumes == {"0": "a"}
    assert [member.id for member in found.members] == [0, 1]
    assert found.history
    assert found.conditions[0].type == "Ready"


def test_fields_of_a_newer_release_are_ignored() -> None:
    assert bazaar({"peers": 3, "fromTheFuture": {"x": 1}}).spec == Spec(peers=3)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"peers": 0}, "spec.peers: expected `int` >= 1"),
        ({"peers": 25}, "spec.peers: expected `int` <= 24"),
        ({"peers": "six"}, "spec.peers: expected `int`, got `str`"),
        ({"election": {"algorithm": "raft"}}, "spec.election.algorithm: invalid enum value 'raft'"),
        ({"market": {"items": []}}, "spec.market.items: expected `array` of length >= 1"),
        ({"market": {"items": ["salt", "Salt"]}}, "spec.market.items[1]: expected `str` matching"),
        ({"market": {"items": ["salt", "salt"]}}, "names an item twice"),
        ({"market": {"roles": "buyers=3"}}, "spec.market.roles: expected `str` matching"),
        ({"heartbeat": {"intervalMs": 200}}, "less than three intervals of 200 ms"),
        ({"storage": {"size": "1GB"}}, "spec.storage.size: expected `str` matching"),
        ({"storage": {"restoreFrom": "mine"}}, "spec.storage.restoreFrom: expected `str` matching"),
        ({"storage": {"restoreFrom": "0" * 32, "adoptRing": "r"}}, "wish for one of them"),
    ],
)
def test_a_wrong_field_is_named(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        bazaar(spec)

    assert sentence in str(refused.value)


def test_three_intervals_are_enough() -> None:
    assert bazaar({"heartbeat": {"intervalMs": 200, "timeoutMs": 600}}).spec.heartbeat.timeout_ms


@pytest.mark.parametrize("name", ["a" * (NAME_MAX + 1), "1st", "a.b", "a-", "Souk", ""])
def test_a_name_that_no_service_can_have_is_refused(name: str) -> None:
    resource = body()
    resource["metadata"]["name"] = name

    with pytest.raises(InvalidSpec, match="cannot name a ring"):
        parse(resource)


def test_a_status_that_somebody_spoilt_is_named() -> None:
    with pytest.raises(InvalidSpec, match=r"status\.members\[0\]"):
        bazaar(members=[{"id": "zero"}])
