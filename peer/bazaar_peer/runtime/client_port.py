"""The port that clients talk to: the aiohttp application behind limits that aiohttp has not.

Connections are limited, those beyond get a 503 at once; headers and bodies must come in time;
every error is a problem. R13 c is kept here: what lay unread in a socket for long is never looked
up. After a stall all connections close and the listening socket, queue included, is made anew; a
request that waited behind slow ones on its own connection is dropped with that connection.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bazaar_peer.core.types import ordinal_of
from bazaar_peer.page.pages import Pages, preflight, shared
from bazaar_peer.runtime.api import Commands, Handler, routes
from bazaar_peer.runtime.api_backup import BackupView
from bazaar_peer.runtime.api_events import Events
from bazaar_peer.runtime.api_log import LogView
from bazaar_peer.runtime.api_peer import PeerView
from bazaar_peer.runtime.api_reads import Reads
from bazaar_peer.runtime.api_record import RecordView
from bazaar_peer.runtime.api_ring import RingView
from bazaar_peer.runtime.api_session import Sessions
from bazaar_peer.runtime.bodies import BATCH_BODY_MAX_BYTES
from bazaar_peer.runtime.browsers import CHECK, checked, own_pages_only
from bazaar_peer.runtime.client_connection import Connection, Pipelining, Refused
from bazaar_peer.runtime.credential import CERTIFICATES, TOKEN
from bazaar_peer.runtime.cut import Cut
from bazaar_peer.runtime.entrance import Entrance, https_entrance
from bazaar_peer.runtime.faults import Faults
from bazaar_peer.runtime.openapi import document
from bazaar_peer.runtime.pause import Pause
from bazaar_peer.runtime.problems import Problem
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bazaar_peer.core.peer import Peer
    from bazaar_peer.record.recorder import Recorder
    from bazaar_peer.runtime.driver import Driver

log = logging.getLogger("bazaar.api")

CONNECTIONS_MAX = 4096
IDLE_S = 60.0
"""A connection without a whole request for so long is closed: idle, or slow with its headers."""
BACKLOG = 1024
PAGE_USES = {
    "/v1/orders",
    "/v1/story",
    "/v1/ring",
    "/v1/stock",
    "/v1/members",
    "/v1/resign",
    "/v1/faults",
}
"""What a page goes on asking of other peers when the one that served it is gone."""
PAGE_ORIGINS_MIN = 16
"""A page that is open while the ring grows reaches the new peers, too."""
AGAIN_S = 0.05
SHUTDOWN_S = 2.0
"""Open streams end then; a pod's grace period is not theirs."""


def make_app(
    driver: Driver,
    peer: Peer,
    settings: ProcessSettings,
    volume: str = "",
    telemetry: Telemetry | None = None,
    recorder: Recorder | None = None,
    cut: Cut | None = None,
) -> web.Application:
    """Build the application: every path of openapi.py, those for drills only with a `cut`.

    `volume`: the own volume's name; `cut`: there where the process may be drilled.
    """
    commands, events = Commands(driver, peer, settings.ring), Events(peer)
    record = RecordView(peer, settings, recorder)
    origins = partial(_origins, peer, settings)

    async def watching(_app: web.Application) -> AsyncIterator[None]:
        driver.observers.append(events.note)
        watch = asyncio.get_running_loop().create_task(events.watch())
        yield
        watch.cancel()

    app = web.Application(client_max_size=BATCH_BODY_MAX_BYTES)
    app[TOKEN] = settings.token
    handlers: list[tuple[str, str, Handler]] = [
        *routes(commands),
        *Reads(driver, peer, settings, commands).routes(),
        *RingView(driver, peer, settings, commands).routes(),
        *LogView(peer, settings).routes(),
        *PeerView(peer, settings, volume).routes(),
        *BackupView(peer, commands).routes(),
        *record.routes(),
        ("GET", "/v1/events", events.get),
        ("GET", "/v1/session", Sessions(commands).get),
        ("GET", "/openapi.json", partial(_openapi, document())),
        ("GET", "/metrics", (telemetry or Telemetry()).get),
        *Pages(origins).routes(),
        *(_drilling(Faults(peer, settings, recorder, cut), cut, settings) if cut else []),
    ]
    app[CHECK] = check = own_pages_only(settings, origins)
    for method, path, handler in handlers:
        if path in PAGE_USES:
            app.router.add_route("OPTIONS", path, checked(check, preflight(origins)))
            handler = shared(handler, origins)  # noqa: PLW2901 - the same one, for pages too
        app.router.add_route(method, path, checked(check, handler), expect_handler=_expect)
    app.cleanup_ctx.append(watching)
    app.cleanup_ctx.append(record.telling)
    return app


def _drilling(
    faults: Faults, cut: Cut, settings: ProcessSettings
) -> list[tuple[str, str, Handler]]:
    hurting = faults.routes() if settings.hurts else []
    return [*cut.routes(), *Pause(faults.note).routes(), *hurting]


async def _openapi(described: bytes, _request: web.Request) -> web.Response:
    return web.Response(body=described, headers={"Content-Type": "application/json"})


def _origins(peer: Peer, settings: ProcessSettings) -> list[str]:
    """Where the page may connect to: all peers there are, and those there may be soon."""
    known = [ordinal_of(member.id) for member in peer.members.members]
    urls = [settings.client_url(i) for i in range(max([*known, PAGE_ORIGINS_MIN - 1]) + 1)]
    return urls + [url.replace("//127.0.0.1:", "//localhost:") for url in urls if "//127." in url]


async def _expect(request: web.Request) -> None:
    if request.headers["Expect"].lower() != "100-continue":
        raise Problem(417, "Expect should be 100-continue, or nothing")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0


class ClientPort:
    """Serves an application at one address, until `close`."""

    def __init__(
        self,
        app: web.Application,
        driver: Driver,
        host: str,
        port: int,
        https_port: int = 0,
    ) -> None:
        self.host, self.port, self.https_port = host, port, https_port
        self.stalls = 0
        self.check = app[CHECK]
        self._driver = driver
        self._options: dict[str, Any] = {
            "access_log": log,
            "access_log_class": Pipelining,
            "keepalive_timeout": IDLE_S,
            "lingering_time": 1.0,
            "auto_decompress": False,
        }
        self._runner = web.AppRunner(
            app, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S, **self._options
        )
        self._listening: asyncio.Server | None = None
        self._https: Entrance | None = None
        if (certificates := app.get(CERTIFICATES)) is not None:
            self._https = https_entrance(lambda: self._connection(own=1), certificates)
        self._reopening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._runner.setup()
        await self._listen()
        self._driver.on_stall = self._stalled

    async def close(self) -> None:
        self._driver.on_stall = lambda: None
        if self._reopening is not None:
            self._reopening.cancel()
        self._take_nobody()
        await self._runner.cleanup()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(
            self._connection, self.host, self.port, backlog=BACKLOG, reuse_address=True
        )
        self.port = self._listening.sockets[0].getsockname()[1]
        if self._https is not None:
            await self._https.open(self.host, self.https_port)

    def _take_nobody(self) -> None:
        if self._listening is not None:
            self._listening.close()
        if self._https is not None:
            self._https.close()

    def _connection(self, own: int = 0) -> asyncio.Protocol:
        """Make one; `own`: it is itself among those that are still coming."""
        server = self._runner.server
        assert server is not None
        coming = self._https.coming - own if self._https is not None else 0
        there = len(server._connections)  # noqa: SLF001 - `connections` copies them
        if there + coming >= CONNECTIONS_MAX:
            self._driver.meter.refused("connections")
            return Refused()
        return Connection(self, server, **self._options)

    def _stalled(self) -> None:
        """R13 c: whatever lies in the sockets and in the listen queue is not read any more."""
        server = self._runner.server
        assert server is not None
        self.stalls += 1
        for connection in server.connections:
            connection.force_close()
        self._take_nobody()
        if self._reopening is not None:
            self._reopening.cancel()
        self._reopening = asyncio.get_running_loop().create_task(self._reopen())

    async def _reopen(self) -> None:
        while True:
            try:
                await self._listen()
            except OSError:
                self._take_nobody()  # one of the two may be open
                await asyncio.sleep(AGAIN_S)
            else:
                return
