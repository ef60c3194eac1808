"""One peer's process: `python -m bazaar_peer.runtime.process SETTINGS` (one JSON argument).

SIGTERM leaves well: hand over, answer what was taken, go (R11). SIGINT ends at once, cleanly: it
is how `bazaar up` ends a whole ring, where there is nobody to hand over to.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from bazaar_peer.agents.agent import Agent
from bazaar_peer.agents.roles import Role
from bazaar_peer.core.effects import Recovered
from bazaar_peer.core.events import Resign
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.types import Settings, ordinal_of, peer_id
from bazaar_peer.market.market import Market
from bazaar_peer.runtime import logs
from bazaar_peer.runtime.client_port import ClientPort, make_app
from bazaar_peer.runtime.connections import Identity as Speaker
from bazaar_peer.runtime.disk import Volume
from bazaar_peer.runtime.driver import EXIT_REMOVED, Driver
from bazaar_peer.runtime.files import Damaged, DiskFull, Locked, Missing, VolumeError
from bazaar_peer.runtime.joining import NotWanted, join
from bazaar_peer.runtime.log_files import archive_place
from bazaar_peer.runtime.set_aside import finish_setting_aside, set_aside
from bazaar_peer.runtime.settings import ProcessSettings, decode_settings
from bazaar_peer.runtime.stats import Stats
from bazaar_peer.runtime.store import VolumeStore
from bazaar_peer.runtime.trading import Trading
from bazaar_peer.runtime.transport import TcpTransport
from bazaar_peer.runtime.volume import Identity, Layout

log = logging.getLogger("bazaar.process")

EXIT_DAMAGED = 65
EXIT_LOCKED = 75
LOCK_RETRY_S = 0.2
PARENT_LOOK_S = 1.0


def open_volume(settings: ProcessSettings) -> tuple[Volume, Recovered]:
    """Open the volume and read it, waiting for a process that still holds it (K1)."""
    path, told = Path(settings.volume), False
    layout = Layout(reserve_bytes=settings.reserve_bytes)
    while True:
        try:
            finish_setting_aside(path)
            volume = Volume.open(path, Identity(settings.ring, settings.me, 0), layout)
        except Locked as wait:
            if not told:
                log.warning("waiting_for_volume", extra={"fields": {"why": str(wait)}})
            told = True
            time.sleep(LOCK_RETRY_S)
            continue
        if settings.archive:
            volume.archive = archive_of(Path(settings.archive), volume.identity.incarnation)
        try:
            return volume, volume.recover()
        except BaseException:
            volume.close()
            raise


def open_or_join(settings: ProcessSettings) -> tuple[Volume, Recovered]:
    """Open the volume; one that is lost or damaged joins the ring anew, without a vote (R14).

    Raises:
        VolumeError: it is another ring's, or another peer's.
        NotWanted: the ring has no place for this peer.
    """
    try:
        return open_volume(settings)
    except (Missing, Damaged) as lost:
        log.warning("volume_lost", extra={"fields": {"why": str(lost)}})
    others = [settings.client_url(i) for i in range(settings.peers) if i != settings.me]
    uvloop.run(join(Path(settings.volume), settings.ring, settings.me, others))
    return open_volume(settings)


def archive_of(folder: Path, incarnation: int) -> Path:
    """Return where a life archives its segments: each counts them from 1 on."""
    place = archive_place(folder, incarnation)
    place.mkdir(parents=True, exist_ok=True)
    return place


class Process:
    """Everything one peer's process is made of."""

    def __init__(self, settings: ProcessSettings, volume: Volume, recovered: Recovered) -> None:
        self.settings = settings
        self.volume = volume
        self.trading: Trading | None = None
        life = peer_id(settings.me, volume.identity.incarnation)
        core = Settings(
            me=life,
            ring=settings.ring,
            timing=settings.timing,
            election=settings.election,
            checkpoint_entries=settings.checkpoint_entries,
        )
        jitter = partial(random.getrandbits, 31)
        self.peer = Peer(core, Market, recovered, jitter, time.monotonic_ns())
        speaker = Speaker(
            ring=settings.ring,
            life=life,
            boot=recovered.hard.boot + 1,
            address=settings.peer_address(settings.me),
        )
        self.transport = TcpTransport(
            speaker,
            lambda peer: settings.peer_address(ordinal_of(peer)),
            deliver=lambda sender, messages: self.driver.deliver(sender, messages),  # noqa: PLW0108
            report=lambda event: self.driver.submit(event),  # noqa: PLW0108 (made below)
        )
        self.driver = Driver(self.peer, self.transport, VolumeStore(volume))

    async def run(self) -> int:
        """Serve until told to stop; return the exit code."""
        settings = self.settings
        app = make_app(self.driver, self.peer, settings)
        clients = ClientPort(app, self.driver, settings.host, settings.client_port)
        await clients.start()
        host, _, port = settings.peer_address(settings.me).rpartition(":")
        await self.transport.start(host, int(port))
        self.driver.start()
        if settings.role:
            agent = Agent(
                f"peer-{settings.me}",
                Role(settings.role),
                seed=settings.seed,
                orders_per_s=settings.rate,
            )
            stats = Stats(Path(settings.stats))
            self.trading = Trading(self.peer, self.driver, agent, stats)
        log.info("started", extra={"fields": {"pid": os.getpid(), "port": settings.client_port}})
        code = await self._until_end()
        await self.driver.close()
        await self.transport.close()
        await clients.close()
        self.volume.close()
        if code == EXIT_REMOVED:
            identity = self.volume.identity
            name = f"{identity.incarnation}-{identity.volume or 'first'}"
            place = set_aside(self.volume.path, name)
            log.info("set_aside", extra={"fields": {"place": str(place)}})
        return code

    async def _until_end(self) -> int:
        """Wait for a signal, the core's own end, or the parent's death."""
        loop = asyncio.get_running_loop()
        now, leave = asyncio.Event(), asyncio.Event()
        loop.add_signal_handler(signal.SIGINT, now.set)
        loop.add_signal_handler(signal.SIGTERM, leave.set)
        orphaned = loop.create_task(_parent_gone())
        ends = [loop.create_task(now.wait()), loop.create_task(leave.wait()), orphaned]
        everything: list[asyncio.Future[Any]] = [*ends, self.driver.stopped]
        await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
        if self.trading is not None:
            await self.trading.close()
        if leave.is_set() and not now.is_set():
            await self._leave()
        for task in ends:
            task.cancel()
        return self.driver.stopped.result() if self.driver.stopped.done() else 0

    async def _leave(self) -> None:
        """Hand over, answer what was taken, serve on for a while, and go (R11, K1)."""
        began = time.monotonic()
        self.driver.submit(Resign(leaving=True))
        await asyncio.wait([self.driver.stopped], timeout=self.settings.grace_s)
        left = self.settings.linger_s - (time.monotonic() - began)
        await asyncio.sleep(max(0.0, left))


async def _parent_gone() -> None:
    """Return when the process that started this one is gone: no orphan goes on trading."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing tells of a parent's death
        await asyncio.sleep(PARENT_LOOK_S)


def main() -> int:
    settings = decode_settings(sys.argv[1])
    if settings.log:
        logs.to_file(
            Path(settings.log), settings.me, as_json=settings.log_json, level=settings.log_level
        )
    try:
        volume, recovered = open_or_join(settings)

        async def serve() -> int:
            return await Process(settings, volume, recovered).run()

        return uvloop.run(serve())
    except NotWanted as answer:
        log.info("not_wanted", extra={"fields": {"why": str(answer)}})
        return EXIT_REMOVED
    except (VolumeError, DiskFull) as wrong:
        log.critical("not_started", extra={"fields": {"why": str(wrong)}})
        return EXIT_DAMAGED if isinstance(wrong, VolumeError) else EXIT_LOCKED


if __name__ == "__main__":
    sys.exit(main())
