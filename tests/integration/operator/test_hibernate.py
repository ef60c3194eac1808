"""A ring sleeps: no peer runs, nothing is forgotten, and it wakes with all who are its members."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bazaar_operator import act
from bazaar_operator.observation import Observation
from tests.integration.operator.store import Key
from tests.integration.operator.test_faults import (
    STORIES,
    Blow,
    Killed,
    Story,
    beginning,
    gist,
    play,
)
from tests.integration.operator.test_scale import claims, running
from tests.integration.operator.world import NAME, SPACE, Operator, World


async def asleep(peers: int, **spec: Any) -> World:
    """A ring that traded, and sleeps now."""
    world, operator = await running(peers, **spec)
    world.wish(hibernated=True)
    await operator.settle()
    return world


async def test_ring_sleeps_and_goes_on_where_it_stopped() -> None:
    world = await asleep(3)
    ring, epoch = world.status["ringId"], world.ring.epoch

    assert (world.status["phase"], world.status["ready"]) == ("Hibernated", 0)
    assert world.store.all("pods") == []
    assert len(claims(world)) == 3
    told = {c["type"]: c["status"] for c in world.status["conditions"]}
    resting = dict.fromkeys(("Available", "Reconciling", "Degraded", "Stalled"), "False")
    assert told | resting == told

    world.wish(hibernated=False)
    await Operator(world).settle()

    world.check()
    assert (world.status["phase"], world.status["ringId"]) == ("Running", ring)
    assert world.ring.epoch == epoch + 1
    assert world.ring.voters == {0, 1, 2}
    news = [world.events.count(reason) for reason in ("Hibernated", "Waking", "MajorityLost")]
    assert news == [1, 1, 0]


async def test_token_is_replaced_while_the_ring_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same operator goes on, which has the old one in memory for half a minute."""
    world, operator = await running(3)
    world.wish(hibernated=True)
    await operator.settle()
    former = world.store.get("secrets", f"{NAME}-admin")["data"]
    world.store.remove(Key("secrets", SPACE, f"{NAME}-admin"))

    world.wish(hibernated=False)
    monkeypatch.setattr(act, "RESYNC_S", 0.0)
    await operator.settle()

    assert world.status["phase"] == "Running"
    assert world.store.get("secrets", f"{NAME}-admin")["data"] != former


@pytest.mark.parametrize("size", [2, 4, 7])
async def test_ring_whose_size_is_changed_asleep_wakes_with_all_its_members(size: int) -> None:
    """Who is needed for a majority is started first, and leaves in good order."""
    world = await asleep(5, storage={"retentionPolicy": {"whenScaled": "Delete"}})

    world.wish(peers=size)
    await Operator(world).settle()
    assert len(claims(world)) == 5
    world.wish(hibernated=False)
    await Operator(world).settle()

    world.check()
    assert (world.status["phase"], len(claims(world))) == ("Running", size)
    assert world.ring.voters == set(range(size))


async def test_ring_that_wakes_by_the_wish_alone_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: two of five start, and no majority ever."""

    def wished(seen: Observation) -> int:
        return 0 if seen.bazaar.spec.hibernated else seen.bazaar.spec.peers

    world = await asleep(5)
    monkeypatch.setattr(Observation, "replicas", property(wished))

    world.wish(peers=2, hibernated=False)
    await Operator(world).settle()

    assert world.status["phase"] == "Waking"
    with pytest.raises(AssertionError, match="2 replicas, and member 4"):
        world.check()


async def test_ring_that_is_asleep_from_the_first_day_is_made_when_it_wakes() -> None:
    world = World()
    world.make(peers=3, hibernated=True)
    await Operator(world).settle()
    assert (world.status["phase"], claims(world)) == ("Hibernated", [])

    world.wish(hibernated=False, peers=5)
    await Operator(world).settle()

    world.check()
    assert world.status["phase"] == "Running"
    assert world.ring.voters == {0, 1, 2, 3, 4}


async def test_newer_image_is_not_rolled_through_a_ring_that_sleeps() -> None:
    world = await asleep(3)
    newer = Operator(world, image="bazaar:2")

    await newer.settle()
    assert world.status["phase"] == "Hibernated"
    world.wish(hibernated=False)
    await newer.settle()

    world.check()
    assert {pod["spec"]["image"] for pod in world.store.all("pods")} == {"bazaar:2"}
    assert "PodStopped" not in world.events


async def test_no_ring_is_given_up_asleep() -> None:
    """None of its peers answers, and all of them live on their volumes."""
    world = await asleep(3)
    ring = world.status["ringId"]

    world.wish(storage={"recoverFrom": {"ring": ring, "peer": 1}})
    await Operator(world).settle()
    world.wish(hibernated=False)
    await Operator(world).settle()

    world.check()
    assert (world.status["phase"], world.status["ringId"]) == ("Running", ring)


@pytest.mark.parametrize("wakes", [False, True])
async def test_a_kill_at_any_write_changes_nothing_in_the_end(wakes: bool) -> None:
    base = await asleep(3) if wakes else (await running(3))[0]
    base.wish(hibernated=not wakes)
    whole, world = Blow(0, late=False), copy.deepcopy(base)
    await Operator(world, before=whole.before).settle()
    wished = gist(world)
    assert whole.count >= 3

    for at in range(1, whole.count + 1):
        for late in (False, True):
            blow, world = Blow(at, late), copy.deepcopy(base)
            with pytest.raises(Killed):
                await Operator(world, before=blow.before, after=blow.after).settle()
            world.tick()
            await Operator(world).settle()

            world.check()
            assert gist(world) == wished, f"killed at write {at}, late: {late}"


@pytest.mark.parametrize("story", STORIES)
async def test_ring_put_to_sleep_in_the_middle_of_anything_comes_to_the_same_end(
    story: Story,
) -> None:
    wished = gist(await play(story))

    for rounds in range(1, 20, 2):
        world = await beginning(story)
        operator = Operator(world)
        await operator.go_on(rounds)
        world.wish(hibernated=True)
        await operator.settle()
        assert (world.status["phase"], world.store.all("pods")) == ("Hibernated", [])
        world.wish(hibernated=False)
        await Operator(world).settle()

        world.check()
        assert gist(world) == wished, f"{story.__name__} asleep after {rounds} rounds"
