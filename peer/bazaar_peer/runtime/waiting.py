"""What a peer serves while it has no life in its ring: alive, not ready, and why (K1, R14).

Only a pod serves it: on one machine a process that waits for its volume has its port's owner to
wait for, too. An empty volume is formatted by who made the ring, who names it: nobody else knows
that nothing was promised under its name before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from bazaar_peer import __version__
from bazaar_peer.core.types import ORIGIN, Position
from bazaar_peer.runtime.api_peer import FORMATTED
from bazaar_peer.runtime.bodies import BODY_MAX_BYTES, Formatting, body_of
from bazaar_peer.runtime.certificates import Certificates
from bazaar_peer.runtime.credential import CERTIFICATES, TOKEN, authorize_admin
from bazaar_peer.runtime.entrance import Entrance, https_entrance
from bazaar_peer.runtime.files import DiskFull, StoreFailed, VolumeError
from bazaar_peer.runtime.genesis import genesis
from bazaar_peer.runtime.problems import Problem, from_http
from bazaar_peer.runtime.restoring import AWAITING, FIRST, GIVEN, begin_with_backup, take
from bazaar_peer.runtime.set_aside import FOLDER
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.volume import Identity, format_volume, holds_data
from bazaar_peer.telemetry.telemetry import Telemetry

log = logging.getLogger("bazaar.waiting")

SHUTDOWN_S = 1.0
_formatting = msgspec.json.Decoder(Formatting)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Waiting:
    """`tell` what the peer waits for; `formatted` is set once the volume was formatted."""

    def __init__(
        self,
        settings: ProcessSettings,
        telemetry: Telemetry | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        self.settings, self.telemetry = settings, telemetry or Telemetry()
        self.certificates = certificates
        self.state, self.why, self.volume, self.found = "starting", "its volume is read", "", ""
        self.last = ORIGIN
        self.formatted = asyncio.Event()
        self.broken = asyncio.Event()
        """The disk failed in a format, as `failure` says: the process ends (R7)."""
        self.failure: StoreFailed | None = None
        self._coming = asyncio.Lock()
        self._forming: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None
        self._https: Entrance | None = None
        self._renewing: asyncio.Task[None] | None = None

    def tell(
        self,
        state: str,
        why: str,
        *,
        volume: str = "",
        found: str = "",
        last: Position = ORIGIN,
    ) -> None:
        """Say what the peer waits for: once in the log, and to everybody who asks.

        `found`, `last`: which other ring's volume lies there, and where its journal ends.
        """
        if (state, why) != (self.state, self.why):
            log.warning("waits", extra={"fields": {"state": state, "why": why}})
            if state == "full":
                self.telemetry.catalogue.full.labels("start").inc()
        self.state, self.why, self.volume, self.found = state, why, volume, found
        self.last = last

    async def start(self) -> None:
        """Serve at the client port, in a cluster."""
        if not self.settings.in_cluster:
            return
        app = web.Application(middlewares=[_problems], client_max_size=BODY_MAX_BYTES)
        app[TOKEN] = self.settings.token
        if self.certificates is not None:
            app[CERTIFICATES] = self.certificates
        app.router.add_get("/healthz", self._alive)
        app.router.add_get("/metrics", self.telemetry.get)
        app.router.add_get("/v1/peer", self._peer)
        app.router.add_post("/v1/format", self._format)
        app.router.add_put("/v1/backup", self._backup)
        app.router.add_route("*", "/{anything:.*}", self._not_ready)
        self._runner = web.AppRunner(
            app, access_log=None, lingering_time=0.0, shutdown_timeout=SHUTDOWN_S
        )
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, self.settings.host, self.settings.client_port, reuse_address=True
        )
        await site.start()
        if (certificates := self.certificates) is not None:
            server = self._runner.server
            assert server is not None
            self._https = https_entrance(server, certificates)
            await self._https.open(self.settings.host, self.settings.https_port)
            self._renewing = asyncio.get_running_loop().create_task(certificates.renew())

    async def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        if self._https is not None:
            self._https.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _alive(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _not_ready(self, _request: web.Request) -> web.Response:
        raise Problem(503, f"this peer does not trade yet: {self.why}")

    async def _peer(self, _request: web.Request) -> web.Response:
        told: dict[str, Any] = {
            "state": self.state,
            "why": self.why,
            "ring": self.settings.ring,
            "ordinal": self.settings.me,
            "volume": self.volume,
            "release": __version__,
        }
        if self.certificates is not None:
            told["tls"] = self.certificates.told()
        if self.found:
            epoch, index = self.last
            told |= {"found": self.found, "last_epoch": epoch, "last_index": index}
        return web.json_response(told)

    async def _format(self, request: web.Request) -> web.Response:
        """Make this empty volume a first one of its ring, if it is exactly the one meant (R14)."""
        authorize_admin(request)
        meant = await body_of(request, _formatting)
        settings, path = self.settings, Path(self.settings.volume)
        if (meant.ring, meant.ordinal) != (settings.ring, settings.me):
            raise Problem(
                409, f"this is peer {settings.me} of ring {settings.ring}, not the one meant"
            )
        if settings.me >= settings.peers:
            raise Problem(409, f"the ring begins with {settings.peers} peers: this one joins later")
        if self.formatted.is_set() and meant.volume == self.volume:
            return web.json_response(FORMATTED)
        if self.state != "empty" or meant.volume != self.volume:
            raise Problem(409, f"volume {meant.volume} is not here, or not empty: {self.why}")
        if meant.restores != settings.restores:
            raise Problem(409, "the ring is to begin otherwise than this peer's settings say")
        if settings.restores and settings.me != FIRST:
            raise Problem(409, f"peer {FIRST} makes the ring of a backup: this one joins it")
        if self._coming.locked():
            raise Problem(429, "it is being given a backup just now")
        if self._forming is None:
            if settings.former or holds_data(path) or (path / FOLDER).exists():
                raise Problem(409, "this volume, or its ring, has a history: it joins as a learner")
            self._forming = asyncio.get_running_loop().create_task(self._form(path, meant.volume))
        try:
            await asyncio.shield(self._forming)
        except DiskFull as full:
            raise Problem(507, f"the volume is full ({full}): make room on it") from full
        except VolumeError as wrong:
            raise Problem(409, str(wrong)) from wrong
        except StoreFailed as failed:
            raise Problem(500, f"{failed}: this peer starts anew") from failed
        return web.json_response(FORMATTED)

    async def _form(self, path: Path, volume: str) -> None:
        """Format the volume, in a thread: a backup may be large, and probes are answered."""
        settings = self.settings
        try:
            await asyncio.to_thread(_begin, settings, path, volume)
        except (DiskFull, VolumeError, Problem) as wrong:
            self.tell("empty", f"it cannot begin: {wrong}", volume=self.volume)
            raise
        except Exception as wrong:  # whatever lies there now, the next start goes on from it
            failed = wrong if isinstance(wrong, StoreFailed) else StoreFailed(repr(wrong))
            self.failure = failed
            self.broken.set()
            raise failed from wrong
        finally:
            self._forming = None
        log.info("formatted", extra={"fields": {"ring": settings.ring, "volume": volume}})
        self.formatted.set()

    async def settled(self) -> None:
        """Wait until no format is under way: whoever has the volume's lock keeps it until then."""
        if self._forming is not None:
            await asyncio.wait([self._forming])

    async def _backup(self, request: web.Request) -> web.Response:
        """Take the backup that the ring begins with, once; a repeat does no harm."""
        authorize_admin(request)
        if self._coming.locked():
            raise Problem(429, "it is being given a backup just now: wait for that")
        async with self._coming:
            begins = self._forming is not None or self.formatted.is_set()
            if self.state not in {AWAITING, "empty"} or begins:
                raise Problem(409, f"this peer waits for no backup: {self.why}")
            told = await take(request, self.settings)
            self.tell("empty", GIVEN, volume=self.volume)
        return web.json_response(told)


def _begin(settings: ProcessSettings, path: Path, volume: str) -> None:
    if settings.restores:
        begin_with_backup(settings, volume)
        return
    first = genesis(settings.ring, settings.peers, settings.commission_bp)
    format_volume(path, Identity(settings.ring, settings.me, 0, volume), first)


@web.middleware
async def _problems(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except web.HTTPException as error:
        return from_http(error)
