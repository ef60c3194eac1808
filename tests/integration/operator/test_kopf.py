"""The whole process against an API server over HTTP: kopf, watches, and all that may fail there."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket

import aiohttp
import pytest

from bazaar_operator.loop import STUCK_S, Loop
from bazaar_operator.metrics import WATCHED
from tests.integration.operator.fakekube import cluster
from tests.integration.operator.store import Key

FASTER = {"intervalMs": 50, "timeoutMs": 300}


async def test_a_resource_becomes_a_ring_and_gets_no_finalizer() -> None:
    async with cluster() as here, here.operator():
        here.world.make(peers=3)

        await here.until(here.is_running)

        here.world.check()
        everything = here.world.store.objects.values()
        assert not any("finalizers" in body["metadata"] for body in everything)


async def test_every_watch_that_told_something_is_seen() -> None:
    async with cluster() as here, here.operator() as operator:
        here.world.make(peers=3, networkPolicy={"enabled": True})
        await here.until(here.is_running)

        told = operator.loops[0].metrics.registry.get_sample_value
        name = "bazaar_operator_watch_last_event_timestamp_seconds"
        await here.until(lambda: all(told(name, {"kind": kind}) for kind in WATCHED))


async def test_a_resource_made_while_the_operator_was_away_is_found() -> None:
    async with cluster() as here:
        here.world.make(peers=1)
        async with here.operator():
            await here.until(here.is_running)

        here.world.wish(peers=3)
        async with here.operator():
            await here.until(here.is_running)

        here.world.check()
        assert sorted(here.world.ring.voters) == [0, 1, 2]


async def test_a_change_and_a_lost_pod_wake_the_reconcile() -> None:
    async with cluster() as here, here.operator():
        here.world.make(peers=3)
        await here.until(here.is_running)
        before = len(here.world.ring.changes)

        here.world.wish(heartbeat=FASTER)
        await here.until(here.is_running)
        assert len(here.world.ring.changes) == before + 1

        old = here.world.ring.trader
        here.world.peers.post(old, "/v1/resign", {"successor": (old + 1) % 3})
        await here.until(lambda: here.world.status["trader"] == f"fair-{(old + 1) % 3}")
        here.world.lose_volume(old)
        await here.until(lambda: "MemberRemoved" in here.world.events)
        await here.until(here.is_running)
        here.world.check()


async def test_the_process_restarts_in_the_middle_of_a_roll() -> None:
    async with cluster() as here:
        here.world.make(peers=3)
        async with here.operator():
            await here.until(here.is_running)
            before = len(here.world.ring.changes)
            here.world.wish(heartbeat=FASTER)
            await here.until(lambda: "PodStopped" in here.world.events)

        async with here.operator():
            await here.until(here.is_running)

        here.world.check()
        assert len(here.world.ring.changes) == before + 1


@pytest.mark.parametrize("status", [409, 422, 429, 503])
async def test_refusals_and_dropped_watches_only_cost_time(status: int) -> None:
    """Each call may be refused, or carried out and the answer lost; watches end without a word."""
    async with cluster() as here, here.operator():
        dice = random.Random(status)

        def fault(method: str, _path: str) -> int:
            if dice.random() < 0.01:
                here.kube.drop_watches()
            may = method != "GET" or status in {429, 503}  # conflicts are for those who write
            return status if may and dice.random() < 0.02 else 0

        here.kube.fault = fault
        here.world.make(peers=3)
        await here.until(here.is_running)
        before = len(here.world.ring.changes)
        here.world.wish(peers=4, heartbeat=FASTER)
        await here.until(here.is_running)

        here.world.check()
        assert sorted(here.world.ring.voters) == [0, 1, 2, 3]
        assert len(here.world.ring.changes) == before + 1


async def test_deletion_ends_the_work_on_it() -> None:
    async with cluster() as here, here.operator() as operator:
        here.world.make(peers=1)
        await here.until(here.is_running)

        here.world.store.delete(Key("bazaars", "ns", "fair"))
        await here.until(lambda: not operator.loops[0].workers)

        left = {key.plural for key in here.world.store.objects}
        assert left == {"events", "persistentvolumeclaims"}


async def test_an_object_that_somebody_deleted_is_back_at_once() -> None:
    async with cluster() as here, here.operator():
        here.world.make(peers=1)
        await here.until(here.is_running)
        service = Key("services", "ns", "fair-client")

        here.world.store.delete(service)
        await here.until(lambda: "DriftRepaired" in here.world.events, timeout_s=10)

        assert service in here.world.store.objects


@pytest.mark.parametrize(("age_s", "status"), [(1.0, 200), (STUCK_S + 1, 500)])
async def test_liveness_fails_once_the_walk_is_stuck(
    age_s: float, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process whose port answers may still do nothing: Kubernetes is to start it anew."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        health = f"http://127.0.0.1:{free.getsockname()[1]}/healthz"
    monkeypatch.setattr(Loop, "age_s", age_s)
    async with (
        cluster() as here,
        here.operator(health=health) as operator,
        aiohttp.ClientSession() as http,
    ):
        await here.until(lambda: bool(operator.loops))
        told = 0
        async with asyncio.timeout(20):
            while not told:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with http.get(health) as answer:
                        told = answer.status
                await asyncio.sleep(0.05)

    assert told == status
