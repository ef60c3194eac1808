"""Peers that show each other certificates: who gets in, who does not, and how that changes."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bazaar_operator import certificates as made
from bazaar_peer.core.events import LinkLost, LinkUp
from bazaar_peer.core.messages import Poll
from bazaar_peer.core.types import PeerId
from bazaar_peer.runtime import certificates, door
from bazaar_peer.runtime.certificates import OFFERED, REQUIRED, Certificates
from bazaar_peer.runtime.transport import TcpTransport
from bazaar_peer.runtime.wire import FORMAT, Hello, frame

from .test_transport import A, B, Ear, free_ports, peer, stranger

DOMAIN = "shop-peers"


def name_of(peer: int) -> str:
    return f"shop-{peer}.{DOMAIN}"


class Ring:
    """What an operator keeps for a ring, and what lies in its pods."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = made.authority("shop", [DOMAIN], time.time())
        self.keys = [made.new_key() for _ in range(3)]
        self.trust(self.ca.certificate)
        self.mode(REQUIRED)
        for who in range(3):
            self.write(f"key-{who}", self.keys[who])
            self.certify(who)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def mode(self, mode: str) -> None:
        self.write("mode", mode + "\n")

    def trust(self, *certificates: str) -> None:
        self.write("ca.crt", "".join(certificates))

    def certify(
        self, peer: int, *, as_peer: int = -1, by: made.Pair | None = None, now: float = 0.0
    ) -> None:
        name = name_of(peer if as_peer < 0 else as_peer)
        issued = made.issue(
            by or self.ca, self.keys[peer], f"peer {peer}", [name], now or time.time()
        )
        self.write(f"peer-{peer}.crt", issued)

    def certificates(self, peer: int) -> Certificates:
        found = Certificates(self.folder, self.folder / f"key-{peer}", peer, name_of)
        assert found.look(), found.why
        return found


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ring:
    monkeypatch.setattr(certificates, "LOOK_S", 0.02)
    return Ring(tmp_path)


def shown(transport: TcpTransport, to: PeerId) -> bool:
    """Whether what is sent there goes by TLS."""
    connection = transport._links[to].connection
    return connection is not None and connection.shown is not None


async def hear_nothing(ear: Ear) -> None:
    await asyncio.sleep(0.3)
    assert not any(isinstance(event, LinkUp) for event in ear.events)


async def are_strangers(one: Certificates, other: Certificates) -> None:
    """Neither lets the other in."""
    ports = free_ports(2)
    async with peer(A, ports, one) as (_, ear_a), peer(B, ports, other) as (_, ear_b):
        await hear_nothing(ear_a)
        await hear_nothing(ear_b)


async def test_peers_of_a_ring_talk_by_tls_in_the_order_of_sending(ring: Ring) -> None:
    ports = free_ports(2)
    async with (
        peer(A, ports, ring.certificates(0)) as (a, ear_a),
        peer(B, ports, ring.certificates(1)) as (b, ear_b),
    ):
        await ear_a.until(lambda: LinkUp(B) in ear_a.events)
        await ear_b.until(lambda: LinkUp(A) in ear_b.events)
        for token in range(5000):
            a.send((B,), Poll(token))
        await ear_b.until(lambda: len(ear_b.messages) == 5000)

        assert ear_b.messages == [(A, Poll(token)) for token in range(5000)]
        assert shown(a, B)
        assert shown(b, A)


async def test_a_crash_is_reported_as_refused_by_tls_too(ring: Ring) -> None:
    ports = free_ports(2)
    async with peer(A, ports, ring.certificates(0)) as (_, ear):
        async with peer(B, ports, ring.certificates(1)):
            await ear.until(lambda: LinkUp(B) in ear.events)
        await ear.until(lambda: ear.events[-1] == LinkLost(B, refused=True))


async def test_who_speaks_no_tls_does_not_get_in(ring: Ring) -> None:
    ports = free_ports(2)
    async with (
        peer(A, ports, ring.certificates(0)) as (a, ear),
        peer(B, ports, None) as (_, plain),
    ):
        hello = Hello(FORMAT, "r", 1, 1, "127.0.0.1:1", 0)
        await asyncio.wait_for(stranger(ports[0], frame(hello)), 5)
        await hear_nothing(ear)
        await hear_nothing(plain)
        assert a.counts["connections_refused"] > 0


async def test_certificate_of_another_ring_does_not_get_in(ring: Ring, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Ring(tmp_path / "other")
    await are_strangers(ring.certificates(0), other.certificates(1))


async def test_peer_does_not_get_in_under_another_s_name(ring: Ring) -> None:
    """PROTOCOL section 7: who speaks must be who its certificate says."""
    ring.certify(1, as_peer=2)
    await are_strangers(ring.certificates(0), ring.certificates(1))


async def test_expired_certificate_does_not_get_in(ring: Ring) -> None:
    ring.certify(1, now=time.time() - 91 * 86_400)
    await are_strangers(ring.certificates(0), ring.certificates(1))


async def test_while_tls_is_offered_both_kinds_talk(ring: Ring) -> None:
    ring.mode(OFFERED)
    ports = free_ports(3)
    async with (
        peer(A, ports, ring.certificates(0)) as (a, ear_a),
        peer(B, ports, ring.certificates(1)) as (_, ear_b),
        peer(PeerId(2), ports, None) as (_, ear_c),
    ):
        await ear_a.until(lambda: {LinkUp(B), LinkUp(PeerId(2))} <= {*ear_a.events})
        await ear_b.until(lambda: {LinkUp(A), LinkUp(PeerId(2))} <= {*ear_b.events})
        await ear_c.until(lambda: {LinkUp(A), LinkUp(B)} <= {*ear_c.events})
        assert shown(a, B)
        assert not shown(a, PeerId(2))


async def test_when_tls_is_required_plain_connections_end(ring: Ring) -> None:
    ring.mode(OFFERED)
    ports = free_ports(2)
    mine = ring.certificates(0)
    async with peer(A, ports, mine) as (a, ear_a):
        async with peer(B, ports, None) as (_, ear_b):
            await ear_a.until(lambda: LinkUp(B) in ear_a.events)
            await ear_b.until(lambda: LinkUp(A) in ear_b.events)
            ring.mode(REQUIRED)
            await ear_a.until(lambda: isinstance(ear_a.events[-1], LinkLost))
            await ear_b.until(lambda: isinstance(ear_b.events[-1], LinkLost))
            assert not a._speakers
        async with peer(B, ports, ring.certificates(1)):
            await ear_a.until(lambda: ear_a.events[-1] == LinkUp(B))


async def test_authority_is_replaced_without_a_link_lost(ring: Ring) -> None:
    """Both are trusted, then all are certified anew, then the old one is trusted no more."""
    ports = free_ports(2)
    first, second = ring.certificates(0), ring.certificates(1)
    async with peer(A, ports, first) as (a, ear), peer(B, ports, second) as (_, _):
        await ear.until(lambda: LinkUp(B) in ear.events)
        new = made.authority("shop", [DOMAIN], time.time())

        def certify() -> None:
            for who in (0, 1):
                ring.certify(who, by=new)

        steps: list[Callable[[], None]] = [
            lambda: ring.trust(ring.ca.certificate, new.certificate),
            certify,
            lambda: ring.trust(new.certificate),
        ]
        for step in steps:
            before = first.told(), second.told()
            step()
            while first.told() == before[0] or second.told() == before[1]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert (first.why, second.why) == ("", "")
        assert ear.events == [LinkLost(B, refused=True), LinkUp(B)]

        a._speakers[B].abort()  # a new connection is made under the new authority
        a._links[B].connection.abort()  # type: ignore[union-attr]
        ear.events.clear()
        await ear.until(lambda: ear.events[-1:] == [LinkUp(B)])
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.load_verify_locations(cadata=ring.ca.certificate)
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(
                "127.0.0.1", ports[0], ssl=client, server_hostname=name_of(0)
            )


async def test_old_connections_end_and_are_made_anew(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bazaar_peer.runtime.connections.AGE_MAX_S", 0.2)
    ports = free_ports(2)
    async with (
        peer(A, ports, ring.certificates(0)) as (_, ear),
        peer(B, ports, ring.certificates(1)),
    ):
        await ear.until(lambda: ear.events.count(LinkUp(B)) > 2)
        assert LinkLost(B, refused=True) not in ear.events[1:]


async def welcomed(ring: Ring, port: int, *, shows: int, says: int) -> bool:
    """Whether peer 0 answers who shows one peer's certificate, and says that it is another."""
    context = ring.certificates(shows).client
    name = name_of(0)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name
    )
    hello = Hello(FORMAT, "r", says, 1, f"127.0.0.1:{port}", 0)
    writer.write(frame(hello))
    try:
        return bool(await asyncio.wait_for(reader.read(1), 4))
    except ConnectionError:
        return False
    finally:
        writer.transport.abort()


async def test_listener_compares_the_word_with_the_certificate(ring: Ring) -> None:
    ports = free_ports(1)
    async with peer(A, ports, ring.certificates(0)):
        assert await welcomed(ring, ports[0], shows=1, says=1)
        assert not await welcomed(ring, ports[0], shows=2, says=1)


@pytest.mark.parametrize("age_days", [-30, 120])
async def test_who_cannot_be_trusted_is_spoken_with_plainly_while_tls_is_offered_and_told(
    ring: Ring, age_days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that is wrong must not be found out when TLS is required already."""
    monkeypatch.setattr(door, "DOUBT_S", 1.0)
    ring.mode(OFFERED)
    ring.certify(1, now=time.time() - age_days * 86_400)
    ports = free_ports(2)
    first, second = ring.certificates(0), ring.certificates(1)
    async with peer(A, ports, first) as (a, ear_a), peer(B, ports, second) as (b, ear_b):
        await ear_a.until(lambda: LinkUp(B) in ear_a.events)
        await ear_b.until(lambda: LinkUp(A) in ear_b.events)
        assert not shown(a, B)
        assert not shown(b, A)
        assert first.told()["why"].startswith("the certificate of peer 1: certificate ")
        assert second.told()["why"] == "peer 0 does not let this one in by TLS"

        ring.certify(1)
        while first.told()["why"] or second.told()["why"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert shown(a, B)
        assert shown(b, A)


def test_trust_that_is_no_plain_text_is_told(ring: Ring) -> None:
    ring.trust("Müller's own:\n", ring.ca.certificate)
    found = Certificates(ring.folder, ring.folder / "key-1", 1, name_of)
    assert not found.look()
    assert "is no certificate" in found.why


def test_what_cannot_be_used_is_told_and_the_former_stays(ring: Ring) -> None:
    found = ring.certificates(1)
    before = found.told()
    for name, text, said in (
        ("mode", "perhaps", "it may say Offered or Required"),
        ("ca.crt", "none", "is no certificate"),
        ("peer-1.crt", (ring.folder / "peer-2.crt").read_text(), "do not go together"),
        ("peer-1.crt", "x" * 70_000, "has more than 65536 bytes"),
    ):
        kept = (ring.folder / name).read_text()
        ring.write(name, text)
        assert not found.look()
        assert said in found.why
        assert found.told() == before | {"why": found.why}
        assert found.client is not None
        ring.write(name, kept)
        assert not found.look()
        assert found.told() == before
