"""`bazaar bench`: the measurement that this system comes from, repeated on this machine.

1200 requests of one buyer at 5 and at 6 peers, each asked after the one before was answered; once
in peace, and once while the trader is killed (kill -9) again and again. Every order is durable on a
majority of real disks when it counts.

A trader is killed just before a request is sent, so that this request meets the whole interregnum.
Before the next kill all peers are back: the measure is re-elections, not a lost majority. The buyer
asks the trader; when that dies it asks the next peer with the same key, as any client would. Each
answer names its epoch: the reign must have changed at every kill, and what it did besides is told.
At the end the ring's journals are audited, in which every order must have taken effect once.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp

from bazaar_peer.command import client
from bazaar_peer.command.report.bench_json import Ring, Run
from bazaar_peer.command.ring_folder import RingError, RingFile, create, new_ring_id
from bazaar_peer.command.verify import verify
from bazaar_peer.runtime import processes

START_S, SETTLE_S, DEADLINE_S = 30.0, 60.0, 20.0
LOOK_S, PAUSE_S = 0.1, 0.02
WARM_UP = 20
LOT = 1_000_000
CLIENT = "anonymous"
"""Who gives no name."""
KILLS_MAX = 100

UNASKED = (
    "{peers} peers: the trader changed {times} more times than it was killed, and those orders are "
    "in the figures: run it again on a machine that does nothing beside it\n"
)
REPORT_IT = "please report this with the ring's version"

TELL_EVERY = 50
Tell = Callable[[str, int, int], None]
"""Is told what is under way, how many requests of it are answered, and how many there will be."""


class BenchError(Exception):
    """The measurement could not be made; the text says why."""


async def measure(peers: int, requests: int, kills: int, port: int, tell: Tell) -> Ring:
    """Run a ring of its own and buy, in peace and then under `kills`.

    Raises:
        BenchError: the ring did not start, an order was not answered, lost or done twice, or a
            kill did not change the trader.
        CallError: no peer answers any more.
    """
    with tempfile.TemporaryDirectory(prefix="bazaar-bench-") as folder:
        data, made = Path(folder) / "ring", RingFile(ring=new_ring_id(), peers=peers)
        create(data, made)
        async with _running(data, made, port) as urls:
            buyer = Buyer(urls, made.ring)
            calm = partial(tell, f"{peers} peers, in peace")
            steady = await buyer.run(requests, 0, calm)
            elections = None
            if kills:
                hurt = partial(tell, f"{peers} peers, the trader killed {kills} times")
                elections = await buyer.run(requests, kills, hurt)
            await buyer.check()
        await asyncio.to_thread(audit, data, buyer.keys())
    if buyer.unasked:
        sys.stderr.write(UNASKED.format(peers=peers, times=buyer.unasked))
    return Ring(peers=peers, steady=steady, elections=elections)


class Buyer:
    """One buyer, who waits for each answer before he asks again."""

    def __init__(self, urls: list[str], ring: str) -> None:
        self.urls, self.ring = urls, ring
        self.name = f"bench-{secrets.token_hex(4)}"
        self.orders = 0
        self.epochs: list[int] = []
        """In which each order was executed, by its answer."""
        self.unasked = 0
        """Re-elections that nobody was killed for."""
        self._at = 0
        """The peer that is asked."""

    async def run(self, requests: int, kills: int, tell: Callable[[int, int], None]) -> Run:
        """Buy so many times; kill the trader before requests that lie evenly apart."""
        killed_at = sorted({(2 * k + 1) * requests // (2 * kills) for k in range(kills)})
        limit = aiohttp.ClientTimeout(total=DEADLINE_S)
        async with aiohttp.ClientSession(timeout=limit) as session:
            if not self.orders:
                await self._stock()
            for _ in range(WARM_UP):
                await self._buy(session)
            found: list[float] = []
            for number in range(requests):
                if number % TELL_EVERY == 0:
                    tell(number, requests)  # between two requests: no measured one waits for it
                if number in killed_at:
                    await self._kill()
                found.append(await self._buy(session))
        tell(requests, requests)
        self._see_reigns(requests, killed_at)
        return Run.of(found, killed_at)

    def _see_reigns(self, requests: int, killed_at: list[int]) -> None:
        """See that the reign changed at every kill; count where it did so besides."""
        reigns = pairwise(self.epochs[-requests - 1 :])
        changed = {number for number, (before, after) in enumerate(reigns) if before != after}
        if missing := sorted(set(killed_at) - changed):
            raise BenchError(
                f"the trader was killed before requests {missing}, and nobody else reigned then: "
                f"{REPORT_IT}"
            )
        self.unasked += len(changed - set(killed_at))

    def keys(self) -> list[str]:
        """Return the key of every order."""
        return [f"{self.name}-{number + 1}" for number in range(self.orders)]

    async def check(self) -> None:
        """See that as many pieces are gone as were ordered; `audit` looks at each order."""
        self._at, _ = await _settled(self.urls)
        path = "/v1/stock?consistency=linearizable"
        found = await client.call("GET", self.urls[self._at], path)
        left = int(found["items"]["salt"]["on_offer"])
        if left != LOT - self.orders:
            raise BenchError(
                f"{self.orders} orders were answered, and {LOT - left} pieces are gone: {REPORT_IT}"
            )

    async def _stock(self) -> None:
        self._at, _ = await _settled(self.urls)
        body = {"item": "salt", "quantity": LOT, "price": 5, "seller": "bench"}
        await client.call("POST", self.urls[self._at], "/v1/deposits", body)

    async def _kill(self) -> None:
        """Kill the trader, once every peer is back from the kill before."""
        self._at, pid = await _settled(self.urls)
        try:
            processes.send(pid, signal.SIGKILL, self.ring, self._at)
        except processes.NotOursError as wrong:
            raise BenchError(f"the trader was not killed: {wrong}") from wrong

    async def _buy(self, session: aiohttp.ClientSession) -> float:
        """Order one piece; return the milliseconds until it was answered."""
        self.orders += 1
        order = {"item": "salt", "quantity": 1, "buyer": self.name}
        headers = {"Idempotency-Key": f"{self.name}-{self.orders}"}
        began = time.perf_counter()
        said = "no answer"
        while time.perf_counter() - began < DEADLINE_S:
            url = self.urls[self._at] + "/v1/orders"
            try:
                async with session.post(url, json=order, headers=headers) as answer:
                    said = await answer.text()
                if answer.status == 200:
                    took_ms = (time.perf_counter() - began) * 1e3
                    self._note(said)
                    return took_ms
                if answer.status < 429:
                    raise BenchError(f"an order was answered {answer.status}: {said}")
                await asyncio.sleep(PAUSE_S)
            except (aiohttp.ClientError, TimeoutError) as error:
                said = str(error) or type(error).__name__
            self._at = (self._at + 1) % len(self.urls)
        raise BenchError(f"an order was not done within {DEADLINE_S:g} s: {said}")

    def _note(self, said: str) -> None:
        told = json.loads(said)
        if told["outcome"] != "filled":
            raise BenchError(f"an order was answered {told['outcome']}: {REPORT_IT}")
        self.epochs.append(int(told["epoch"]))


def audit(data: Path, keys: list[str]) -> None:
    """See in the journals of a stopped ring that each order took effect once (S6).

    That as many pieces are gone as were ordered proves nothing alone: one order lost and another
    one done twice add up.

    Raises:
        BenchError: one is missing or was done twice, or the journals are wrong otherwise.
    """
    listed = data / "acknowledged"
    listed.write_text("".join(f"{CLIENT} {key}\n" for key in keys))
    try:
        found = verify(data, listed).violations
    except RingError as wrong:
        raise BenchError(f"the ring's journals cannot be audited: {wrong}") from wrong
    if found:
        raise BenchError(f"bazaar verify: {'; '.join(found[:3])}: {REPORT_IT}")


@asynccontextmanager
async def _running(data: Path, made: RingFile, port: int) -> AsyncIterator[list[str]]:
    """Run `bazaar up` in a ring's folder; yield the peers' addresses."""
    peers, errors = made.peers, data.parent / "up.err"
    with errors.open("wb") as file:
        ring = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bazaar_peer", "up", "--peers", str(peers)),
            *("--port", str(port), "--data", str(data)),
            *("--no-agents", "--restart-after", "0.1", "--json"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=file,
        )
    try:
        urls = [f"http://127.0.0.1:{port + peer}" for peer in range(peers)]
        if not await _started(urls[0], made.ring, ring):
            told = await asyncio.to_thread(errors.read_text)
            raise BenchError(f"the ring did not start: {told.strip() or 'no trader'}")
        yield urls
    finally:
        if ring.returncode is None:
            ring.send_signal(signal.SIGINT)
        await ring.wait()


async def _started(url: str, name: str, ring: asyncio.subprocess.Process) -> bool:
    """Wait for the first trader of our own ring; False: there will be none.

    Another ring may have the port: it is neither measured nor killed.
    """
    until = time.monotonic() + START_S
    while time.monotonic() < until and ring.returncode is None:
        try:
            view = await client.call("GET", url, "/v1/ring")
            if view["ring"] == name and view["trader"] >= 0:
                return True
        except client.CallError:
            pass
        await asyncio.sleep(LOOK_S)
    return False


async def _settled(urls: list[str]) -> tuple[int, int]:
    """Wait until every peer is up, follows one trader and knows all that it knows.

    Return that trader, and its process by its own word; 0: it does not tell.
    """
    until = time.monotonic() + SETTLE_S
    while time.monotonic() < until:
        try:
            views = await asyncio.gather(*(client.call("GET", url, "/v1/ring") for url in urls))
        except client.CallError:
            views = []
        if len({_state(view) for view in views}) == 1 and views[0]["trader"] >= 0:
            trader = int(views[0]["trader"])
            rows = views[trader]["peers"]
            return trader, next((int(row["pid"]) for row in rows if "pid" in row), 0)
        await asyncio.sleep(LOOK_S)
    raise BenchError(f"a killed peer was not back within {SETTLE_S:g} s")


def _state(view: dict[str, Any]) -> tuple[int, ...]:
    return view["trader"], view["epoch"], view["commit_index"]
