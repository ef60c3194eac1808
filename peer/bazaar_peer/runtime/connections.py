"""The two ends of a connection between peers: the one that dialled speaks, the other listens.

Both introduce themselves with a `Hello`. Whatever is wrong with an introduction or a frame closes
the connection with a logged sentence and a count; nothing that arrives here can raise further up.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import math
import random
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bazaar_peer.core.messages import Message
from bazaar_peer.core.types import PeerId, name_of
from bazaar_peer.runtime.wire import (
    FORMAT,
    FRAME_MAX_BYTES,
    BadFrameError,
    Framer,
    Hello,
    frame,
    hello_from,
    messages_from,
)

log = logging.getLogger("bazaar.transport")

HELLO_S = 5.0
"""Who has not introduced himself by then is closed."""
AGE_MAX_S = 3600.0
LIFE_END = 1 << 48
SILENCE_MS = 5000
"""Bytes unacknowledged for this long close a connection: the host went without a word."""


class Identity(Struct, frozen=True, kw_only=True):
    """Who this process is in its ring (R14)."""

    ring: str
    life: PeerId
    boot: int
    address: str
    """`host:port` where other peers can dial it."""
    made: str = ""
    secret: str = ""
    """What a ring's peers share; it is never sent."""

    def hello(self, to: PeerId, knows: int) -> bytes:
        me = (self.ring, self.life, self.boot, self.address)
        hello = Hello(FORMAT, *me, to, knows, self.made)
        return frame(replace(hello, proof=proof_of(self.secret, hello)))


def proof_of(secret: str, hello: Hello) -> str:
    """Prove a Hello: who overhears it can repeat it, but change no word of it."""
    if not secret:
        return ""
    told = msgspec.msgpack.encode(replace(hello, proof=""))
    return hmac.digest(secret.encode(), told, hashlib.sha256).hex()


def is_proved(hello: Hello, me: Identity) -> bool:
    """Tell whether a Hello comes from who has the secret of this peer's ring."""
    shown = hello.proof.encode("utf-8", "surrogatepass")
    return hello.ring == me.ring and hmac.compare_digest(shown, proof_of(me.secret, hello).encode())


Shown: TypeAlias = Mapping[str, Any] | None
"""The certificate that the other end showed, as `ssl` tells a verified one; None: plain TCP."""


def misfit(hello: Hello, me: Identity) -> str:
    """Return why an introduction is not meant for this peer of this ring, or nothing."""
    if hello.format != FORMAT:
        return f"it speaks format {hello.format}, this peer speaks {FORMAT}"
    if hello.ring != me.ring:
        return f"it is of ring {hello.ring!r}, this peer of {me.ring!r}"
    if not is_proved(hello, me):
        return "it does not prove that it is of this ring: its token is another one"
    if hello.to != me.life:
        return f"it looks for peer {name_of(hello.to)}, this is peer {name_of(me.life)}"
    if hello.life == me.life or not 0 <= hello.life < LIFE_END:
        return f"peer {name_of(hello.life)} is no other peer of this ring"
    return ""


class Switchboard(Protocol):
    """What a connection needs of the transport that owns it."""

    identity: Identity
    counts: Counter[str]
    deliver: Callable[[PeerId, list[Message]], None]

    def knows(self, peer: PeerId) -> int: ...
    def later_than(self, hello: Hello) -> int: ...
    def objection(self, hello: Hello, shown: Shown) -> str: ...
    def came(self, connection: Accepted) -> None: ...
    def accepted(self, connection: Accepted, hello: Hello) -> None: ...
    def gone(self, connection: Accepted) -> None: ...


class _Connection(asyncio.Protocol):
    def __init__(self, board: Switchboard) -> None:
        self.board = board
        self.transport: asyncio.Transport | None = None
        self.framer = Framer()
        self.shown: Shown = None
        self.until = math.inf
        """When it ends, by the loop's clock: the next one shows the certificates of its time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one, but not by class
        self.shown = transport.get_extra_info("peercert")
        if self.shown is not None:  # not all of a ring at once
            age_max = random.uniform(AGE_MAX_S / 2, AGE_MAX_S)  # noqa: S311 - no secret
            self.until = asyncio.get_running_loop().time() + age_max
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MS)

    def refuse(self, sentence: str, last: bytes = b"") -> None:
        """Close with a logged sentence; `last` still goes out."""
        if self.transport is not None:
            self.board.counts["connections_refused"] += 1
            where = self.transport.get_extra_info("peername")
            log.warning(
                "connection refused", extra={"fields": {"remote": str(where), "why": sentence}}
            )
            if last:
                self.transport.write(last)
                self.transport.close()
                self.transport = None
            else:
                self.abort()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()
            self.transport = None


class Accepted(_Connection):
    """Another peer dialled: it speaks, this one listens."""

    peer: PeerId | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self.board.came(self)
        self._patience = loop.call_later(HELLO_S, self.refuse, f"no Hello came in {HELLO_S:g} s")

    def data_received(self, data: bytes) -> None:
        try:
            peer = self.peer
            if peer is None:
                first = self.framer.feed(data, 1)
                if not first or not self._introduced(hello_from(first[0])):
                    return
                peer, data = self.peer, b""
            bodies = self.framer.feed(data)
            if bodies and peer is not None and self.transport is not None:
                self.board.deliver(peer, messages_from(bodies))
        except BadFrameError as error:
            self.board.counts["frames_malformed"] += 1
            self.refuse(str(error))

    def _introduced(self, hello: Hello) -> bool:
        peer, knows = PeerId(hello.life), self.board.knows(PeerId(hello.life))
        if why := self.board.objection(hello, self.shown):
            later = self.board.later_than(hello)
            self.refuse(why, self.board.identity.hello(peer, later) if later else b"")
            return False
        assert self.transport is not None
        self._patience.cancel()
        self.peer = peer
        self.framer.limit = FRAME_MAX_BYTES
        self.transport.write(self.board.identity.hello(peer, knows))
        self.board.accepted(self, hello)
        return True

    def connection_lost(self, _exc: Exception | None) -> None:
        self._patience.cancel()
        self.transport = None
        self.board.gone(self)


class Dialled(_Connection):
    """This peer dialled: it speaks, and hears one Hello to know who answered."""

    def __init__(self, board: Switchboard, to: PeerId) -> None:
        super().__init__(board)
        self.to = to
        loop = asyncio.get_running_loop()
        self.welcome: asyncio.Future[bool] = loop.create_future()
        """True once the right peer answered, False if the connection closed before."""
        self.closed: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.write(self.board.identity.hello(self.to, self.board.knows(self.to)))

    def data_received(self, data: bytes) -> None:
        try:
            for body in self.framer.feed(data):
                self._answered(hello_from(body))
        except BadFrameError as error:
            self.board.counts["frames_malformed"] += 1
            self.refuse(str(error))

    def _answered(self, hello: Hello) -> None:
        once = not self.welcome.done()
        why = self.board.objection(hello, self.shown) if once else "a listener says one Hello"
        if not why and hello.life != self.to:
            why = f"peer {name_of(hello.life)} answers at the address of peer {name_of(self.to)}"
        if why:
            self.refuse(why)
        else:
            self.welcome.set_result(True)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.transport = None
        if not self.welcome.done():
            self.welcome.set_result(False)
        if not self.closed.done():
            self.closed.set_result(None)


class Link:
    """The connection that this peer dials to one life of another, and where it is."""

    def __init__(self, peer: PeerId, address: str) -> None:
        self.peer = peer
        self.address = address
        """As configured, then as it introduced itself."""
        self.boot, self.made = 0, ""
        """The latest boot that was met, and the volume that showed it."""
        self.astray = False
        """The last attempt went to the configured address."""
        self.keeper: asyncio.Task[None] | None = None
        self.connection: Dialled | None = None
        self.told: bool | None = None
        """What was last reported: None = up (or nothing yet), else whether it was refused."""
        self.awake = asyncio.Event()
