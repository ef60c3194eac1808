"""First start, volumes and adoption (R14)."""

from __future__ import annotations

import pytest

from bazaar_operator import labels
from tests.integration.operator.store import Key
from tests.integration.operator.world import BROKEN, NAME, SPACE, Operator, World


async def test_a_bazaar_becomes_a_ring() -> None:
    world = World()
    world.make(peers=3)

    await Operator(world).settle()

    world.check()
    status = world.status
    assert (status["phase"], status["trader"]) == ("Running", "fair-2")
    assert (status["ready"], status["replicas"], status["epoch"]) == (3, 3, 1)
    assert world.ring.changes == [2]
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "Accepted": "True", "Available": "True", "TraderElected": "True", "Ready": "True",
        "Reconciling": "False", "Progressing": "False", "Degraded": "False", "Stalled": "False",
    }  # fmt: skip


async def test_the_wish_may_change_before_the_first_start_is_over() -> None:
    """The genesis members are latched with the ring's id, so no two peers begin differently."""
    world = World()
    world.make(peers=3)
    operator = Operator(world)
    await operator.go_on(3)
    world.wish(peers=5)

    await operator.settle()

    world.check()
    assert world.status["genesisPeers"] == 3
    assert sorted(world.ring.voters) == [0, 1, 2, 3, 4]


async def test_a_majority_begins_when_a_pod_cannot_be_placed() -> None:
    world = World()
    world.make(peers=3)
    operator = Operator(world)
    for _ in range(8):
        await operator.once()
        world.tick()
        world.peers.running.pop(2, None)

    await operator.settle()

    world.check()
    assert world.status["phase"] == "Running"


async def test_a_majority_begins_when_a_volume_is_full_and_it_comes_later() -> None:
    world = World()
    world.make(peers=3)
    operator = Operator(world)
    while 2 not in world.peers.running:
        await operator.once()
        world.tick()
    volume = world.peers.running[2].volume
    volume.full = True
    await operator.settle()
    world.check()
    assert sorted(world.ring.voters) == [0, 1, 2]
    assert world.status["phase"] == "Degraded"

    volume.full = False
    await operator.settle()

    world.check()
    assert world.status["phase"] == "Running"
    assert volume.incarnation == 1


async def test_a_volume_lost_before_it_was_formatted_is_not_formatted_again() -> None:
    """Row 79: the recorded volume may have voted, so another one under its ordinal may not."""
    world = World()
    world.make(peers=3)
    operator = Operator(world)
    while len(world.status.get("volumes") or {}) < 3:
        await operator.once()
        world.tick()
    world.lose_volume(1)

    await operator.settle()

    world.check()
    assert world.ring.lives[1].incarnation == 1
    assert world.status["volumes"]["1"] == world.ring.lives[1].volume


async def test_a_lost_volume_comes_back_as_a_learner_and_the_status_follows() -> None:
    world = World()
    world.make(peers=3)
    operator = Operator(world)
    await operator.settle()
    former = world.status["volumes"]["0"]

    world.lose_volume(0)
    await operator.settle()

    world.check()
    assert world.status["volumes"]["0"] == world.ring.lives[0].volume != former
    assert world.ring.lives[0].incarnation == 1
    assert {"MemberAdded", "MemberRemoved", "VolumeAdmitted"} <= set(world.events)


async def test_a_status_from_a_backup_formats_nothing() -> None:
    """Row 80: the ring has history, whatever the status says."""
    world = World()
    world.make(peers=3)
    await Operator(world).settle()
    key = Key("bazaars", SPACE, "fair")
    old = {"observedGeneration": -1, "ringId": world.status["ringId"], "genesisPeers": 3,
           "image": world.status["image"]}  # fmt: skip
    steps = [{"op": "replace", "path": "/status", "value": old}]
    world.store.patch(key, steps, "status")
    world.lose_volume(0)

    await Operator(world).settle()

    world.check()
    assert world.status["history"] is True
    assert world.ring.lives[0].incarnation == 1


async def _reborn(**storage: object) -> World:
    """A resource that was deleted and made again over retained claims."""
    world = World()
    world.make(peers=3)
    await Operator(world).settle()
    world.store.remove(Key("bazaars", SPACE, "fair"))
    world.peers.running.clear()
    for pod in world.store.all("pods"):
        world.store.remove(Key("pods", SPACE, pod["metadata"]["name"]))
    world.make(peers=3, storage=storage)
    return world


async def test_retained_volumes_of_another_ring_are_refused_with_the_way_to_adopt_them() -> None:
    world = await _reborn()
    former = next(iter(world.peers.rings))

    await Operator(world).settle()

    world.check()
    said = next(c for c in world.status["conditions"] if c["type"] == "Stalled")
    assert (world.status["phase"], said["status"]) == ("Foreign", "True")
    assert f"spec.storage.adoptRing: {former}" in said["message"]
    assert world.condition("Accepted") == "False"


async def test_retained_volumes_are_adopted_when_their_ring_is_named() -> None:
    world = await _reborn()
    former = next(iter(world.peers.rings))
    await Operator(world).settle()
    epoch = world.peers.rings[former].epoch

    world.wish(storage={"adoptRing": former})
    await Operator(world).settle()

    world.check()
    assert world.status["phase"] == "Running"
    assert world.status["ringId"] == former
    assert world.ring.epoch > epoch

    world.wish(peers=1, storage={"adoptRing": former, "retentionPolicy": {"whenScaled": "Delete"}})
    await Operator(world).settle()
    world.check()
    assert len(world.store.all("persistentvolumeclaims")) == 1


async def test_pods_that_never_started_make_way_for_a_better_image() -> None:
    """k8s#67250: a broken revision never goes away by itself."""
    world = World()
    world.make(peers=3)
    operator = Operator(world, image=BROKEN)
    await operator.go_on(5)
    assert world.status["phase"] == "Starting"

    await Operator(world).settle()

    world.check()
    assert world.status["phase"] == "Running"


@pytest.mark.parametrize(("first", "grown"), [(1, 3), (2, 6)])
async def test_a_status_of_the_first_minute_formats_nothing(first: int, grown: int) -> None:
    """Row 80: restored from a backup, while only volumes that were lost are heard."""
    world = World()
    world.make(peers=first)
    operator = Operator(world)
    await operator.settle()
    world.wish(peers=grown)
    await operator.settle()
    world.store.objects[Key(labels.PLURAL, SPACE, NAME)]["status"] = {
        "observedGeneration": 1,
        "ringId": world.status["ringId"],
        "genesisPeers": first,
        "image": "bazaar:1",
        "history": False,
    }
    for ordinal in range(first):
        world.lose_volume(ordinal)
    for ordinal, peer in world.peers.running.items():
        peer.silent = ordinal >= first
    later = Operator(world, ahead_s=3600.0)
    await later.go_on(6)

    world.check()


async def test_a_definition_that_drops_what_is_written_is_told_and_nobody_begins() -> None:
    """R14: what is not durable is never acted on; the operator asks for the newer definition."""
    world = World()
    world.store.dropped = ("volumes",)
    world.make(peers=3)
    operator = Operator(world)

    pauses = []
    for _ in range(20):
        done = await operator.once()
        pauses.append(done.again_s if done else 0.0)
        world.tick()

    assert min(pauses[10:]) >= 1, "nothing is gained by trying at once"
    told = next(c for c in world.status["conditions"] if c["type"] == "Degraded")
    assert (told["status"], told["reason"]) == ("True", "CRDOutdated")
    assert "drops volumes of the status: kubectl apply --server-side" in told["message"]
    assert world.events.count("CRDOutdated") == 1
    assert world.status["epoch"] == 0

    world.store.dropped = ()
    await operator.settle()

    world.check()
    assert world.condition("Degraded") == "False"
