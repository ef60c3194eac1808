"""How connections between peers begin: plain on one machine, TLS where a ring has certificates.

While TLS is only offered, both come through one port: the first byte of a TLS handshake, 22, is the
first byte of no introduction, whose length is far smaller. Whoever dials tries TLS first, and
speaks plainly with those who know no TLS.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import TypeVar

from bazaar_peer.runtime.certificates import OFFERED, REQUIRED, Certificates
from bazaar_peer.runtime.connections import Accepted, Dialled

log = logging.getLogger("bazaar.transport")

HANDSHAKE_S = 5.0
COMING_MAX = 64
"""Connections whose handshake is not done, at most."""
BACKLOG = 100
PAUSE_S = 0.1
LOOK_S = 2.0
"""So often certificates are looked at."""
HANDSHAKE_BYTE = b"\x16"
P = TypeVar("P", bound=asyncio.Protocol)


class Door:
    """Takes connections, and gives each one that may come in a protocol that `answer` makes."""

    def __init__(
        self,
        answer: Callable[[], asyncio.Protocol],
        certificates: Certificates | None,
        connections: Callable[[], Iterable[Accepted | Dialled]],
        counts: Counter[str],
    ) -> None:
        self._answer, self._certificates = answer, certificates
        self._connections, self._counts = connections, counts
        self._server: asyncio.Server | None = None
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int) -> int:
        """Listen; return the port that was bound."""
        loop, plain = asyncio.get_running_loop(), self._certificates is None
        self._server = await loop.create_server(self._answer, host, port, start_serving=plain)
        for bound in [] if plain else self._server.sockets:
            listener = socket.socket(fileno=os.dup(bound.fileno()))
            listener.setblocking(False)
            listener.listen(BACKLOG)
            self._listeners.append(listener)
            self._spawn(self._take(listener))
        if self._certificates is not None:
            self._spawn(self._renew(self._certificates))
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for listener in self._listeners:
            listener.close()
        if self._server is not None:
            self._server.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                came, _ = await loop.sock_accept(listener)
            except OSError as error:  # out of descriptors, or gone before it was taken
                log.warning("not_accepted", extra={"fields": {"why": repr(error)}})
                await asyncio.sleep(PAUSE_S)
                continue
            if len(self._tasks) > COMING_MAX:
                came.close()
                self._counts["connections_refused"] += 1
                continue
            self._spawn(self._let_in(came))

    async def _let_in(self, came: socket.socket) -> None:
        loop, certificates = asyncio.get_running_loop(), self._certificates
        assert certificates is not None
        try:
            context = certificates.server
            async with asyncio.timeout(HANDSHAKE_S):
                if certificates.mode == OFFERED and not await _begins_handshake(came):
                    context = None
                await loop.connect_accepted_socket(self._answer, came, ssl=context)
        except (OSError, TimeoutError) as error:
            self._counts["connections_refused"] += 1
            why = f"no TLS came of it: {error!r}"
            log.warning("connection refused", extra={"fields": {"why": why}})
            came.close()
        except asyncio.CancelledError:
            came.close()
            raise

    async def _renew(self, certificates: Certificates) -> None:
        """Read certificates when they change; end connections that would be others now."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_S)
            certificates.look()
            certificates.note(connection.shown for connection in self._connections())
            for connection in self._connections():
                plain = connection.shown is None
                if loop.time() > connection.until or (plain and certificates.mode == REQUIRED):
                    connection.abort()


async def dial(
    make: Callable[[], P], host: str, port: int, *, certificates: Certificates | None, ordinal: int
) -> P:
    """Dial an address of the peer of this ordinal.

    Raises:
        OSError: nobody is there, or nobody who shows a certificate of this ring.
    """
    loop = asyncio.get_running_loop()
    if certificates is not None and certificates.client is not None:
        try:
            name = certificates.name_of(ordinal)
            _, connection = await loop.create_connection(
                make, host, port, ssl=certificates.client, server_hostname=name
            )
        except ConnectionRefusedError:
            raise
        except (ssl.SSLError, ConnectionError):
            if certificates.mode != OFFERED:
                raise
        else:
            return connection
    _, connection = await loop.create_connection(make, host, port)
    return connection


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


def _settle(there: asyncio.Future[None]) -> None:
    if not there.done():
        there.set_result(None)
