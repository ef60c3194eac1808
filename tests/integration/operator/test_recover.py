"""A majority of volumes is lost: a person gives the ring up, the operator sees that nothing else is
possible, and the next ring begins with what the best survivor has (R14)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from bazaar_operator import recovery
from bazaar_operator.observation import Pod
from tests.integration.operator.store import Object
from tests.integration.operator.test_faults import Blow, Killed
from tests.integration.operator.world import Operator, World


async def lost(*who: int, peers: int = 3, **spec: object) -> tuple[World, str]:
    """A ring that traded, and lost these peers' volumes; and its id."""
    world = World()
    world.make(peers=peers, **spec)
    await Operator(world).settle()
    ring = str(world.status["ringId"])
    for peer in who:
        world.lose_volume(peer)
    await Operator(world).settle()
    return world, ring


def give_up(world: World, ring: str, peer: int) -> None:
    world.wish(storage={"recoverFrom": {"ring": ring, "peer": peer}})


async def given_up(*who: int, maker: int, peers: int = 5) -> tuple[World, str, Operator]:
    """A ring that lost these volumes, stopped at the step that gives it up for the maker's."""
    world, ring = await lost(*who, peers=peers)
    give_up(world, ring, maker)
    operator = Operator(world)
    while world.status["ringId"] == ring:
        await operator.once()
    return world, ring, operator


def accepted(world: World) -> Object:
    found: Object = next(c for c in world.status["conditions"] if c["type"] == "Accepted")
    return found


async def refused(world: World) -> str:
    """Settle, and see that the ring is not given up; return why."""
    ring = world.status["ringId"]
    await Operator(world).settle()
    world.check()
    assert (world.status["ringId"], accepted(world)["status"]) == (ring, "False")
    return str(accepted(world)["message"])


async def test_without_a_word_of_a_person_nothing_is_done() -> None:
    world, ring = await lost(0, 1)

    world.check()
    assert (world.status["phase"], world.status["ringId"]) == ("NoMajority", ring)


async def test_next_ring_begins_with_the_named_peer_and_grows() -> None:
    world, ring = await lost(0, 2)
    give_up(world, ring, 1)

    await Operator(world).settle()

    world.check()
    status = world.status
    assert (status["phase"], list(status["formerRingIds"])) == ("Running", [ring])
    assert status["ringId"].startswith(f"{world.body()['metadata']['uid']}.r1.")
    assert status["recoveredFrom"] == {"ring": ring, "peer": 1}
    assert world.ring.voters == {0, 1, 2}
    assert world.ring.changes[0] == 1
    assert sorted(status["volumes"]) == ["0", "1", "2"]
    assert accepted(world)["status"] == "True"
    assert world.events.count("RingRecovered") == 1


async def test_wish_that_stays_has_no_effect_twice() -> None:
    world, ring = await lost(0, 2)
    give_up(world, ring, 1)
    await Operator(world).settle()
    made = world.status["ringId"]

    world.lose_volume(1)
    world.lose_volume(2)
    await Operator(world).settle()

    world.check()
    assert (world.status["phase"], world.status["ringId"]) == ("NoMajority", made)
    assert world.events.count("RingRecovered") == 1


async def test_wish_that_changes_later_names_no_other_maker() -> None:
    """Two peers that make a ring of one id are two rings that take each other for their own."""
    world, ring, operator = await given_up(0, 1, 2, maker=4)
    give_up(world, ring, 3)

    await operator.settle()

    world.check()
    assert world.status["recoveredFrom"]["peer"] == 4
    assert world.ring.voters == {0, 1, 2, 3, 4}


async def test_ring_with_a_majority_is_not_given_up_and_says_to_take_the_wish_away() -> None:
    """A wish that is left there would be followed years later, when nobody means it."""
    world, ring = await lost()
    give_up(world, ring, 1)

    assert "take the wish away" in await refused(world)
    assert world.status["phase"] == "Running"
    world.lose_volume(2)
    assert "take the wish away" in await refused(world)


async def test_ring_whose_majority_may_live_unseen_is_not_given_up() -> None:
    """Cut off from the operator, with their nodes, and not from their clients."""
    world, ring = await lost()
    for peer in (0, 2):
        world.peers.running[peer].silent = True
    give_up(world, ring, 1)

    told = await refused(world)

    assert "peers 0, 2 do not tell whether they live" in told
    for peer in (0, 2):
        world.lose_volume(peer)
    await Operator(world).settle()
    world.check()
    assert world.ring.voters == {0, 1, 2}


async def test_peer_that_has_less_than_another_is_refused_with_what_there_is() -> None:
    world, ring = await lost(0, 1, 2, peers=5)
    world.peers.running[3].volume.lacks = 4
    give_up(world, ring, 3)

    told = await refused(world)
    assert "peer 4 has more than peer 3" in told
    assert "peer 3 up to index 6 of epoch 1; peer 4 up to index 10 of epoch 1" in told
    give_up(world, ring, 4)
    await Operator(world).settle()

    world.check()
    assert world.status["phase"] == "Running"
    assert world.ring.changes[0] == 4
    assert world.ring.voters == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("peer", [0, 7])
async def test_peer_without_a_whole_volume_is_refused(peer: int) -> None:
    world, ring = await lost(0, 1)
    give_up(world, ring, peer)

    told = await refused(world)

    assert f"peer {peer} does not answer with a whole volume" in told
    assert "There are: peer 2 up to index" in told


async def test_next_ring_that_never_came_to_be_is_given_up_for_another_survivor() -> None:
    """The named volume is lost before a ring was made of it; the other one was kept until then."""
    world, ring, operator = await given_up(0, 1, 2, maker=4)
    world.lose_volume(4)
    await operator.settle()
    second = world.status["ringId"]
    assert (world.status["phase"], world.peers.view(3)["state"]) == ("Starting", "former")  # type: ignore[index]
    give_up(world, second, 3)

    await operator.settle()

    world.check()
    assert list(world.status["formerRingIds"]) == [ring, second]
    assert world.status["recoveredFrom"] == {"ring": ring, "peer": 3}
    assert world.ring.voters == {0, 1, 2, 3, 4}


async def test_ring_is_not_given_up_on_a_view_that_grew_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody may have come back since the peers were asked."""
    world, ring = await lost(0, 2)
    give_up(world, ring, 1)
    operator, answers = Operator(world), [False, True]

    async def has_news(_pods: tuple[Pod, ...]) -> bool:
        return answers.pop() if answers else False

    monkeypatch.setattr(operator.reconciler, "has_news", has_news)
    await operator.once()

    assert world.status["ringId"] == ring
    await operator.once()
    assert world.status["ringId"] != ring


async def test_claims_of_former_peers_are_kept_whatever_the_policy() -> None:
    """Peers beyond the wish were never members of the next ring: nothing of theirs was removed."""
    world, ring = await lost(0, 2, storage={"retentionPolicy": {"whenScaled": "Delete"}})
    world.wish(peers=2)
    give_up(world, ring, 1)

    await Operator(world).settle()

    world.check()
    assert world.ring.voters == {0, 1}


async def test_killed_at_any_write_it_comes_to_the_same_end() -> None:
    whole = Blow(0, late=False)
    await _recovered(whole)
    assert whole.count > 10

    for at in range(1, whole.count + 1):
        for late in (False, True):
            await _recovered(Blow(at, late))


async def _recovered(blow: Blow) -> None:
    world, ring = await lost(0, 2)
    give_up(world, ring, 1)
    try:
        await Operator(world, before=blow.before, after=blow.after).settle()
    except Killed:
        world.tick()
        await Operator(world).settle()
    world.check()
    assert (world.status["phase"], list(world.status["formerRingIds"])) == ("Running", [ring])
    assert world.ring.voters == {0, 1, 2}


# ---- what the checks catch


def believes_silence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "_may_live", lambda _pod: False)


def takes_any_volume(patch: pytest.MonkeyPatch) -> None:
    def never(_one: Pod, _other: Pod) -> bool:
        return False

    patch.setattr(recovery, "_is_further", never)


@pytest.mark.parametrize(
    ("plant", "said"),
    [(believes_silence, "of it live"), (takes_any_volume, "which has less")],
)
async def test_ring_that_is_given_up_wrongly_is_seen(
    monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None], said: str
) -> None:
    plant(monkeypatch)
    if plant is believes_silence:
        world, ring = await lost(peers=5)
        for peer in (0, 1, 2):
            world.peers.running[peer].silent = True
    else:
        world, ring = await lost(0, 1, 2, peers=5)
        world.peers.running[3].volume.lacks = 4
    give_up(world, ring, 3)

    with contextlib.suppress(AssertionError):
        await Operator(world).settle(rounds=20)

    with pytest.raises(AssertionError, match=said):
        world.check()
