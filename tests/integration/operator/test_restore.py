"""A ring that begins with a backup: it waits for it, begins once, and never again (R14)."""

from __future__ import annotations

from typing import Any

import pytest

from bazaar_operator import plan
from bazaar_operator.observation import Observation
from bazaar_operator.views import AWAITING, VOTELESS
from tests.integration.operator.store import Key
from tests.integration.operator.test_faults import Blow, Killed
from tests.integration.operator.world import IMAGE, NAME, SPACE, Operator, World

MARK = "0123456789abcdef" * 2


def restoring(peers: int = 3) -> World:
    world = World()
    world.make(peers=peers, storage={"restoreFrom": MARK})
    return world


def give(world: World) -> None:
    world.peers.running[0].volume.given = True


def message(world: World, kind: str) -> str:
    return next(str(c["message"]) for c in world.status["conditions"] if c["type"] == kind)


async def begun(peers: int = 3) -> World:
    world = restoring(peers)
    await Operator(world).settle()
    give(world)
    await Operator(world).settle()
    world.check()
    return world


async def recorded() -> tuple[World, Operator]:
    """A ring that has its backup, and whose first volume is recorded and not formatted yet."""
    world = restoring()
    operator = Operator(world)
    await operator.settle()
    give(world)
    while not world.status["volumes"]:
        await operator.once()
    return world, operator


async def test_ring_waits_for_its_backup_and_says_for_which() -> None:
    world = restoring()

    await Operator(world).settle()

    world.check()
    assert world.peers.rings == {}
    assert (world.status["phase"], world.status["volumes"]) == ("Awaiting", {})
    assert message(world, "Ready") == f"peer 0 says: give it {MARK}"
    assert world.condition("Stalled") == world.condition("Reconciling") == "False"


async def test_whom_it_waits_for_besides_is_told() -> None:
    world = restoring()
    operator = Operator(world, ahead_s=100)
    await operator.settle()
    give(world)
    world.peers.running[1].volume.full = True
    world.peers.running[2].silent = True

    await operator.go_on(3)

    assert world.peers.rings == {}
    told = message(world, "Ready")
    assert told.endswith("; 2 of 3 peers answer; peer 1 says: its volume is full")


async def test_it_begins_with_one_voter_and_the_others_join() -> None:
    world = await begun()

    assert world.status["phase"] == "Running"
    assert world.ring.voters == {0, 1, 2}
    assert world.ring.lives[0].volume == world.status["volumes"]["0"]
    assert {"VolumeAdmitted", "Running"} <= set(world.events)


async def test_it_grows_to_what_was_wished_while_it_waited() -> None:
    world = restoring()
    await Operator(world).settle()
    world.wish(peers=5)
    await Operator(world).settle()
    give(world)

    await Operator(world).settle()

    world.check()
    assert world.status["phase"] == "Running"
    assert world.ring.voters == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("peers", [1, 3])
async def test_volume_that_is_lost_later_is_not_made_of_the_backup_again(peers: int) -> None:
    world = await begun(peers)
    epoch = world.status["epoch"]
    world.lose_volume(0)
    await Operator(world).go_on(2)
    give(world)

    await Operator(world).settle()

    world.check()
    if peers == 1:
        assert world.status["phase"] == "NoMajority"
    else:
        assert (world.status["phase"], world.ring.lives[0].incarnation) == ("Running", 2)
        assert world.ring.epoch >= epoch


async def test_volume_that_is_lost_before_it_began_is_told() -> None:
    """Recorded, it may have been formatted, and its ring may have been acknowledged something."""
    world, operator = await recorded()
    world.lose_volume(0)
    await operator.go_on(2)
    give(world)

    await operator.settle()

    world.check()
    assert world.peers.rings == {}
    assert "may have begun it" in message(world, "Ready")


async def test_volume_that_is_full_is_not_taken_for_one_that_is_gone() -> None:
    """It names no volume, as one that starts does; `delete the Bazaar` would be bad advice."""
    world, operator = await recorded()
    world.peers.running[0].volume.full = True
    await operator.go_on(3)
    assert message(world, "Ready") == "peer 0 says: its volume is full"

    world.peers.running[0].volume.full = False
    await operator.settle()

    world.check()
    assert world.status["phase"] == "Running"


@pytest.mark.parametrize("heard", [(), (1,), (1, 2)])
async def test_old_status_and_a_lost_volume_make_no_second_ring(
    heard: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 80: the other volumes know that the ring has begun, so they are waited for."""
    world = await begun()
    ring = world.status["ringId"]
    old = {"observedGeneration": -1, "ringId": ring, "genesisPeers": 3, "image": IMAGE}
    steps = [{"op": "replace", "path": "/status", "value": old}]
    world.store.patch(Key("bazaars", SPACE, NAME), steps, "status")
    world.lose_volume(0)
    run, down = world._run, {f"{NAME}-{i}" for i in {1, 2} - set(heard)}
    for name in down:
        world.crash(int(name[-1]))
    monkeypatch.setattr(world, "_run", lambda p: p["metadata"]["name"] in down or run(p))
    operator = Operator(world, ahead_s=100)
    for _ in range(12):
        await operator.once()
        world.tick()
        if 0 in world.peers.running:
            give(world)

    world.check()
    assert world.peers.rings[ring].lives[1].voter


async def test_operator_that_knows_no_backups_begins_no_second_ring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It rolls peers 1 and 2 to settings without the backup, and has all three formatted."""
    world = restoring()
    await Operator(world).settle()
    world.wish(storage={"restoreFrom": None})
    monkeypatch.setattr(plan, "VOTELESS", VOTELESS - {AWAITING})
    give(world)

    await Operator(world).go_on(50)

    world.check()
    assert [ring.genesis for ring in world.peers.rings.values()] == [True]


async def test_killed_at_any_write_it_comes_to_the_same_end() -> None:
    whole = Blow(0, late=False)
    await _begins(whole)
    assert whole.count > 10

    for at in range(1, whole.count + 1):
        for late in (False, True):
            await _begins(Blow(at, late))


async def _begins(blow: Blow) -> None:
    world = restoring()
    operator = Operator(world, before=blow.before, after=blow.after)
    for given in (False, True):
        if given:
            give(world)
        try:
            await operator.settle()
        except Killed:
            world.tick()
            operator = Operator(world)
            await operator.settle()
    world.check()
    assert (world.status["phase"], world.ring.voters) == ("Running", {0, 1, 2})


async def test_ring_that_begins_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: an operator that takes the ring for a new one whenever peer 0 is empty."""

    def forgets(seen: Observation) -> dict[str, str]:
        return {str(p.ordinal): p.peer.volume for p in seen.pods if p.peer and p.peer.volume}

    world = await begun(1)
    monkeypatch.setattr(Observation, "is_new", True)
    monkeypatch.setattr("bazaar_operator.status._volumes", forgets)
    world.lose_volume(0)
    operator: Any = Operator(world)
    await operator.go_on(2)
    give(world)

    await operator.go_on(8)

    with pytest.raises(AssertionError, match="forgot its votes"):
        world.check()
