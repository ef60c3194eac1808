"""Persistent connections between peers: raw frames over TCP (docs/decisions.md).

Each ordered pair of peers has one connection: a peer speaks on the one that it dialled and listens
on those that it accepted, so two peers that dial each other at once need no tie-break. A link is
up when the Hello of the other end has come back: that proves a process there, not just a kernel.

A link that closes is dialled again at once. *Refused* then proves a crash (N3: nobody listens
where a peer listened) and is told as such; anything else is only a lost link. Afterwards it backs
off up to 250 ms, and a Hello from the other side cuts the waiting short (N9). Messages may be lost:
what is sent to a link that is down, or whose buffer is full, is dropped and counted.

Members come and go (R10): `meet` says whom to dial. A life of the own ring that is no member here
may be newer than this peer's journal, or removed without knowing it: it is heard, and dialled back
where it says that it is, for as long as its own connection lasts.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from bazaar_peer.core.events import Event, LinkLost, LinkUp, Outlived
from bazaar_peer.core.messages import Message
from bazaar_peer.core.types import PeerId, name_of, ordinal_of
from bazaar_peer.runtime.certificates import Certificates
from bazaar_peer.runtime.connections import (
    LIFE_END,
    Accepted,
    Dialled,
    Identity,
    Link,
    Shown,
    is_proved,
    misfit,
)
from bazaar_peer.runtime.door import Door, dial
from bazaar_peer.runtime.wire import Hello, frame

WRITE_BUFFER_MAX_BYTES = 32 * 1024 * 1024
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.001, 0.250
"""The first tries follow each other closely: a dying process still takes connections for a moment,
and only the refusal behind that proves its death."""
ATTEMPT_S = 1.0
AT_ONCE_S = 0.050
"""A redial that got no answer for this long is reported as a lost link, and goes on."""
STRANGERS_MAX = 64
"""Accepted connections that have not introduced themselves, and lives that are no members here,
at most."""


class Transport(Protocol):
    """What the driver needs of a network."""

    def send(self, to: tuple[PeerId, ...], message: Message) -> None: ...
    def meet(self, others: Iterable[PeerId]) -> None: ...


class TcpTransport:
    """All links of one peer. `deliver` and `report` are called in the loop and must not block."""

    def __init__(
        self,
        identity: Identity,
        address_of: Callable[[PeerId], str],
        *,
        deliver: Callable[[PeerId, list[Message]], None],
        report: Callable[[Event], None],
        knows_over: Callable[[PeerId], bool] = lambda _: False,
        certificates: Certificates | None = None,
    ) -> None:
        self.identity = identity
        self.deliver = deliver
        self.counts: Counter[str] = Counter()
        self._report = report
        self._knows_over = knows_over
        self._address_of = address_of
        self._certificates = certificates
        self._door = Door(lambda: Accepted(self), certificates, self._connections, self.counts)
        self._members: set[PeerId] = set()
        self._links: dict[PeerId, Link] = {}
        self._strangers: set[Accepted] = set()
        self._speakers: dict[PeerId, Accepted] = {}
        self._ended: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen, then dial everybody; return the port that was bound."""
        bound = await self._door.open(host, port)
        for link in self._links.values():
            self._dial_on(link)
        return bound

    async def close(self) -> None:
        dialled = [link.connection for link in self._links.values() if link.connection]
        for link in self._links.values():
            self._dial_no_more(link)
        await asyncio.gather(*self._ended, return_exceptions=True)
        for connection in dialled:
            if connection.transport is not None:
                connection.transport.close()  # what was written still goes out
        self._door.close()
        for accepted in [*self._strangers, *self._speakers.values()]:
            accepted.abort()
        if dialled:
            await asyncio.wait([connection.closed for connection in dialled], timeout=ATTEMPT_S)
        for connection in dialled:
            connection.abort()
        await asyncio.sleep(0)  # the last callbacks come in the next turn

    # ---- members

    def meet(self, others: Iterable[PeerId]) -> None:
        """Keep a link to each of these; one to nobody else, unless it speaks itself."""
        self._members = set(others)
        for peer in self._members - self._links.keys():
            self._link(peer, self._address_of(peer))
        for peer in self._links.keys() - self._members - self._speakers.keys():
            self._forget(peer)

    def _link(self, peer: PeerId, address: str) -> Link:
        link = self._links[peer] = Link(peer, address)
        if self._door.is_open:
            self._dial_on(link)
        return link

    def _connections(self) -> list[Accepted | Dialled]:
        dialled = [link.connection for link in self._links.values() if link.connection]
        return [*self._speakers.values(), *dialled]

    def _forget(self, peer: PeerId) -> None:
        link = self._links.pop(peer)
        connection = link.connection
        self._dial_no_more(link)
        if connection is not None:
            connection.abort()
            self._lost(link, refused=False)

    def _dial_on(self, link: Link) -> None:
        link.keeper = asyncio.get_running_loop().create_task(self._keep(link))

    def _dial_no_more(self, link: Link) -> None:
        if link.keeper is not None:
            link.keeper.cancel()
            self._ended.add(link.keeper)
            link.keeper.add_done_callback(self._ended.discard)

    def send(self, to: tuple[PeerId, ...], message: Message) -> None:
        """Encode once, write to each link that is up and not overfull."""
        data = b""
        for peer in to:
            link = self._links.get(peer)
            wire = link.connection.transport if link and link.connection else None
            if wire is None or wire.get_write_buffer_size() > WRITE_BUFFER_MAX_BYTES:
                self.counts["messages_dropped"] += 1
                continue
            data = data or frame(message)
            wire.write(data)

    # ---- accepting

    def came(self, connection: Accepted) -> None:
        self._strangers.add(connection)
        if len(self._strangers) > STRANGERS_MAX:
            connection.refuse("too many connections have not introduced themselves")

    def knows(self, peer: PeerId) -> int:
        """Return the latest boot of a life that this process has met."""
        link = self._links.get(peer)
        return link.boot if link is not None else 0

    def later_than(self, hello: Hello) -> int:
        """Return the boot by which a peer of this ring is over that introduces itself, or 0.

        It may look for a life that was here before this one, and know nobody who is still there:
        nobody else would ever tell it.
        """
        if not is_proved(hello, self.identity):
            return 0
        if self._knows_over(PeerId(hello.life)):
            return LIFE_END
        link = self._links.get(PeerId(hello.life))
        if link is None or not link.boot:
            return 0
        if hello.made != link.made:
            return LIFE_END
        return link.boot if hello.boot < link.boot else 0

    def objection(self, hello: Hello, shown: Shown) -> str:
        """Return what is wrong with an introduction, or nothing."""
        me, link = self.identity, self._links.get(PeerId(hello.life))
        if why := misfit(hello, me):
            return why
        if self._certificates is not None:
            why = self._certificates.objection(shown, ordinal_of(hello.life))
        if why:
            return why
        if hello.knows > me.boot:
            self._report(Outlived())
            return f"peer {name_of(hello.life)} knows of boot {hello.knows}, this is {me.boot}"
        if link is None:
            strangers = len(self._links.keys() - self._members)
            return "too many peers that are no members" if strangers >= STRANGERS_MAX else ""
        if link.boot and hello.made != link.made:
            return f"another volume showed the life {name_of(hello.life)} before: it is an old copy"
        if hello.boot < link.boot:
            return f"peer {name_of(hello.life)} has booted again since (boot {hello.boot})"
        link.boot, link.made = hello.boot, hello.made
        return ""

    def accepted(self, connection: Accepted, hello: Hello) -> None:
        peer = PeerId(hello.life)
        self._strangers.discard(connection)
        if (older := self._speakers.get(peer)) is not None:
            older.abort()
        self._speakers[peer] = connection
        link = self._links.get(peer) or self._link(peer, hello.address)
        link.address, link.boot, link.made = hello.address, hello.boot, hello.made
        link.awake.set()

    def gone(self, connection: Accepted) -> None:
        self._strangers.discard(connection)
        if connection.peer is not None and self._speakers.get(connection.peer) is connection:
            del self._speakers[connection.peer]
            if connection.peer not in self._members and connection.peer in self._links:
                self._forget(connection.peer)

    # ---- dialling

    async def _keep(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        pause_s = 0.0
        while True:
            link.awake.clear()
            patience = loop.call_later(AT_ONCE_S, self._lost, link, False)
            try:
                async with asyncio.timeout(ATTEMPT_S):
                    connection = await self._dial(link)
                patience.cancel()
            except ConnectionRefusedError:
                self._lost(link, refused=True)
                pause_s = BACKOFF_MAX_S  # nobody is there; who comes dials, and that wakes this
            except (OSError, TimeoutError, ValueError):
                self._lost(link, refused=False)
            else:
                self._lost(link, refused=False)
                if connection is not None:
                    await self._use(link, connection)
                    pause_s = 0.0
                    continue
            finally:
                patience.cancel()
            pause_s = min(max(2 * pause_s, BACKOFF_MIN_S), BACKOFF_MAX_S)
            # Python 3.11's `wait_for` swallows a cancellation that comes in the turn of its event.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await link.awake.wait()

    async def _dial(self, link: Link) -> Dialled | None:
        address = link.address
        if link.told is not None and link.peer in self._members:
            # Where it was it is not any more: in turns where it should be (a pod's name).
            link.astray = not link.astray
            address = self._address_of(link.peer) if link.astray else address
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        # Looked up apart: uvloop's `create_connection`, when it is given up while it looks a name
        # up, leaves an error that nobody retrieves.
        found = await loop.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        return await dial(
            lambda: Dialled(self, link.peer),
            *(str(found[0][4][0]), int(port)),
            certificates=self._certificates,
            ordinal=ordinal_of(link.peer),
        )

    async def _use(self, link: Link, connection: Dialled) -> None:
        link.connection, link.told = connection, None
        self._report(LinkUp(link.peer))
        try:
            await asyncio.shield(connection.closed)
        finally:
            link.connection = None

    def _lost(self, link: Link, refused: bool) -> None:
        """Report a lost link once, and once more when it turns out to be refused."""
        if link.told is None or (refused and not link.told):
            link.told = refused
            self._report(LinkLost(link.peer, refused))
