"""The drill of `helm test`, on processes and on a ring that is none: what it must not let pass."""

from __future__ import annotations

import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from bazaar_peer.command import handing_over
from bazaar_peer.command import selftest as module
from bazaar_peer.command.drill.place import Interregna
from bazaar_peer.command.handing_over import BEFORE, Counted, spell_ms
from bazaar_peer.command.pods import AccountPods, PodsError
from bazaar_peer.command.selftest import Found, SelfTestError, selftest
from bench.rig import Ring, kill
from tests.integration.ring.conftest import StartRing, ask, trader_of
from tests.integration.ring.fakering import FakePeer, FakeRing, serving


class Processes:
    """Pods that are processes: a pid is a uid, and deleting one is a signal."""

    def __init__(self, rig: Ring, number: signal.Signals = signal.SIGTERM) -> None:
        self.rig, self.number = rig, number

    async def uid(self, pod: str) -> str | None:
        own = self.rig.own(int(pod.removeprefix("shop-")))
        return str(own["pid"]) if own else ""

    async def delete(self, pod: str, uid: str | None) -> None:
        assert uid == await self.uid(pod)
        kill(int(uid or 0), self.number)


async def drill(rig: Ring, number: signal.Signals = signal.SIGTERM) -> Found:
    url = f"http://127.0.0.1:{rig.ports[1]}"
    return await selftest(url, "shop", Processes(rig, number), lambda sentence: None)


@pytest.fixture
def rig(start: StartRing) -> Ring:
    return start(3, "--no-agents", "--restart-after", "0.5")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_ring_passes_whose_trader_goes(rig: Ring, number: signal.Signals) -> None:
    epoch = trader_of(rig)["epoch"]
    found = await drill(rig, number)
    assert found.handed is not None
    assert {found.handed.pod, found.handed.next_pod} <= {"shop-0", "shop-1", "shop-2"}
    assert found.acknowledged > BEFORE
    elections = trader_of(rig)["epoch"] - epoch
    assert elections >= 1
    if found.handed.interregnum_ms is None:  # a machine that halts may see another election
        assert elections > 1
    else:
        assert 0 < found.handed.interregnum_ms < 10_000
    assert ask(rig, 0, "GET /v1/stock?consistency=linearizable").body["items"] == {}


async def test_a_small_ring_is_not_hurt_and_passes(start: StartRing) -> None:
    """Without one of two there is no majority: the test would always fail."""
    rig, said = start(2, "--no-agents"), list[str]()
    trader_of(rig)
    pids = [(rig.own(peer) or {}).get("pid") for peer in (0, 1)]
    assert all(pids)
    found = await selftest(f"http://127.0.0.1:{rig.port}", "shop", Processes(rig), said.append)
    assert found.handed is None
    assert found.acknowledged > BEFORE
    assert "a ring of 2 has no majority" in " ".join(said)
    assert [(rig.own(peer) or {}).get("pid") for peer in (0, 1)] == pids


# ---- a ring that does it wrong


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeRing]:
    monkeypatch.setattr(module, "BEHIND_S", 0.1)
    monkeypatch.setattr(handing_over, "WAIT_S", 3.0)
    async with serving() as made:
        yield made


async def drilled(fake: FakeRing, said: list[str] | None = None) -> Found:
    try:
        return await selftest(fake.url, "shop", fake, (said or []).append)
    finally:
        assert not any(fake.stock.values()), "a rest of the goods stays on offer"


async def test_that_very_pod_is_deleted_and_what_is_left_is_withdrawn(fake: FakeRing) -> None:
    found = await drilled(fake)
    assert fake.deleted == [("shop-0", "first shop-0")]
    assert found.handed == handing_over.Handed("shop-0", "shop-1", 125.0)


async def test_who_may_not_look_at_pods_sees_another_process(fake: FakeRing) -> None:
    fake.blind = True
    assert (await drilled(fake)).handed is not None
    assert fake.deleted == [("shop-0", None)]


async def test_one_lost_and_one_doubled_order_are_seen(fake: FakeRing) -> None:
    """S6: as many pieces are gone as orders were acknowledged."""
    fake.lose, fake.double = frozenset({"order-3"}), frozenset({"order-5"})
    with pytest.raises(SelfTestError, match=r"lost \(order-3\).*done twice"):
        await drilled(fake)


@pytest.mark.parametrize(("off", "word"), [(1, "lost"), (-1, "done twice")])
async def test_a_sum_that_is_wrong_is_seen(
    fake: FakeRing, monkeypatch: pytest.MonkeyPatch, off: int, word: str
) -> None:
    left = module._left

    async def wrong(url: str, item: str) -> int:
        return await left(url, item) + off

    monkeypatch.setattr(module, "_left", wrong)
    with pytest.raises(SelfTestError, match=word):
        await drilled(fake)


@pytest.mark.parametrize(
    ("peer", "word"),
    [
        (FakePeer(0, silent=True), "no answer from peer 2"),
        (FakePeer(0, epoch=2), "peer 2 follows 0, and 0 trades in epoch 1"),
        (FakePeer(1), "peer 2 follows 1"),
        (FakePeer(0, voter=False), "peer 2 has no vote yet"),
    ],
)
async def test_a_ring_that_cannot_bear_it_is_left_alone(
    fake: FakeRing, peer: FakePeer, word: str
) -> None:
    fake.peers[2] = peer
    with pytest.raises(SelfTestError, match=word):
        await drilled(fake)
    assert fake.deleted == []


async def test_a_trader_that_does_not_claim_the_reign_is_none(fake: FakeRing) -> None:
    fake.peers[0].trader = -1
    with pytest.raises(SelfTestError, match="there is no trader"):
        await drilled(fake)
    assert fake.deleted == []


@pytest.mark.parametrize("blind", [False, True])
async def test_a_pod_that_stays_is_no_drill(fake: FakeRing, blind: bool) -> None:
    """Another peer reigns, but not because of the deletion."""
    fake.stays, fake.blind = True, blind
    with pytest.raises(SelfTestError, match="goes on within 3 s: shop-0 is still the same"):
        await drilled(fake)


async def test_without_another_reign_there_is_no_drill(
    fake: FakeRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeRing, "reign", lambda _ring, _peer: None)
    with pytest.raises(SelfTestError, match="no trader of an epoch behind 1"):
        await drilled(fake)


# ---- how long there was no trader


def counted(since: str, ended: int, seconds: float) -> Counted:
    return Counted(since, Interregna(ended, seconds))


@pytest.mark.parametrize(
    ("before", "after", "spell"),
    [
        (counted("a", 3, 9.0), counted("a", 4, 9.25), 250.0),
        (None, counted("a", 4, 9.25), None),  # of a whole life
        (counted("a", 3, 9.0), counted("b", 4, 9.25), None),  # of another process
        (counted("", 3, 9.0), counted("", 4, 9.25), None),
        (counted("a", 3, 9.0), counted("a", 5, 9.5), None),  # of two
        (counted("a", 3, 9.0), counted("a", 3, 9.0), None),
        (counted("a", 3, 9.0), None, None),
    ],
)
def test_an_interregnum_is_told_where_it_is_this_one_alone(
    before: Counted | None, after: Counted | None, spell: float | None
) -> None:
    found = [{1: one} if one else {} for one in (before, after)]
    assert spell_ms(1, found[0], found[1]) == spell


def test_outside_a_pod_it_says_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(PodsError, match="runs in a pod with a service account"):
        AccountPods("default", tmp_path)


class ApiServer:
    """As much of it as one pod's account sees."""

    def __init__(self) -> None:
        self.status, self.asked = 200, list[tuple[str, str, object]]()

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.headers["Authorization"], body))
        return web.json_response({"metadata": {"uid": "one"}}, status=self.status)


@pytest.fixture
async def server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[ApiServer, AccountPods]]:
    (tmp_path / "token").write_text("who may\n")
    with monkeypatch.context() as patch:
        context = ssl.create_default_context()
        patch.setattr(ssl, "create_default_context", lambda cafile: context)
        pods = AccountPods("ns", tmp_path)
    made, app = ApiServer(), web.Application()
    app.router.add_route("*", "/api/v1/namespaces/ns/pods/{pod}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pods._where = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v1/namespaces/ns/pods"
    yield made, pods
    await runner.cleanup()


async def test_a_pod_is_deleted_if_it_is_still_that_one(
    server: tuple[ApiServer, AccountPods],
) -> None:
    api, pods = server
    assert await pods.uid("shop-0") == "one"
    await pods.delete("shop-0", "one")
    await pods.delete("shop-0", None)
    bodies = [body for method, _, body in api.asked if method == "DELETE"]
    options = {"apiVersion": "v1", "kind": "DeleteOptions"}
    assert bodies == [{**options, "preconditions": {"uid": "one"}}, options]
    assert {who for _, who, _ in api.asked} == {"Bearer who may"}


@pytest.mark.parametrize(("status", "uid"), [(403, None), (404, "")])
async def test_a_pod_may_be_gone_or_not_be_looked_at(
    server: tuple[ApiServer, AccountPods], status: int, uid: str | None
) -> None:
    server[0].status = status
    assert await server[1].uid("shop-0") == uid


@pytest.mark.parametrize(("status", "word"), [(409, "somebody else"), (403, "403"), (500, "500")])
async def test_a_pod_that_was_not_deleted_is_told(
    server: tuple[ApiServer, AccountPods], status: int, word: str
) -> None:
    server[0].status = status
    with pytest.raises(PodsError, match=f"shop-0 was not deleted.*{word}"):
        await server[1].delete("shop-0", "one")
