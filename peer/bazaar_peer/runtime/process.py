"""One peer's process: `python -m bazaar_peer.runtime.process SETTINGS PARENT` (JSON, a process id).

SIGTERM leaves well: hand over, answer what was taken, go (R11). SIGINT ends at once, cleanly: it
is how `bazaar up` ends a whole ring, where there is nobody to hand over to. In a cluster a process
outlives the lives of its peer: who was removed waits, unready, until it is wanted again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from bazaar_peer.agents.agent import Agent
from bazaar_peer.agents.roles import Role
from bazaar_peer.core.effects import Recovered
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.progress import NEAR
from bazaar_peer.core.types import NOBODY, SECOND, PeerId, Settings, ordinal_of, peer_id
from bazaar_peer.market.market import Market
from bazaar_peer.runtime import heap, logs, processes
from bazaar_peer.runtime.certificates import Certificates
from bazaar_peer.runtime.client_port import ClientPort, make_app
from bazaar_peer.runtime.connections import Identity as Speaker
from bazaar_peer.runtime.credential import CERTIFICATES, between_peers
from bazaar_peer.runtime.cut import Cut
from bazaar_peer.runtime.disk import Volume
from bazaar_peer.runtime.driver import EXIT_REMOVED, Core, Driver
from bazaar_peer.runtime.files import DiskError, Locked, VolumeError
from bazaar_peer.runtime.joining import CLUSTER_MAX, NotWanted
from bazaar_peer.runtime.leaving import leave
from bazaar_peer.runtime.opening import opened
from bazaar_peer.runtime.recording import begin_record, tap_of
from bazaar_peer.runtime.set_aside import set_aside
from bazaar_peer.runtime.settings import ProcessSettings, decode_settings
from bazaar_peer.runtime.stats import Stats
from bazaar_peer.runtime.store import VolumeStore
from bazaar_peer.runtime.trading import Trading
from bazaar_peer.runtime.transport import TcpTransport
from bazaar_peer.runtime.volume import locked
from bazaar_peer.runtime.waiting import Waiting
from bazaar_peer.telemetry.telemetry import Telemetry

log = logging.getLogger("bazaar.process")

EXIT_DAMAGED = 65
EXIT_LOCKED = 75
PARENT_LOOK_S = 1.0
CATCH_UP_S, CATCH_UP_LOOK_S = 1.0, 0.01


class Asked:
    """What this process was asked to do, however many lives ago: to end now, or to leave well."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        loop = asyncio.get_running_loop()
        self.now, self.leave = asyncio.Event(), asyncio.Event()
        loop.add_signal_handler(signal.SIGINT, self.now.set)
        loop.add_signal_handler(signal.SIGTERM, self.leave.set)

    def is_any(self) -> bool:
        return self.now.is_set() or self.leave.is_set()

    def waits(self) -> list[asyncio.Task[Any]]:
        """Return tasks of which one is done once the process is to end; caller duty: cancel."""
        loop = asyncio.get_running_loop()
        ends = (self.now.wait(), self.leave.wait(), parent_gone(self._parent))
        return [loop.create_task(end) for end in ends]


class Process:
    """Everything one peer's process is made of."""

    def __init__(
        self,
        settings: ProcessSettings,
        telemetry: Telemetry,
        certificates: Certificates | None,
        volume: Volume,
        recovered: Recovered,
    ) -> None:
        self.settings, self.telemetry = settings, telemetry
        self.certificates = certificates
        self.volume = volume
        self.trading: Trading | None = None
        life = peer_id(settings.me, volume.identity.incarnation)
        own = Settings(
            me=life,
            ring=settings.ring,
            timing=settings.timing,
            election=settings.election,
            preempt=settings.preempt,
            parting=int(settings.linger_s * SECOND),
            checkpoint_entries=settings.checkpoint_entries,
            checkpoint_interval=settings.checkpoint_interval,
        )
        jitter = partial(random.getrandbits, 31)
        self.peer = Peer(own, Market, recovered, jitter, time.monotonic_ns())
        self.transport = TcpTransport(
            self._speaker(life, recovered.hard.boot + 1),
            lambda peer: settings.peer_address(ordinal_of(peer)),
            deliver=lambda sender, messages: self.driver.deliver(sender, messages),  # noqa: PLW0108
            report=lambda event: self.driver.submit(event),  # noqa: PLW0108 (made below)
            knows_over=self.peer.knows_over,
            certificates=certificates,
        )
        meter = telemetry.meter(self.peer, time.monotonic_ns)
        core: Core = self.peer
        self.recorder = begin_record(settings, recovered.hard.boot + 1)
        if self.recorder is not None:
            core = tap = tap_of(self.peer, self.recorder, settings)
            meter.orders = tap.answered
        self.cut = Cut(settings.me, self.transport) if settings.drills else None
        network = self.cut or self.transport
        self.driver = Driver(core, network, VolumeStore(volume), meter=meter)
        replayed = sum(record.last - record.first + 1 for record in recovered.records)
        telemetry.begin(self.peer, time.monotonic_ns, lambda: self.driver.waiting, replayed)

    def _speaker(self, life: PeerId, boot: int) -> Speaker:
        settings = self.settings
        return Speaker(
            ring=settings.ring,
            life=life,
            boot=boot,
            address=settings.own_address,
            made=self.volume.identity.made,
            secret=between_peers(settings.token),
        )

    async def run(self, asked: Asked) -> int:
        """Serve until told to stop; return the exit code."""
        settings = self.settings
        name = self.volume.identity.volume
        kept = (self.telemetry, self.recorder)
        app = make_app(self.driver, self.peer, settings, name, *kept, self.cut)
        if self.certificates is not None:
            app[CERTIFICATES] = self.certificates
        ports = settings.client_port, settings.https_port
        clients = ClientPort(app, self.driver, settings.host, *ports)
        await self.transport.start(settings.host, settings.peer_port)
        heap.freeze()
        self.driver.start()
        if settings.role:
            agent = Agent(
                f"peer-{settings.me}",
                Role(settings.role),
                seed=settings.seed,
                orders_per_s=settings.rate,
                items=settings.items,
            )
            stats = Stats(Path(settings.stats))
            self.trading = Trading(self.peer, self.driver, agent, stats)
        await caught_up(self.peer, lambda: asked.is_any() or self.driver.stopped.done())
        await clients.start()
        log.info("started", extra={"fields": {"pid": os.getpid(), "port": settings.client_port}})
        code = await self._until_end(asked)
        await self.driver.close()
        await self.transport.close()
        await clients.close()
        self.telemetry.end()
        if self.recorder is not None:
            self.recorder.close()
        self.volume.close()
        heap.thaw()
        if code == EXIT_REMOVED:
            self._set_aside()
        return code

    def _set_aside(self) -> None:
        """Make room for the next life; if another process was faster, it is told so, and does."""
        identity = self.volume.identity
        name = f"{identity.incarnation}-{identity.volume or 'first'}"
        with contextlib.suppress(Locked), locked(self.volume.path):
            place = set_aside(self.volume.path, name)
            log.info("set_aside", extra={"fields": {"place": str(place)}})

    async def _until_end(self, asked: Asked) -> int:
        """Wait for a signal, the core's own end, or the parent's death."""
        ends = asked.waits()
        everything: list[asyncio.Future[Any]] = [*ends, self.driver.stopped]
        await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
        if self.trading is not None:
            await self.trading.close()
        if asked.leave.is_set() and not asked.now.is_set():
            own = self.settings
            await leave(self.driver, self.peer, grace_s=own.grace_s, linger_s=own.linger_s)
        for task in ends:
            task.cancel()
        return self.driver.stopped.result() if self.driver.stopped.done() else 0


async def caught_up(peer: Peer, over: Callable[[], bool]) -> None:
    """Let what was committed meanwhile be applied before clients come; not for long.

    Who finds the port closed goes to another peer at once; who found it open would wait here.
    """
    end = time.monotonic() + CATCH_UP_S
    while peer.trader == NOBODY or peer.heard_commit - peer.state.index > NEAR:
        if over() or time.monotonic() > end:
            return
        await asyncio.sleep(CATCH_UP_LOOK_S)


async def parent_gone(parent: int) -> None:
    """Return when the process that started this one is gone: no orphan goes on trading."""
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing tells of a parent's death
        await asyncio.sleep(PARENT_LOOK_S)


async def lives(settings: ProcessSettings, parent: int) -> int:
    """Run one life, in a cluster one after the other; return the exit code."""
    asked = Asked(parent)
    telemetry = Telemetry(settings.items, max(settings.peers, CLUSTER_MAX))
    certificates = certificates_of(settings)
    if certificates is not None:
        telemetry.catalogue.certificate_ends.set_function(lambda: certificates.first_end)
    while True:
        found = await _awaited(settings, asked, telemetry, certificates)
        if found is None:
            return 0
        code = await Process(settings, telemetry, certificates, *found).run(asked)
        if code != EXIT_REMOVED or not settings.in_cluster:
            return code


def certificates_of(settings: ProcessSettings) -> Certificates | None:
    """Return where this peer's certificate lies, if its ring has any; nothing is read yet."""
    if not settings.certificates:
        return None
    folder, key = Path(settings.certificates), Path(settings.key)
    return Certificates(folder, key, settings.me, settings.host_of)


async def _awaited(
    settings: ProcessSettings,
    asked: Asked,
    telemetry: Telemetry,
    certificates: Certificates | None,
) -> tuple[Volume, Recovered] | None:
    """Wait for a volume to run from, or for the end; raises as `opened` does."""
    waiting = Waiting(settings, telemetry, certificates)
    await waiting.start()
    opening = asyncio.get_running_loop().create_task(opened(settings, waiting))
    ends = [*asked.waits(), asyncio.get_running_loop().create_task(waiting.broken.wait())]
    try:
        await asyncio.wait([opening, *ends], return_when=asyncio.FIRST_COMPLETED)
        if waiting.failure is not None:
            raise waiting.failure  # the next start goes on from what is there
        return opening.result() if opening.done() else None
    finally:
        for task in (opening, *ends):
            task.cancel()
        await waiting.close()


async def _run(settings: ProcessSettings, parent: int) -> int:
    """Run all lives; in a cluster the process ends here, with everything closed.

    The loop's own end waits for every name that is still looked up: after the deletion of a whole
    ring, whose names are gone, for longer than the pod's grace period.
    """
    code = await lives(settings, parent)
    if settings.in_cluster:
        logging.shutdown()
        os._exit(code)
    return code


def main(settings: ProcessSettings, parent: int = 0) -> int:
    """Run a peer's process, which `parent` started (0: who is it now); return its exit code."""
    path = Path(settings.log) if settings.log else None
    logs.start(path, settings.me, as_json=settings.log_json, level=settings.log_level)
    try:
        return uvloop.run(_run(settings, parent or os.getppid()))
    except NotWanted as answer:
        log.info("not_wanted", extra={"fields": {"why": str(answer)}})
        return EXIT_REMOVED
    except DiskError as wrong:
        log.critical("not_started", extra={"fields": {"why": str(wrong)}})
        return EXIT_DAMAGED if isinstance(wrong, VolumeError) else EXIT_LOCKED


if __name__ == "__main__":
    told = decode_settings(sys.argv[1])
    processes.name_itself(processes.title_of(told.ring, told.me))
    sys.exit(main(told, int(sys.argv[2])))
