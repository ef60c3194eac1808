"""Updates: followers first, then a hand-over, the old trader last; one trader change a roll."""

from __future__ import annotations

from typing import Any

import pytest

from bazaar_operator import reconcile
from bazaar_operator.labels import UPDATE_TO
from bazaar_operator.observation import Observation
from bazaar_operator.plan import Action, StopPod, plan
from tests.integration.operator.store import Key
from tests.integration.operator.world import BROKEN, IMAGE, SPACE, Operator, World

FASTER: dict[str, Any] = {"heartbeat": {"intervalMs": 50, "timeoutMs": 300}}


async def running(peers: int, **spec: Any) -> tuple[World, Operator]:
    world = World()
    world.make(peers=peers, **spec)
    operator = Operator(world)
    await operator.settle()
    return world, operator


def revisions(world: World) -> set[str]:
    return {
        pod["metadata"]["labels"]["controller-revision-hash"] for pod in world.store.all("pods")
    }


@pytest.mark.parametrize("peers", [3, 6])
async def test_a_changed_setting_rolls_all_pods_with_one_trader_change(peers: int) -> None:
    world, operator = await running(peers)
    before, revision = list(world.ring.changes), revisions(world)

    world.wish(**FASTER)
    await operator.settle()

    world.check()
    assert len(world.ring.changes) == len(before) + 1
    assert len(revisions(world)) == 1
    assert revisions(world) != revision
    assert world.status["phase"] == "Running"
    assert world.events.count("HandOver") == 1


@pytest.mark.parametrize("peers", [1, 2])
async def test_a_ring_with_nobody_to_spare_is_updated_all_the_same(peers: int) -> None:
    """Its pods' restarts are its interruption, as with the disruption budget."""
    world, operator = await running(peers)
    revision = revisions(world)

    world.wish(**FASTER)
    await operator.settle()

    assert len(revisions(world)) == 1
    assert revisions(world) != revision
    assert world.status["phase"] == "Running"


async def test_a_changed_size_rolls_no_pod() -> None:
    world, operator = await running(3)
    revision = revisions(world)

    world.wish(peers=4)
    await operator.settle()

    assert revisions(world) == revision


async def test_the_next_pod_waits_for_the_one_before() -> None:
    """A bad revision stops at the first pod, and a better one begins there."""
    world, operator = await running(5)
    stuck = Operator(world, image=BROKEN)
    await stuck.go_on(20)

    world.check()
    assert len(world.peers.running) == 4
    assert world.status["phase"] == "Updating"
    late = Operator(world, image=BROKEN, ahead_s=400)
    await late.once()
    assert world.condition("Stalled") == "True"
    assert world.condition("Available") == "True"

    await operator.settle()
    world.check()
    assert world.status["phase"] == "Running"


async def test_a_new_image_waits_for_a_person_when_supervised() -> None:
    world, _ = await running(3, updatePolicy="Supervised")
    newer = Operator(world, image="bazaar:2")
    await newer.settle()
    assert (world.status["image"], world.status["phase"]) == (IMAGE, "Running")
    said = next(c for c in world.status["conditions"] if c["type"] == "Progressing")
    assert UPDATE_TO in said["message"]

    note = {"metadata": {"annotations": {UPDATE_TO: "bazaar:2"}}}
    world.store.merge(Key("bazaars", SPACE, "fair"), note)
    await newer.settle()

    world.check()
    assert world.status["image"] == "bazaar:2"
    assert {pod["spec"]["image"] for pod in world.store.all("pods")} == {"bazaar:2"}


async def test_a_new_image_comes_to_one_ring_after_the_other() -> None:
    """A bad image stops at the first ring."""
    world, _ = await running(3)
    other = world.make("other", peers=3)
    status = {"image": "bazaar:2", "phase": "Updating"}
    world.store.merge(Key("bazaars", SPACE, "other"), {"status": status}, "status")
    newer = Operator(world, image="bazaar:2")
    await newer.settle()
    assert world.status["image"] == IMAGE

    world.store.merge(
        Key("bazaars", SPACE, other["metadata"]["name"]), {"status": {"phase": "Running"}}, "status"
    )
    await newer.settle()

    assert world.status["image"] == "bazaar:2"


async def test_a_resource_that_is_paused_is_left_as_it_is() -> None:
    world, operator = await running(3)

    world.wish(peers=6, paused=True, **FASTER)
    await operator.settle()

    assert world.status["phase"] == "Paused"
    assert len(world.store.all("pods")) == 3


async def test_a_ring_that_another_operator_holds_is_left_alone() -> None:
    world = World()
    world.make(peers=3)
    now = "2999-01-01T00:00:00.000000Z"
    world.store.create(
        "leases",
        {
            "metadata": {"name": "fair", "namespace": SPACE},
            "spec": {"holderIdentity": "else/where", "renewTime": now, "leaseDurationSeconds": 60},
        },
    )
    before = len(world.store.writes)

    await Operator(world).settle()

    assert len(world.store.writes) == before


async def test_a_lease_that_has_run_out_is_taken() -> None:
    world, _ = await running(3)
    spec = {"holderIdentity": "else/where", "renewTime": "2020-01-01T00:00:00Z"}
    world.store.merge(Key("leases", SPACE, "fair"), {"spec": spec})

    await Operator(world).settle()

    assert world.store.get("leases", "fair")["spec"]["holderIdentity"] == "ns/operator"


async def test_an_invalid_resource_is_refused_once_and_its_ring_goes_on() -> None:
    world, operator = await running(3)
    ring_id = world.status["ringId"]

    world.wish(heartbeat={"intervalMs": 400, "timeoutMs": 500})
    await operator.settle()

    assert (world.status["phase"], world.status["ringId"]) == ("Invalid", ring_id)
    assert world.condition("Accepted") == "False"
    assert world.events.count("InvalidSpec") == 1
    assert world.condition("Available") == "True"

    world.wish(**FASTER)
    await operator.settle()
    assert world.status["phase"] == "Running"


async def test_a_mended_template_reaches_a_pod_that_crashes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A ring of one has no majority to wait for: its pod comes to nothing by itself."""
    world = World()
    world.make(peers=1)
    await Operator(world).settle()
    report = world._report

    def crashing(pod: dict[str, Any]) -> None:
        if pod["spec"]["image"] != "bazaar:2" or "deletionTimestamp" in pod["metadata"]:
            report(pod)
            return
        world.peers.running.pop(0, None)
        waits = {"waiting": {"reason": "CrashLoopBackOff"}}
        ended = {"terminated": {"exitCode": 1}}
        status = {"containerStatuses": [{"restartCount": 4, "state": waits, "lastState": ended}]}
        key = Key("pods", SPACE, pod["metadata"]["name"])
        world.store.merge(key, {"status": status}, "status")

    monkeypatch.setattr(world, "_report", crashing)
    for image, rounds in (("bazaar:2", 30), ("bazaar:3", 60)):
        operator = Operator(world, image=image)
        await operator.go_on(rounds)

    assert [pod["spec"]["image"] for pod in world.store.all("pods")] == ["bazaar:3"]


async def rolled_while_peers_die(monkeypatch: pytest.MonkeyPatch) -> World:
    """Whenever a pod is to be stopped, another follower dies first: twice."""
    world, operator = await running(3)
    world.wish(**FASTER)
    deaths = 0

    def planned(seen: Observation) -> list[Action]:
        nonlocal deaths
        actions = plan(seen)
        for stop in (action for action in actions if isinstance(action, StopPod)):
            other = next(i for i in (0, 1) if i != stop.pod.ordinal)
            if deaths < 2 and other in world.peers.running:
                deaths += 1
                world.crash(other)
        return actions

    monkeypatch.setattr(reconcile, "plan", planned)
    await operator.settle()
    assert deaths == 2
    return world


async def test_no_pod_is_stopped_on_a_view_that_grew_old_during_the_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await rolled_while_peers_die(monkeypatch)

    world.check()
    assert len(revisions(world)) == 1


async def test_a_pod_that_is_stopped_on_an_old_view_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one above can fail: without the second look a majority is lost."""

    async def nothing_new(*_: object) -> bool:
        return False

    monkeypatch.setattr(reconcile.Reconciler, "has_news", nothing_new)
    world = await rolled_while_peers_die(monkeypatch)

    assert any("is stopped" in wrong for wrong in world.wrongs)
