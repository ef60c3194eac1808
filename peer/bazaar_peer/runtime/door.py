"""How connections between peers begin: plain on one machine, TLS where a ring has certificates.

While TLS is only offered, both come through one port: the first byte of a TLS handshake, 22, is the
first byte of no introduction, whose length is far smaller. Whoever dials tries TLS first, and
speaks plainly with those who know no TLS.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Callable, Iterable

from bazaar_peer.runtime.certificates import OFFERED, REQUIRED, Certificates
from bazaar_peer.runtime.connections import Accepted, Dialled
from bazaar_peer.runtime.entrance import Entrance

log = logging.getLogger("bazaar.transport")

COMING_MAX = 64
"""Connections whose handshake is not done, at most."""
DOUBT_S = 30.0
"""Who speaks plainly with somebody who should know TLS tries that again after so long."""


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
        self._listening: asyncio.Server | Entrance | None = None
        self._renewing: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it was opened; it stays so when it is closed."""
        return self._listening is not None

    async def open(self, host: str, port: int) -> int:
        """Listen; return the port that was bound."""
        loop, certificates = asyncio.get_running_loop(), self._certificates
        if certificates is None:
            self._listening = await loop.create_server(self._answer, host, port)
            return int(self._listening.sockets[0].getsockname()[1])
        entrance = Entrance(
            self._answer,
            lambda: certificates.server,
            coming_max=COMING_MAX,
            plain=lambda: certificates.mode == OFFERED,
            refused=self._refused,
        )
        bound = await entrance.open(host, port)
        self._listening = entrance
        self._renewing = loop.create_task(certificates.renew(lambda: self._review(certificates)))
        return bound

    def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        if self._listening is not None:
            self._listening.close()

    def _refused(self, why: str) -> None:
        self._counts["connections_refused"] += 1
        log.warning("connection refused", extra={"fields": {"why": why}})

    def _review(self, certificates: Certificates) -> None:
        """End connections that would be others now."""
        certificates.note(connection.shown for connection in self._connections())
        for connection in self._connections():
            plain = connection.shown is None
            over = asyncio.get_running_loop().time() > connection.until
            if over or (plain and certificates.mode == REQUIRED):
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
