"""`bazaar up`: a whole ring on this machine, real processes on real disks, watched and restarted.

The supervisor is no part of the protocol: it starts peers, sees them die, starts them again, and
tells what the peers' own logs and counters say.
"""

from __future__ import annotations

import asyncio
import math
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bazaar_peer.command.elections import Elections
from bazaar_peer.command.nursery import Forked, Nursery, alone
from bazaar_peer.command.ring_folder import RingError, RingFolder
from bazaar_peer.record.recorder import note_fault
from bazaar_peer.runtime.driver import EXIT_REMOVED
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.stats import Stats

STOP_S = 10.0
"""A peer that has not ended by then after it was asked to is killed."""
LOOK_S = 0.1
DAMAGED = 65
"""Exit code of a peer that may not start from its volume (EX_DATAERR)."""
NOT_STARTED = 71
"""The same of one that the system refused a process (EX_OSERR)."""
ASK_S = 0.2
"""Between two looks at the size that the ring wishes for, at one peer after the other."""
LEFT_S = 1.0
QUIET_S = 0.25
"""Behind a death, while the others elect."""
TRADERLESS_S = 30.0
"""So much later than asked a run for a time ends in any case, if the ring elects nobody."""

GONE = "it has left the ring"


@dataclass
class Child:
    """One peer's process, through all its lives."""

    peer: int
    process: Forked | Process | None = None
    deaths: int = 0
    out: str = ""
    """Why this peer is not started again, if it is not."""
    keeper: asyncio.Task[None] | None = None


@dataclass
class Supervisor:
    """The processes of one ring; `say` gets sentences for people."""

    folder: RingFolder
    settings: Callable[[int], ProcessSettings]
    restart_after_s: float | None
    say: Callable[[str], None]
    nursery: Nursery | None = None
    """Where peers are forked from; none: each is a program of its own."""
    children: dict[int, Child] = field(default_factory=dict)
    size: int = 0
    """So many peers the ring wishes for, as far as is known here."""
    generation: int = -1
    """Of the newest wish that was seen."""
    elections: Elections | None = None
    stopping: bool = False
    trader: int = -1
    epoch: int = 0

    async def run(self, duration_s: float | None, tick: Callable[[], None]) -> None:
        """Run until the time is over or somebody asks for the end; `tick` every `LOOK_S`.

        The time begins with the first trader: on a slow machine a peer starts for seconds.
        """
        self.size = self.folder.size()
        self.elections = Elections([self.folder.log(peer) for peer in range(self.size)])
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end.set)
        time_s = math.inf if duration_s is None else duration_s
        ends_at = loop.time() + TRADERLESS_S + time_s
        self._start_all()
        follower = loop.create_task(self._follow_size())
        try:
            while not end.is_set() and loop.time() < ends_at:
                waits = not self.epoch
                self.look()
                if waits and self.epoch:
                    ends_at = loop.time() + time_s
                tick()
                if all(child.out for child in self.children.values()):
                    break
                try:
                    await asyncio.wait_for(end.wait(), LOOK_S)
                except TimeoutError:
                    continue
        finally:
            self.stopping = True
            follower.cancel()
            await self._stop()
            watchers = [child.keeper for child in self.children.values() if child.keeper]
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(follower, *watchers, return_exceptions=True)
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

    def _start_all(self) -> None:
        """See that each peer of the wished size has a process, or had one for good reason."""
        for peer in range(self.size):
            child = self.children.get(peer)
            if child is None or child.out == GONE:
                # Made before its process maps it: two that make a file at once cut it off.
                Stats(self.folder.stats(peer)).close()
                child = self.children[peer] = Child(peer)
                child.keeper = asyncio.get_running_loop().create_task(self._keep(child))
                assert self.elections is not None
                self.elections.add(self.folder.log(peer))

    async def _follow_size(self) -> None:
        """Learn from the ring how many peers it wishes for, and start those that are missing."""
        timeout = aiohttp.ClientTimeout(total=2 * ASK_S)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while True:
                for peer in list(self.children):  # one at a time: it costs the ring little
                    await asyncio.sleep(ASK_S)
                    await self._ask_size(http, self.settings(peer))

    async def _ask_size(self, http: aiohttp.ClientSession, peer: ProcessSettings) -> None:
        try:
            async with http.get(peer.client_url(peer.me) + "/v1/ring") as answer:
                found = await answer.json()
                size, generation = int(found["size"]), int(found["generation"])
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
            return
        if generation > self.generation and size:
            self.generation = generation
            if size != self.size:
                self.say(f"the ring is to have {size} peers, not {self.size}")
                self.size = size
                self.folder.note_size(size)
            self._start_all()

    async def _keep(self, child: Child) -> None:
        """Start a peer, and start it again when it dies, until the end or for good reason."""
        while not self.stopping:
            code = await self._live(child)
            if self.stopping:
                return
            child.deaths += 1
            died_at = time.monotonic_ns()
            if code == EXIT_REMOVED:
                await asyncio.sleep(LEFT_S)  # the size that it left for may be known by then
                if child.peer >= self.size:
                    child.out = GONE
                    self.say(f"peer {child.peer} has left the ring; its volume is set aside")
                    return
            if code == DAMAGED:
                child.out = "its volume is of another ring"
                self.say(
                    f"peer {child.peer} is not started: {child.out}; "
                    f"{self.folder.log(child.peer)} says what is wrong"
                )
                return
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            again_s = self.restart_after_s
            if again_s is None:
                child.out = how
                self.say(f"peer {child.peer} ended ({how}) and is not started again")
            else:
                self.say(f"peer {child.peer} ended ({how}); it is started again in {again_s:g} s")
            quiet_s = QUIET_S if again_s is None else min(again_s, QUIET_S)
            if code < 0:
                await self._note_death(child.peer, died_at, quiet_s)
            if again_s is None:
                return
            await asyncio.sleep(again_s - (quiet_s if code < 0 else 0.0))

    async def _note_death(self, peer: int, died_at: int, quiet_s: float) -> None:
        """Note it behind the election that it caused: to open a record takes a core some ms."""
        try:
            await asyncio.sleep(quiet_s)
        finally:
            if not self._is_noted(peer):
                note_fault(self.folder.volume(peer), died_at, "killed")

    def _is_noted(self, peer: int) -> bool:
        """Tell whether a peer that has ended was killed by another one, which has noted it."""
        self.look()
        assert self.elections is not None
        killed = self.elections.killed
        found = peer in killed
        killed.discard(peer)
        return found

    async def _live(self, child: Child) -> int:
        settings = self.settings(child.peer)
        log = self.folder.log(child.peer)
        try:
            child.process = await self._started(settings, log.with_suffix(".err"))
        except OSError as error:
            self.say(f"peer {child.peer} cannot be started now: {error}")
            return NOT_STARTED
        return await child.process.wait()

    async def _started(self, settings: ProcessSettings, errors: Path) -> Forked | Process:
        if self.nursery is not None:
            try:
                return await self.nursery.start(settings, errors)
            except ConnectionError:
                self.nursery = None
                self.say("the process that forks peers is gone: they take longer to start now")
        return await alone(settings, errors)

    async def _stop(self) -> None:
        """Ask every peer to end now, and make sure that it does."""
        processes = [child.process for child in self.children.values()]
        living = [p for p in processes if p is not None and p.returncode is None]
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
        process = self.children[peer].process if peer in self.children else None
        return process.pid if process is not None and process.returncode is None else 0


def check_start(folder: RingFolder) -> list[str]:
    """Return a sentence for each volume that is lost (R14).

    A ring goes on without them as long as a majority is whole, and takes them back as learners.
    """
    wrong: list[str] = []
    size = folder.size()
    for peer in range(size):
        if not (folder.volume(peer) / "identity").exists():
            wrong.append(
                f"peer {peer}: its volume {folder.volume(peer)} is lost. An empty disk must not "
                "vote, since it has forgotten what it promised: it copies the state first."
            )
    if len(wrong) > (size - 1) // 2:
        raise RingError(
            "a majority of the ring's volumes is lost, so what was acknowledged may be lost too "
            "and the ring is not started:\n  " + "\n  ".join(wrong) + "\n`bazaar recover "
            f"{folder.path}` says what the volumes that are left hold, and makes a new ring of it."
        )
    return wrong
