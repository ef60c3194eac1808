"""Whatever fails, wherever the operator dies: the same objects at the end, never below a majority.

A story is played from the same beginning again and again: with a kill at each write, before it and
after it, and with errors of the API server at random calls. G15 is checked while it runs.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest

from bazaar_operator.api import ApiError
from tests.integration.operator.store import Object
from tests.integration.operator.world import Fault, Operator, World, no_fault

Story = Callable[[World], None]


class Killed(BaseException):
    """The operator's process ends here."""


def first_start(world: World) -> None:
    world.make(peers=3, storage={"retentionPolicy": {"whenDeleted": "Delete"}})


def roll(world: World) -> None:
    world.wish(heartbeat={"intervalMs": 50, "timeoutMs": 300})


def grow(world: World) -> None:
    world.wish(peers=5)


def shrink(world: World) -> None:
    world.wish(peers=2, storage={"retentionPolicy": {"whenScaled": "Delete"}})


def grow_and_roll(world: World) -> None:
    grow(world)
    roll(world)


STORIES: list[Story] = [first_start, roll, grow, shrink, grow_and_roll]


class Blow:
    """Kill the operator at its n-th write: before it, or after it was carried out."""

    def __init__(self, at: int, late: bool) -> None:
        self.at, self.late, self.count = at, late, 0

    def before(self, method: str, _path: str) -> None:
        if method != "get":
            self.count += 1
            if self.count == self.at and not self.late:
                raise Killed

    def after(self, method: str, _path: str) -> None:
        if method != "get" and self.count == self.at and self.late:
            raise Killed


_ready: dict[str, World] = {}


async def beginning(story: Story) -> World:
    """A world in which the story is about to begin."""
    if story is first_start:
        world = World()
    else:
        if not _ready:
            _ready["world"] = world = World()
            first_start(world)
            await Operator(world).settle()
        world = copy.deepcopy(_ready["world"])
    story(world)
    return world


def gist(world: World) -> dict[str, Any]:
    """What must be the same at the end, however one got there."""
    ring = world.ring
    return {
        "objects": {
            str(key): _wished(body)
            for key, body in world.store.objects.items()
            if key.plural not in {"events", "pods", "leases", "secrets", "bazaars"}
        },
        "voters": ring.voters,
        "phase": world.status["phase"],
        "conditions": {c["type"]: c["status"] for c in world.status["conditions"]},
        "ready": world.status["ready"],
        "members": [m["id"] for m in world.status["members"]],
    }


def _wished(body: Object) -> Object:
    meta = body["metadata"]
    owners = [owner["kind"] for owner in meta.get("ownerReferences", [])]
    return {"spec": body.get("spec"), "data": body.get("data"), "owners": owners,
            "labels": meta.get("labels")}  # fmt: skip


async def play(story: Story, before: Fault = no_fault, after: Fault = no_fault) -> World:
    """Play it with one life that may be cut off, and a second one that ends it."""
    world = await beginning(story)
    try:
        await Operator(world, before=before, after=after).settle()
    except Killed:
        world.tick()
        await Operator(world).settle()
    world.check()
    return world


@pytest.mark.parametrize("story", STORIES)
async def test_a_kill_at_any_write_changes_nothing_in_the_end(story: Story) -> None:
    whole = Blow(0, late=False)
    wished = gist(await play(story, whole.before))
    assert whole.count > 3

    for at in range(1, whole.count + 1, 3 if story is grow_and_roll else 1):
        for late in (False, True):
            blow = Blow(at, late)

            world = await play(story, blow.before, blow.after)

            assert gist(world) == wished, f"{story.__name__} killed at write {at}, late: {late}"


@pytest.mark.parametrize("story", STORIES)
async def test_errors_of_the_api_server_change_nothing_in_the_end(story: Story) -> None:
    wished = gist(await play(story))

    for seed in range(12):
        dice = random.Random(f"{story.__name__} {seed}")

        def fail(method: str, path: str, dice: random.Random = dice) -> None:
            if dice.random() < 0.04:
                raise ApiError(dice.choice([0, 409, 422, 429, 500, 503]), f"{method} {path}")

        world = await play(story, fail, fail)

        assert gist(world) == wished, f"{story.__name__} with seed {seed}"


async def test_a_restart_in_the_middle_of_a_roll_still_changes_the_trader_once() -> None:
    for rounds in range(1, 30, 2):
        world = await beginning(roll)
        before = len(world.ring.changes)
        operator = Operator(world)
        await operator.go_on(rounds)

        await Operator(world).settle()

        world.check()
        assert len(world.ring.changes) == before + 1


async def test_without_the_operator_the_ring_elects_all_the_same() -> None:
    """The operator is never in the path of a failover."""
    world = await beginning(roll)
    world.crash(2)

    world.peers.tick()

    assert world.ring.trader in {0, 1}
