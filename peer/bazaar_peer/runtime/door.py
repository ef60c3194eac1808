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
from functools import partial

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
DOUBT_S = 30.0
"""Who speaks plainly with somebody who should know TLS tries that again after so long."""
HANDSHAKE_BYTE = b"\x16"


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

    @property
    def is_open(self) -> bool:
        """Whether it was opened; it stays so when it is closed."""
        return self._server is not None

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

    def _spawn(
        self,
        work: Coroutine[None, None, None],
        done: Callable[[asyncio.Task[None]], None] = lambda _: None,
    ) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(done)

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
            # A task that is cancelled before its first step closes nothing itself.
            self._spawn(self._let_in(came), partial(_close_if_cancelled, came))

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

    async def _renew(self, certificates: Certificates) -> None:
        """Read certificates when they change; end connections that would be others now."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                certificates.look()
            except Exception:  # a bug, and no reason to keep what has ended
                log.exception("certificates")
            certificates.note(connection.shown for connection in self._connections())
            for connection in self._connections():
                plain = connection.shown is None
                if loop.time() > connection.until or (plain and certificates.mode == REQUIRED):
                    connection.abort()


async def dial(
    make: Callable[[], Dialled],
    host: str,
    port: int,
    *,
    certificates: Certificates | None,
    ordinal: int,
) -> Dialled | None:
    """Dial an address of the peer of this ordinal; None: nobody welcomed this one there.

    Raises:
        OSError: nobody is there, or nobody who shows a certificate of this ring.
    """
    if certificates is None or certificates.client is None:
        return await _welcomed(make, host, port)
    name, why = certificates.name_of(ordinal), ""
    try:
        found = await _welcomed(make, host, port, certificates.client, name)
    except ConnectionRefusedError:
        raise
    except (ssl.SSLError, ConnectionError) as error:
        if isinstance(error, ssl.SSLCertVerificationError):
            why = f"the certificate of peer {ordinal}: {error.verify_message}"
        if certificates.mode != OFFERED:
            if why:
                certificates.doubt(ordinal, why)
            raise
    else:
        if found is not None:
            certificates.doubt(ordinal, "")
        if found is not None or certificates.mode != OFFERED:
            return found
        why = f"peer {ordinal} does not let this one in by TLS"
    found = await _welcomed(make, host, port)
    if found is not None and why:
        certificates.doubt(ordinal, why)
        found.until = asyncio.get_running_loop().time() + DOUBT_S
    return found


async def _welcomed(
    make: Callable[[], Dialled],
    host: str,
    port: int,
    context: ssl.SSLContext | None = None,
    name: str | None = None,
) -> Dialled | None:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        make, host, port, ssl=context, server_hostname=name
    )
    try:
        return connection if await connection.welcome else None
    except asyncio.CancelledError:
        connection.abort()
        raise


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
