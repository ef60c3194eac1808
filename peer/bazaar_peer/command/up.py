"""`bazaar up`: a whole ring on this machine, real processes on real disks, watched and restarted.

The supervisor is no part of the protocol: it starts peers, sees them die, starts them again, and
tells what the peers' own logs and counters say.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bazaar_peer.command.elections import Elections
from bazaar_peer.command.ring_folder import RingError, RingFolder
from bazaar_peer.runtime.settings import ProcessSettings, encode_settings
from bazaar_peer.runtime.stats import Stats, percentile_us

STOP_S = 10.0
"""A peer that has not ended by then after it was asked to is killed."""
LOOK_S = 0.1
DAMAGED = 65
"""Exit code of a peer that may not start from its volume (EX_DATAERR)."""
LOCKED = 75


@dataclass
class Child:
    """One peer's process, through all its lives."""

    peer: int
    process: asyncio.subprocess.Process | None = None
    deaths: int = 0
    out: str = ""
    """Why this peer is not started again, if it is not."""


@dataclass
class Supervisor:
    """The processes of one ring; `say` gets sentences for people."""

    folder: RingFolder
    settings: Callable[[int], ProcessSettings]
    restart_after_s: float | None
    say: Callable[[str], None]
    children: list[Child] = field(default_factory=list)
    elections: Elections | None = None
    stopping: bool = False
    trader: int = -1
    epoch: int = 0

    async def run(self, duration_s: float | None, tick: Callable[[], None]) -> None:
        """Run until the time is over or somebody asks for the end; `tick` every `LOOK_S`."""
        peers = range(self.folder.made.peers)
        self.elections = Elections([self.folder.log(peer) for peer in peers])
        self.children = [Child(peer) for peer in peers]
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end.set)
        if duration_s is not None:
            loop.call_later(duration_s, end.set)
        watchers = [asyncio.create_task(self._keep(child)) for child in self.children]
        try:
            while not end.is_set():
                self.look()
                tick()
                if all(child.out for child in self.children):
                    break
                try:
                    await asyncio.wait_for(end.wait(), LOOK_S)
                except TimeoutError:
                    continue
        finally:
            self.stopping = True
            await self._stop()
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
            self.look()

    def look(self) -> None:
        """Read the peers' logs; tell of new reigns."""
        assert self.elections is not None
        for election in self.elections.read():
            self.trader, self.epoch = int(election["trader"]), int(election["epoch"])
            self.say(
                f"peer {self.trader} is the trader of epoch {self.epoch} "
                f"({election['reason']}, {election['ms']} ms)"
            )

    async def _keep(self, child: Child) -> None:
        """Start a peer, and start it again when it dies, until the end or for good reason."""
        while not self.stopping:
            code = await self._live(child)
            if self.stopping:
                return
            child.deaths += 1
            if code == DAMAGED:
                child.out = "its volume is damaged or lost"
                self.say(
                    f"peer {child.peer} is not started: {child.out}; "
                    f"{self.folder.log(child.peer)} says what is wrong"
                )
                return
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            if self.restart_after_s is None:
                child.out = how
                self.say(f"peer {child.peer} ended ({how}) and is not started again")
                return
            self.say(
                f"peer {child.peer} ended ({how}); it is started again "
                f"in {self.restart_after_s:g} s"
            )
            await asyncio.sleep(self.restart_after_s)

    async def _live(self, child: Child) -> int:
        settings = self.settings(child.peer)
        log = self.folder.log(child.peer)
        with log.with_suffix(".err").open("ab") as errors:
            child.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bazaar_peer.runtime.process",
                encode_settings(settings),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, "PYTHONSAFEPATH": "1"},
            )
        return await child.process.wait()

    async def _stop(self) -> None:
        """Ask every peer to end now, and make sure that it does."""
        living = [c.process for c in self.children if c.process and c.process.returncode is None]
        for process in living:
            process.send_signal(signal.SIGINT)
        until = time.monotonic() + STOP_S
        for process in living:
            try:
                await asyncio.wait_for(process.wait(), max(0.0, until - time.monotonic()))
            except TimeoutError:
                process.kill()
                await process.wait()

    def pid(self, peer: int) -> int:
        process = self.children[peer].process if self.children else None
        return process.pid if process is not None and process.returncode is None else 0


def check_start(folder: RingFolder) -> list[str]:
    """Return a sentence for each volume that is missing or of another ring (R14).

    A ring goes on without them as long as a majority is whole.
    """
    wrong: list[str] = []
    for peer in range(folder.made.peers):
        if not (folder.volume(peer) / "identity").exists():
            wrong.append(
                f"peer {peer} is not started: its volume {folder.volume(peer)} is lost. An empty "
                "disk must not vote, since it has forgotten what it promised."
            )
    if len(wrong) > (folder.made.peers - 1) // 2:
        raise RingError(
            "a majority of the ring's volumes is lost or damaged, so what was acknowledged may be "
            "lost too and the ring is not started:\n  " + "\n  ".join(wrong)
        )
    return wrong


def totals(folder: RingFolder) -> dict[str, object]:
    """Sum up what the peers' agents counted; latencies in milliseconds."""
    words = dict.fromkeys(("orders", "filled", "unavailable", "failed"), 0)
    buckets: list[int] = []
    sum_us = max_us = 0
    for peer in range(folder.made.peers):
        stats = Stats(folder.stats(peer))
        for word in words:
            words[word] += stats.get(word)
        sum_us += stats.get("sum_us")
        max_us = max(max_us, stats.get("max_us"))
        found = stats.buckets()
        buckets = [a + b for a, b in zip(buckets, found, strict=True)] if buckets else found
        stats.close()
    count = sum(buckets)
    latency = {
        "mean": round(sum_us / count / 1000, 3) if count else None,
        "p50": percentile_us(buckets, 0.5) / 1000 if count else None,
        "p99": percentile_us(buckets, 0.99) / 1000 if count else None,
        "max": max_us / 1000 if count else None,
    }
    return {**words, "latency_ms": latency}


def clear_totals(folder: RingFolder) -> None:
    """Begin to count anew: a summary speaks of one run."""
    for peer in range(folder.made.peers):
        path: Path = folder.stats(peer)
        path.unlink(missing_ok=True)


def summary(supervisor: Supervisor) -> dict[str, object]:
    """Return the one object that `--json` prints."""
    counted = totals(supervisor.folder)
    latency = counted.pop("latency_ms")
    assert supervisor.elections is not None
    return {
        "peers": supervisor.folder.made.peers,
        "trader": supervisor.trader,
        "epoch": supervisor.epoch,
        **counted,
        "elections": supervisor.elections.found,
        "latency_ms": latency,
        "data": str(supervisor.folder.path),
    }


def print_summary(found: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    latency, elections = found["latency_ms"], found["elections"]
    assert isinstance(latency, dict)
    assert isinstance(elections, list)
    sys.stdout.write(
        f"\n{found['orders']} orders: {found['filled']} filled, {found['unavailable']} "
        f"unavailable, {found['failed']} failed\n"
    )
    if latency["mean"] is not None:
        sys.stdout.write(
            f"latency: mean {latency['mean']} ms, p50 {latency['p50']} ms, "
            f"p99 {latency['p99']} ms, max {latency['max']} ms\n"
        )
    for one in elections:
        sys.stdout.write(
            f"epoch {one['epoch']}: peer {one['trader']} after {one['reason']}, {one['ms']} ms\n"
        )
    sys.stdout.write(f"data: {found['data']}\n")
