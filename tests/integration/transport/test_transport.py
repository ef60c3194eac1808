"""Transport on real sockets: links that come, go and are refused, and strangers of every kind."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from bazaar_peer.core.events import Event, LinkLost, LinkUp, Outlived
from bazaar_peer.core.messages import Chunk, Message, NotTrader, Poll
from bazaar_peer.core.types import PeerId, ordinal_of, peer_id
from bazaar_peer.runtime.certificates import Certificates
from bazaar_peer.runtime.connections import Identity
from bazaar_peer.runtime.transport import TcpTransport
from bazaar_peer.runtime.wire import FORMAT, HELLO_MAX_BYTES, Hello, frame

A, B = PeerId(0), PeerId(1)


async def stranger(port: int, sent: bytes, *, stays: bool = True) -> None:
    """Send these bytes; if it stays, wait until the other side closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    with suppress(ConnectionError):
        while stays and await reader.read(65536):
            pass
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


class Ear:
    """Collects what a transport tells, and lets a test wait for a condition on it."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, Message]] = []
        self.batches: list[int] = []
        self.events: list[Event] = []
        self._changed = asyncio.Event()

    def deliver(self, sender: PeerId, messages: list[Message]) -> None:
        self.messages += [(sender, message) for message in messages]
        self.batches.append(len(messages))
        self._changed.set()

    def report(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@asynccontextmanager
async def peer(
    me: PeerId,
    ports: list[int],
    certificates: Certificates | None = None,
    *,
    boot: int = 1,
    over: tuple[PeerId, ...] = (),
) -> AsyncIterator[tuple[TcpTransport, Ear]]:
    addresses = [f"127.0.0.1:{port}" for port in ports]
    identity = Identity(ring="r", life=me, boot=boot, address=addresses[ordinal_of(me)])
    ear = Ear()
    transport = TcpTransport(
        identity,
        lambda other: addresses[ordinal_of(other)],
        deliver=ear.deliver,
        report=ear.report,
        knows_over=lambda life: life in over,
        certificates=certificates,
    )
    transport.meet(PeerId(other) for other in range(len(ports)) if other != ordinal_of(me))
    await transport.start("127.0.0.1", ports[ordinal_of(me)])
    try:
        yield transport, ear
    finally:
        await transport.close()


async def test_two_peers_talk_in_the_order_of_sending() -> None:
    ports = free_ports(2)
    async with peer(A, ports) as (a, ear_a), peer(B, ports) as (b, ear_b):
        await ear_a.until(lambda: LinkUp(B) in ear_a.events)
        await ear_b.until(lambda: LinkUp(A) in ear_b.events)

        for token in range(5000):
            a.send((B,), Poll(token))
            b.send((A,), NotTrader(token, -1))
        await ear_b.until(lambda: len(ear_b.messages) == 5000)
        await ear_a.until(lambda: len(ear_a.messages) == 5000)

        assert ear_b.messages == [(A, Poll(token)) for token in range(5000)]
        assert ear_a.messages == [(B, NotTrader(token, -1)) for token in range(5000)]
        assert len(ear_b.batches) < 500  # all frames of one read come as one list


async def test_nobody_listening_is_reported_as_refused() -> None:
    ports = free_ports(2)
    async with peer(A, ports) as (a, ear):
        await ear.until(lambda: bool(ear.events))
        a.send((B,), Poll(1))

        assert ear.events == [LinkLost(B, refused=True)]
        assert a.counts["messages_dropped"] == 1


async def test_a_crash_is_reported_as_refused_and_a_return_as_up() -> None:
    ports = free_ports(2)
    async with peer(A, ports) as (_, ear):
        async with peer(B, ports):
            await ear.until(lambda: LinkUp(B) in ear.events)
        await ear.until(lambda: ear.events[-1] == LinkLost(B, refused=True))
        ear.events.clear()

        async with peer(B, ports, boot=2):
            await ear.until(lambda: LinkUp(B) in ear.events)


async def test_a_closed_connection_to_a_living_peer_is_lost_and_up_again() -> None:
    ports = free_ports(2)
    async with peer(A, ports) as (_, ear), peer(B, ports) as (b, _):
        await ear.until(lambda: LinkUp(B) in ear.events)
        ear.events.clear()

        b._speakers[A].abort()

        await ear.until(lambda: LinkUp(B) in ear.events)
        assert ear.events == [LinkLost(B, refused=False), LinkUp(B)]


async def test_a_peer_is_found_at_the_new_address_that_its_hello_names() -> None:
    """Row 74."""
    old = free_ports(2)
    async with peer(A, old) as (_, ear):
        await ear.until(lambda: bool(ear.events))
        new = [old[0], *free_ports(1)]

        async with peer(B, new):
            await ear.until(lambda: LinkUp(B) in ear.events)


async def test_a_peer_that_answers_at_the_address_of_another_is_not_used() -> None:
    """Row 74."""
    ports = free_ports(3)
    ports[2] = ports[1]
    async with peer(B, ports) as (b, _), peer(A, ports) as (_, ear):
        await ear.until(lambda: LinkLost(PeerId(2), refused=False) in ear.events)

        assert LinkUp(PeerId(2)) not in ear.events
        assert b.counts["connections_refused"] > 0


GOOD = Hello(FORMAT, "r", B, 1, "127.0.0.1:1", A)
WRONG_HELLOS = {
    "format": Hello(99, "r", B, 1, "x:1", A),
    "ring": Hello(FORMAT, "other", B, 1, "x:1", A),
    "nobody": Hello(FORMAT, "r", -1, 1, "x:1", A),
    "itself": Hello(FORMAT, "r", A, 1, "x:1", A),
    "life": Hello(FORMAT, "r", B, 1, "x:1", peer_id(A, 1)),
    "target": Hello(FORMAT, "r", B, 1, "x:1", B),
}
STRANGERS = {
    **{f"hello of another {name}": frame(hello) for name, hello in WRONG_HELLOS.items()},
    "length over the limit before Hello": (HELLO_MAX_BYTES + 1).to_bytes(4, "big"),
    "length over the limit after Hello": frame(GOOD) + b"\xff\xff\xff\xff",
    "message for a Hello": frame(Poll(1)),
    "garbage for a Hello": b"\x00\x00\x00\x05GET /",
    "garbage behind a Hello": frame(GOOD) + b"\x00\x00\x00\x02\xc1\xc1",
    "unknown message": frame(GOOD) + b"\x00\x00\x00\x02\x91\x7f",
    "an HTTP request": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("sent", STRANGERS.values(), ids=STRANGERS.keys())
async def test_what_no_peer_sends_closes_the_connection_and_nothing_else(sent: bytes) -> None:
    ports = free_ports(2)
    async with peer(A, ports) as (a, ear):
        await stranger(ports[A], sent)

        assert ear.messages == []
        assert a.counts["connections_refused"] == 1
        async with peer(B, ports):
            await ear.until(lambda: LinkUp(B) in ear.events)


async def test_life_that_is_no_member_is_heard_and_dialled_back_while_it_stays() -> None:
    """R10: it may be newer than this peer's journal, or removed without knowing it."""
    ports = free_ports(2)
    async with peer(A, ports) as (a, ear):
        a.meet([])
        async with peer(B, ports) as (b, ear_b):
            await ear.until(lambda: LinkUp(B) in ear.events)
            await ear_b.until(lambda: LinkUp(A) in ear_b.events)
            b.send((A,), Poll(1))
            a.send((B,), Poll(2))
            await ear.until(lambda: ear.messages == [(B, Poll(1))])
            await ear_b.until(lambda: ear_b.messages == [(A, Poll(2))])
        await ear.until(lambda: ear.events[-1] == LinkLost(B, refused=False))

        a.send((B,), Poll(3))
        assert a.counts["messages_dropped"] == 1


async def test_an_older_boot_is_refused() -> None:
    ports = free_ports(2)
    async with peer(A, ports) as (a, ear), peer(B, ports, boot=5) as (_, ear_b):
        await ear_b.until(lambda: LinkUp(A) in ear_b.events)
        await stranger(ports[A], frame(GOOD))

        assert a.counts["connections_refused"] == 1
        await ear.until(lambda: LinkUp(B) in ear.events)


async def test_an_old_copy_learns_that_a_later_boot_was_met() -> None:
    """R14: it has forgotten what it promised since, and nothing on its volume says so."""
    ports = free_ports(2)
    async with peer(A, ports) as (_, ear):
        async with peer(B, ports, boot=5) as (_, ear_b):
            await ear_b.until(lambda: LinkUp(A) in ear_b.events)
            await ear.until(lambda: LinkUp(B) in ear.events)
        async with peer(B, ports, boot=4) as (_, copy):
            await copy.until(lambda: Outlived() in copy.events)


async def test_who_looks_for_a_life_that_is_over_hears_of_its_own_end() -> None:
    """R14: it was away while all that it knows were replaced; nobody else would ever tell it."""
    ports = free_ports(2)
    async with peer(peer_id(0, 1), ports, over=(B,)), peer(B, ports) as (_, away):
        await away.until(lambda: Outlived() in away.events)


async def test_who_is_not_over_only_hears_that_somebody_else_is_there() -> None:
    ports = free_ports(2)
    async with peer(peer_id(0, 1), ports) as (a, _), peer(B, ports) as (_, ear):
        await ear.until(lambda: LinkUp(peer_id(0, 1)) in ear.events)  # it dials back, and is told
        assert a.counts["connections_refused"] > 0
        assert Outlived() not in ear.events


async def test_random_bytes_in_random_pieces_never_crash_a_listener() -> None:
    ports = free_ports(2)
    seeded = random.Random(1)
    async with peer(A, ports) as (a, ear):
        for _ in range(200):
            good = frame(GOOD) if seeded.random() < 0.5 else b""
            garbage = good + seeded.randbytes(seeded.randrange(1, 3000))
            await stranger(ports[A], garbage, stays=False)
        async with peer(B, ports):
            await ear.until(lambda: LinkUp(B) in ear.events)

        assert ear.messages == []
        assert a.counts["connections_refused"] > 0


async def test_a_full_link_drops_and_counts() -> None:
    ports = free_ports(2)
    answer = frame(Hello(FORMAT, "r", B, 1, f"127.0.0.1:{ports[B]}", A))

    async def deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await released.wait()
        writer.close()

    released = asyncio.Event()

    server = await asyncio.start_server(deaf, "127.0.0.1", ports[B])
    async with peer(A, ports) as (a, ear):
        await ear.until(lambda: LinkUp(B) in ear.events)
        connection = a._links[B].connection
        assert connection is not None
        assert connection.transport is not None
        big = b"x" * (16 * 1024 * 1024)
        for _ in range(6):
            a.send((B,), Chunk(1, 0, 0, [big]))

        connection.abort()
        released.set()
        assert a.counts["messages_dropped"] > 0
    server.close()
    await server.wait_closed()


async def test_close_ends_though_a_peer_comes_in_the_same_moment() -> None:
    """The dialling task is woken and cancelled in one turn; whoever swallows that never ends."""
    ports = free_ports(2)
    async with peer(A, ports) as (transport, ear):
        await ear.until(lambda: LinkLost(B, refused=True) in ear.events)
        link = transport._links[B]
        await asyncio.sleep(0)  # from the report on into the wait for the next attempt
        link.awake.set()
        async with asyncio.timeout(3):
            await transport.close()

        assert link.keeper is not None
        assert link.keeper.cancelled()
