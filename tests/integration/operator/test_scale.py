"""Members, replicas and claims, in an order that never stops a voter (R10)."""

from __future__ import annotations

from typing import Any

import pytest

from bazaar_operator import labels
from tests.integration.operator.store import Key
from tests.integration.operator.world import SPACE, Operator, World


def claims(world: World) -> list[str]:
    return [claim["metadata"]["name"] for claim in world.store.all("persistentvolumeclaims")]


async def running(peers: int, **spec: Any) -> tuple[World, Operator]:
    world = World()
    world.make(peers=peers, **spec)
    operator = Operator(world)
    await operator.settle()
    return world, operator


async def test_a_ring_grows_shrinks_and_grows_again() -> None:
    world, operator = await running(3)

    for size in (6, 3, 6):
        world.wish(peers=size)
        await operator.settle()

        world.check()
        assert sorted(world.ring.voters) == list(range(size))
        assert world.store.get("statefulsets", "fair")["spec"]["replicas"] == size
        assert world.status["phase"] == "Running"
    assert {life.incarnation for life in world.ring.lives.values() if life.ordinal > 2} == {1}


@pytest.mark.parametrize(("policy", "left"), [("Retain", 5), ("Delete", 3)])
async def test_claims_go_after_the_removal_and_only_if_wished(policy: str, left: int) -> None:
    world, operator = await running(5, storage={"retentionPolicy": {"whenScaled": policy}})

    world.wish(peers=3)
    await operator.settle()

    world.check()
    assert len(claims(world)) == left


async def test_claims_belong_to_the_resource_exactly_while_that_is_wished() -> None:
    world, operator = await running(3, storage={"retentionPolicy": {"whenDeleted": "Delete"}})
    owners = [c["metadata"]["ownerReferences"] for c in _claims(world)]
    assert [[o["uid"] for o in has] for has in owners] == [[world.body()["metadata"]["uid"]]] * 3

    world.wish(storage={"retentionPolicy": {"whenDeleted": "Retain"}})
    await operator.settle()

    assert [c["metadata"]["ownerReferences"] for c in _claims(world)] == [[], [], []]


def _claims(world: World) -> list[dict[str, dict[str, list[dict[str, str]]]]]:
    return world.store.all("persistentvolumeclaims")


async def test_deletion_needs_no_operator() -> None:
    world, _ = await running(3, storage={"retentionPolicy": {"whenDeleted": "Delete"}})

    world.store.remove(Key("bazaars", SPACE, "fair"))

    kinds = {key.plural for key in world.store.objects}
    assert kinds == {"events"}


async def test_replicas_stand_still_while_the_ring_cannot_be_observed() -> None:
    """No observation, no action."""
    world, operator = await running(3)
    for process in world.peers.running.values():
        process.silent = True
    world.wish(peers=6)

    await operator.go_on(5)

    assert world.store.get("statefulsets", "fair")["spec"]["replicas"] == 3
    assert world.status["phase"] == "Unknown"
    assert world.condition("Available") == "Unknown"


async def test_the_label_follows_the_trader_and_names_the_pod_it_means() -> None:
    world, operator = await running(3)
    assert _labelled(world) == ["fair-2"]

    world.peers.post(2, "/v1/resign", {"successor": 0})
    await operator.settle()

    assert _labelled(world) == [world.status["trader"]] == ["fair-0"]


def _labelled(world: World) -> list[str]:
    pods = world.store.all("pods", SPACE, f"{labels.TRADER}=true")
    return [pod["metadata"]["name"] for pod in pods]


async def test_what_others_changed_or_deleted_is_put_right() -> None:
    world, operator = await running(3)
    world.store.patch(
        Key("statefulsets", SPACE, "fair"),
        [{"op": "replace", "path": "/spec/replicas", "value": 9}],
    )
    world.store.remove(Key("services", SPACE, "fair-client"))
    operator.reconciler.hands.look_again(world.body()["metadata"]["uid"])

    await operator.settle()

    assert world.store.get("statefulsets", "fair")["spec"]["replicas"] == 3
    assert Key("services", SPACE, "fair-client") in world.store.objects
    assert operator.metrics.registry.get_sample_value(
        "bazaar_operator_drift_repairs_total", {"kind": "Service"}
    ) == pytest.approx(1)
    assert world.events.count("DriftRepaired") == 2


async def test_objects_that_are_not_wished_any_more_go() -> None:
    world, operator = await running(2, networkPolicy={"enabled": True})
    assert Key("networkpolicies", SPACE, "fair") in world.store.objects

    world.wish(peers=1, networkPolicy={"enabled": False})
    await operator.settle()

    plurals = {key.plural for key in world.store.objects}
    assert not plurals & {"networkpolicies", "poddisruptionbudgets"}
