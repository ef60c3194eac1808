"""What a stranger at the peer port is told, and what it can do: nothing (R14)."""

from __future__ import annotations

import asyncio

import msgspec

from bazaar_peer.core.events import Event, Outlived
from bazaar_peer.core.types import PeerId
from bazaar_peer.runtime.connections import Identity, proof_of
from bazaar_peer.runtime.credential import between_peers
from bazaar_peer.runtime.transport import TcpTransport
from bazaar_peer.runtime.wire import FORMAT, Framer, Hello, frame, hello_from

SECRET = between_peers("the token of the ring")


class Listener:
    """Peer 0 of ring r, which has met boot 1 of peer 1; `tell` introduces somebody to it."""

    def __init__(self) -> None:
        self.reported: list[Event] = []
        me = Identity(ring="r", life=PeerId(0), boot=1, address="127.0.0.1:1", secret=SECRET)
        self.transport = TcpTransport(
            me, lambda _: "127.0.0.1:1", deliver=lambda *_: None, report=self.reported.append
        )

    async def tell(self, *hellos: Hello) -> list[Hello]:
        """Return the last answer to each; a hello that is none is left out."""
        self.transport.meet([PeerId(1)])
        port = await self.transport.start("127.0.0.1", 0)
        link = self.transport._links[PeerId(1)]
        link.boot, link.made = 1, "first"
        answers: list[Hello] = []
        for hello in hellos:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(frame(hello))
            writer.write_eof()
            told = await asyncio.wait_for(reader.read(), 3)
            answers += [hello_from(body) for body in (Framer().feed(told) if told else [])]
            writer.close()
        await self.transport.close()
        return answers


def proved(hello: Hello) -> Hello:
    return msgspec.structs.replace(hello, proof=proof_of(SECRET, hello))


def hello(*, ring: str = "r", boot: int = 1, knows: int = 0, made: str = "first") -> Hello:
    return Hello(FORMAT, ring, 1, boot, "127.0.0.1:1", 0, knows, made)


def test_stranger_is_told_nothing() -> None:
    """Not even that the life which it names has booted since."""
    answers = asyncio.run(Listener().tell(hello(ring="another", boot=0), hello(boot=0)))

    assert answers == []


def test_proof_is_of_every_word() -> None:
    """Who overhears a Hello cannot use it to say that this life is over."""
    listener, overheard = Listener(), proved(hello())
    answers = asyncio.run(listener.tell(msgspec.structs.replace(overheard, knows=1 << 40)))

    assert answers == []
    assert Outlived() not in listener.reported


def test_peer_of_the_ring_is_heard_and_may_say_that_a_life_is_over() -> None:
    """The two above can fail: with the proof, both work."""
    listener = Listener()
    answers = asyncio.run(listener.tell(proved(hello()), proved(hello(knows=1 << 40))))

    assert [answer.life for answer in answers] == [0]
    assert Outlived() in listener.reported


def test_second_volume_of_one_life_is_told_that_it_is_over() -> None:
    """A copy from before the format was formatted again: same life, same boot, nothing in it."""
    answers = asyncio.run(Listener().tell(proved(hello(made="second"))))

    assert [answer.knows > 1 for answer in answers] == [True]


def test_answer_to_a_later_boot_is_that_of_an_equal() -> None:
    answers = asyncio.run(Listener().tell(proved(hello(boot=2)), proved(hello(boot=1))))

    assert [answer.knows for answer in answers] == [1, 2]
