"""A checker that has never caught anything proves nothing: each is shown a bug it catches."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from bazaar_operator import act, observation, plan
from bazaar_operator.observation import Observation, Pod, Ring
from bazaar_operator.peers import PeerError
from bazaar_operator.phases import phase_of
from tests.integration.operator.test_faults import (
    Story,
    beginning,
    first_start,
    grow,
    play,
    roll,
    shrink,
)
from tests.integration.operator.world import Operator, World

Plant = Callable[[pytest.MonkeyPatch], None]


def spares_anybody(patch: pytest.MonkeyPatch) -> None:
    """The next pod is stopped whether or not the one before is back."""
    patch.setattr(plan, "_can_spare", lambda _ring, _pod: True)
    patch.setattr(plan, "_is_quiet", lambda _seen, _ring: True)


def forgets_members(patch: pytest.MonkeyPatch) -> None:
    """Replicas follow the wish, before anybody is removed."""
    patch.setattr(Observation, "replicas", property(lambda seen: seen.bazaar.spec.peers))


def formats_whatever_is_empty(patch: pytest.MonkeyPatch) -> None:
    def formats(seen: Observation) -> list[plan.Action]:
        empty = [(p, v) for p, v in observation.heard(seen.pods) if v.state == "empty"]
        return [plan.Format(pod, peer.volume) for pod, peer in empty]

    patch.setattr(plan, "_formats", formats)


def deletes_claims_at_once(patch: pytest.MonkeyPatch) -> None:
    def too_many(seen: Observation, claim: observation.Claim) -> bool:
        return claim.ordinal >= seen.bazaar.spec.peers

    patch.setattr(plan, "_is_left_over", too_many)


@pytest.mark.parametrize(
    ("plant", "story", "said"),
    [
        (spares_anybody, roll, "is stopped"),
        (forgets_members, shrink, "replicas, and member"),
        (deletes_claims_at_once, shrink, "the claim of member"),
    ],
)
async def test_what_must_never_be_is_seen_when_it_is(
    monkeypatch: pytest.MonkeyPatch, plant: Plant, story: Story, said: str
) -> None:
    world = await beginning(story)
    plant(monkeypatch)

    with contextlib.suppress(AssertionError):  # it may never come to rest
        await Operator(world).settle(rounds=40)

    with pytest.raises(AssertionError):
        world.check()
    assert any(said in wrong for wrong in world.wrongs)


async def test_a_format_after_history_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.make(peers=3)
    formats_whatever_is_empty(monkeypatch)
    operator = Operator(world)
    await operator.go_on(20)
    world.lose_volume(0)
    await operator.go_on(10)

    with pytest.raises(AssertionError, match="forgot its votes"):
        world.check()


async def test_a_trader_that_is_stopped_without_handing_over_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Trader first: a roll changes the trader twice, or more often."""
    world = await beginning(roll)
    before = len(world.ring.changes)

    def trader_first(_seen: Observation, ring: Ring, old: list[Pod]) -> list[plan.Action]:
        ordered = sorted(old, key=lambda pod: -pod.ordinal)
        return [plan.StopPod(pod, "planted") for pod in ordered[:1] if plan._can_spare(ring, pod)]

    monkeypatch.setattr(plan, "_followers", trader_first)
    await Operator(world).settle()

    assert len(world.ring.changes) > before + 1


async def test_a_write_that_nobody_repeats_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass that remembers what it has asked for is at a loss after a crash; so is this one."""
    asked: set[str] = set()
    carry_out = act.Hands.act

    async def once_only(self: act.Hands, seen: Observation, action: Any) -> bool:
        if isinstance(action, plan.Format):
            if action.volume in asked:
                return False
            asked.add(action.volume)
            await self.api.get("Pod", seen.bazaar.namespace, "dies-here")
            raise PeerError("the operator died, and remembers that it has asked")
        return await carry_out(self, seen, action)

    monkeypatch.setattr(act.Hands, "act", once_only)

    world = await play(first_start)

    assert world.status["phase"] != "Running"


async def test_a_latched_phase_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Phases are derived anew; one that is kept would lie for ever (cnpg#4022)."""

    def latched(seen: Observation) -> tuple[str, str]:
        former = seen.bazaar.status.phase
        return (former, "") if former == "Scaling" else phase_of(seen)

    monkeypatch.setattr("bazaar_operator.status.phase_of", latched)

    world = await play(grow)

    assert world.status["phase"] == "Scaling"
