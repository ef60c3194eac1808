"""Takes connections whose handshake comes first: so many at once, and each within its time.

What a connection is for begins behind it: whoever got in is given a protocol of its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable
from functools import partial

from bazaar_peer.runtime.certificates import Certificates

log = logging.getLogger("bazaar.entrance")

HANDSHAKE_S = 5.0
SHUTDOWN_S = 1.0
"""Who does not take part in the end of a connection is not waited for."""
CLIENTS_MAX = 1024
"""Clients in the middle of their handshakes."""
BACKLOG = 100
PAUSE_S = 0.1
HANDSHAKE_BYTE = b"\x16"


class Entrance:
    """One address at which connections are taken, from `open` to `close`, which may come again.

    `context`: by what the next one is taken; None: by nothing, it is closed. `coming_max`: so many
    may be in the middle of their handshakes. `plain`: whether one that begins otherwise than a
    handshake may come in as it is. `refused`: told of each that does not get in, and why.
    """

    def __init__(
        self,
        answer: Callable[[], asyncio.Protocol],
        context: Callable[[], ssl.SSLContext | None],
        *,
        coming_max: int,
        refused: Callable[[str], None],
        plain: Callable[[], bool] = lambda: False,
    ) -> None:
        self._answer, self._context = answer, context
        self._coming_max, self._plain, self._refused = coming_max, plain, refused
        self._bound: asyncio.Server | None = None
        self._listeners: list[socket.socket] = []
        self._takers: set[asyncio.Task[None]] = set()
        self._coming: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int) -> int:
        """Listen; return the port that was bound. Raises OSError, and is closed then."""
        loop = asyncio.get_running_loop()
        self._bound = await loop.create_server(self._answer, host, port, start_serving=False)
        try:
            for bound in self._bound.sockets:
                listener = socket.socket(fileno=os.dup(bound.fileno()))
                self._listeners.append(listener)
                listener.setblocking(False)
                listener.listen(BACKLOG)
                self._takers.add(loop.create_task(self._take(listener)))
        except OSError:
            self.close()
            raise
        return int(self._bound.sockets[0].getsockname()[1])

    @property
    def coming(self) -> int:
        """How many are in the middle of their handshakes."""
        return len(self._coming)

    def close(self) -> None:
        """Take nobody any more; who is in stays."""
        for task in [*self._takers, *self._coming]:
            task.cancel()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        self._takers.clear()
        if self._bound is not None:
            self._bound.close()

    async def _take(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                came, _ = await loop.sock_accept(listener)
            except OSError as error:  # out of descriptors, or gone before it was taken
                log.warning("not_accepted", extra={"fields": {"why": repr(error)}})
                await asyncio.sleep(PAUSE_S)
                continue
            if len(self._coming) >= self._coming_max:
                came.close()
                self._refused("too many come at once")
                continue
            task = loop.create_task(self._let_in(came))
            self._coming.add(task)
            task.add_done_callback(self._coming.discard)
            # A task that is cancelled before its first step closes nothing itself.
            task.add_done_callback(partial(_close_if_cancelled, came))

    async def _let_in(self, came: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            context = self._context()
            async with asyncio.timeout(HANDSHAKE_S):
                if self._plain() and not await _begins_handshake(came):
                    context = None
                elif context is None:
                    raise ConnectionError("nothing is there to take it by")
                shutdown_s = SHUTDOWN_S if context else None
                await loop.connect_accepted_socket(
                    self._answer, came, ssl=context, ssl_shutdown_timeout=shutdown_s
                )
        except (OSError, TimeoutError) as error:
            came.close()
            self._refused(f"no TLS came of it: {error!r}")


def https_entrance(answer: Callable[[], asyncio.Protocol], certificates: Certificates) -> Entrance:
    """Return that of clients, who may be anybody: what does not get in is not worth a warning."""

    def refused(why: str) -> None:
        log.debug("connection refused", extra={"fields": {"why": why}})

    return Entrance(
        answer, lambda: certificates.for_clients, coming_max=CLIENTS_MAX, refused=refused
    )


async def _begins_handshake(came: socket.socket) -> bool:
    """Look at the first byte without taking it."""
    loop = asyncio.get_running_loop()
    there: asyncio.Future[None] = loop.create_future()
    loop.add_reader(came, _settle, there)
    try:
        await there
    finally:
        loop.remove_reader(came)
    return came.recv(1, socket.MSG_PEEK) == HANDSHAKE_BYTE


def _close_if_cancelled(came: socket.socket, task: asyncio.Task[None]) -> None:
    if task.cancelled():
        came.close()


def _settle(there: asyncio.Future[None]) -> None:
    if not there.done():
        there.set_result(None)
