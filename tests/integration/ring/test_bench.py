"""`bazaar bench` on a small ring: what it measures, keeps and draws, and what it would notice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bazaar_peer.command import measure, reports
from bazaar_peer.command.report import bench_json
from bazaar_peer.runtime import processes
from bench.rig import Ring
from tests.integration.ring.conftest import StartRing, bazaar, lines_of, take_ports
from tests.integration.ring.fakering import FakeRing, serving


def test_the_trader_is_killed_and_nothing_is_done_twice(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    done = bazaar(
        *("bench", "--peers", 3, "--requests", 30, "--kills", 2, "--port", take_ports(3)),
        *("--report", folder, "--json"),
        seconds=120,
    )

    assert done.returncode == 0, done.stderr
    [ring] = json.loads(done.stdout)["rings"]
    raw = bench_json.of(json.loads((folder / "bench.json").read_text()))
    elections = raw.rings[0].elections
    assert elections is not None
    assert elections.killed_at == [7, 22]
    assert len(elections.latencies_ms) == len(raw.rings[0].steady.latencies_ms) == 30
    assert (ring["elections"]["kills"], ring["max_ms"]) == (2, raw.rings[0].steady.max_ms)
    assert done.stderr.splitlines()[:2] == [  # a busy machine may have something to say behind them
        "3 peers, in peace: 30 …",
        "3 peers, the trader killed 2 times: 30 …",
    ]

    before = (folder / "bench.json").read_bytes()
    again = bazaar("report", folder)
    assert again.returncode == 0, again.stderr
    named = [Path(line).name for line in again.stdout.splitlines()]
    assert named == ["report.html", "steady-3.png", "elections-3.png"]
    assert (folder / "bench.json").read_bytes() == before


def test_an_order_that_was_done_twice_is_noticed(start: StartRing) -> None:
    rig = start(3, "--no-agents")
    buyer = measure.Buyer([f"http://127.0.0.1:{port}" for port in rig.ports], "")

    async def one_more() -> None:
        await buyer.run(10, 0, lambda done, of: None)
        await buyer.check()
        async with aiohttp.ClientSession() as session:
            body = {"item": "salt", "quantity": 1}
            await session.post(f"{buyer.urls[0]}/v1/orders", json=body)
        await buyer.check()

    with pytest.raises(measure.BenchError, match="30 orders were answered, and 31 pieces are gone"):
        asyncio.run(one_more())


class Liar(measure.Buyer):
    """The planted bug: one order is acknowledged and not done, another one is done twice."""

    async def _buy(self, session: aiohttp.ClientSession) -> float:
        if self.orders == 5:
            self.orders += 1
            self.epochs.append(self.epochs[-1])
            return 1.0
        if self.orders == 7:
            body = {"item": "salt", "quantity": 1, "buyer": self.name}
            await session.post(f"{self.urls[0]}/v1/orders", json=body)
        return await super()._buy(session)


def test_one_lost_and_one_doubled_order_are_noticed(start: StartRing) -> None:
    """S6: as many pieces are gone as were ordered."""
    rig = start(3, "--no-agents")
    buyer = Liar([f"http://127.0.0.1:{port}" for port in rig.ports], "")

    async def buy() -> None:
        await buyer.run(10, 0, lambda done, of: None)
        await buyer.check()

    asyncio.run(buy())
    rig.stop()

    with pytest.raises(measure.BenchError, match=f"key {buyer.name}-6 of anonymous was acknowl"):
        measure.audit(rig.data, buyer.keys())


@pytest.fixture
async def fake() -> AsyncIterator[FakeRing]:
    async with serving() as made:
        yield made


def buyer_of(fake: FakeRing) -> measure.Buyer:
    return measure.Buyer([f"{fake.url}/{peer}" for peer in range(3)], "fake")


async def test_what_is_not_that_peer_of_that_ring_is_not_killed(fake: FakeRing) -> None:
    """A pid of an answer may be of another machine, or of what has the number now."""
    other = await asyncio.create_subprocess_exec("sleep", "60")
    fake.peers[0].pid = other.pid
    try:
        with pytest.raises(measure.BenchError, match=f"process {other.pid} is not peer 0 of ring"):
            await buyer_of(fake).run(10, 1, lambda done, of: None)
        assert other.returncode is None
    finally:
        other.kill()
        assert await other.wait() == -signal.SIGKILL


async def test_a_reign_that_goes_on_is_no_re_election(
    fake: FakeRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "send", lambda *_: None)
    with pytest.raises(measure.BenchError, match=r"before requests \[5\], and nobody else reigned"):
        await buyer_of(fake).run(10, 1, lambda done, of: None)


async def test_a_re_election_that_nobody_asked_for_is_counted(fake: FakeRing) -> None:
    """A busy machine has them; whoever reads the figures is told."""
    fake.turns = frozenset({measure.WARM_UP + 4})
    buyer = buyer_of(fake)
    await buyer.run(10, 0, lambda done, of: None)
    assert buyer.unasked == 1


async def test_a_re_election_at_each_kill_is_what_is_measured(
    fake: FakeRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "send", lambda *_: fake.reign(1))
    buyer = buyer_of(fake)
    run = await buyer.run(10, 2, lambda done, of: None)
    assert (run.killed_at, buyer.unasked) == ([2, 7], 0)


def test_a_ring_that_has_the_port_is_not_measured_and_not_killed(trading: Ring) -> None:
    pids = [line["pid"] for line in lines_of(trading)]

    done = bazaar("bench", "--peers", 3, "--requests", 10, "--port", trading.port)

    assert done.returncode == 1
    assert f"port {trading.port} is taken" in done.stderr
    assert [line["pid"] for line in lines_of(trading)] == pids


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--peers", 2), "--kills 0"),
        (("--peers", 0), "--peers must be 1 to"),
        (("--requests", 10, "--kills", 11), "--kills must be at most --requests, 10"),
        (("--report", "/"), "--report / is there already"),
        (("--report", "/nowhere/at/all"), "there is no folder /nowhere/at"),
        (("--peers", 3, "--peers", 5, "--peers", 3), "--peers 3 is there twice"),
        (("--port", 80), "--port must be 1024 to"),
        (("--port", 64_500), "--port must be 1024 to"),
        (("--compare", "corba"), "--compare knows pyro4"),
        (("--requests", 5), "--requests"),
    ],
)
def test_misuse_ends_with_2(options: tuple[object, ...], said: str) -> None:
    done = bazaar("bench", *options)

    assert done.returncode == 2
    assert said in done.stderr


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write everywhere, so it is the system that is asked."""
    assert reports._no_place(tmp_path / "report") == ""
    monkeypatch.setattr(os, "access", lambda place, _mode: place != tmp_path)
    assert f"nothing may be written into {tmp_path}" in reports._no_place(tmp_path / "report")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "no bench.json and no drill.json"),
        (["bench.json", "drill.json"], "bench.json and drill.json: name a folder that has one"),
        (["bench.json"], "this is no measurement"),
        (["drill.json"], "drill.json"),
    ],
)
def test_a_folder_without_one_result_is_misuse(tmp_path: Path, files: list[str], said: str) -> None:
    for name in files:
        (tmp_path / name).write_text("{}")

    done = bazaar("report", tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_folder_that_is_not_there_is_misuse(tmp_path: Path) -> None:
    assert bazaar("report", tmp_path / "nowhere").returncode == 2
