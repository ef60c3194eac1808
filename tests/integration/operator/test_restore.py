"""A ring that begins with a backup: it waits for it, begins once, and never again (R14)."""

from __future__ import annotations

from typing import Any

import pytest

from bazaar_operator.observation import Observation
from tests.integration.operator.test_faults import Blow, Killed
from tests.integration.operator.world import Operator, World

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


async def test_ring_waits_for_its_backup_and_says_for_which() -> None:
    world = restoring()

    await Operator(world).settle()

    world.check()
    assert world.peers.rings == {}
    assert (world.status["phase"], world.status["volumes"]) == ("Starting", {})
    assert message(world, "Progressing") == f"peer 0 says: give it {MARK}"


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
    world = restoring()
    operator = Operator(world)
    await operator.settle()
    give(world)
    while not world.status["volumes"]:
        await operator.once()
    world.lose_volume(0)
    await operator.go_on(2)
    give(world)

    await operator.settle()

    world.check()
    assert world.peers.rings == {}
    assert "may have begun it" in message(world, "Progressing")


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
