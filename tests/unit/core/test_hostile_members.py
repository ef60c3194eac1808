"""What a member could say to hurt the others: it is not believed, and kills nobody."""

from __future__ import annotations

import msgspec
import pytest

from bazaar_peer.core import effects as fx
from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.state import FORMAT, Header
from bazaar_peer.core.types import MS, SECOND, PeerId, Role
from bazaar_peer.core.vector_clock import PARTS_MAX, TICKS_MAX, sealed
from tests.unit.core.ring import Ring
from tests.unit.core.test_any_message import copying, copying_a_checkpoint, following, trading

HUGE = 2**63 - 1
DIGITS = "9" * 5000
NESTED = b"\x91" * 200_000 + b"\x90"
encode = msgspec.msgpack.encode


def record(peer: Peer, entry: msg.Entry) -> bytes:
    epoch, index = peer.journal.last
    return msg.encode(msg.Record(epoch, index + 1, index, 0, {}, [entry]))


def tell(ring: Ring, to: PeerId, sender: PeerId, message: msg.Message) -> list[fx.Effect]:
    """Hand a message in as it would come over a connection."""
    decoded = msg.decode_message(msg.encode(message))
    return ring.peers[to].handle([ev.Received(sender, decoded)], ring.now)


@pytest.mark.parametrize(
    ("kind", "session", "client", "body"),
    [(msg.OPEN_PEER, -9, DIGITS, b""), (msg.CLOSE_SESSION, 0, "c", DIGITS.encode())],
    ids=["open", "close"],
)
def test_entry_with_a_number_of_many_digits_is_applied_by_all(
    kind: int, session: int, client: str, body: bytes
) -> None:
    """A committed entry that raised would stop every peer, at every start."""
    ring, trader = trading()
    core = ring.peers[trader]
    session = session or core.ingress.session
    sub = msg.Submission(session, 9, 1, kind, client, "", 0, 0, *sealed({}), body)

    ring.feed(trader, ev.Received(core.others[0], msg.Submit([sub], {})))
    ring.run(SECOND)

    assert {peer.state.index for peer in ring.peers.values()} == {core.commit}


@pytest.mark.parametrize("to_trader", [True, False])
def test_clock_that_would_not_fit_is_not_learnt(to_trader: bool) -> None:
    """T5: the sum of a stamp must fit, and the number of its components is bounded."""
    ring, peer = trading() if to_trader else following()
    core = ring.peers[peer]
    clock = {901: HUGE, 902: HUGE, 903: TICKS_MAX + 1, **dict.fromkeys(range(1000, 4000), 1)}
    last = core.journal.last
    message = (
        msg.Appended(core.epoch, 0, 0, clock, 1, 0, 0)
        if to_trader
        else msg.Append(core.epoch, 9, *last, 0, 0, [], clock)
    )

    tell(ring, peer, core.others[0] if to_trader else ring.trader, message)
    ring.add(peer, 77)
    ring.run(SECOND)

    assert 77 in ring.replies
    assert len(core.clock.counts) <= PARTS_MAX
    assert max(core.clock.counts.values()) <= TICKS_MAX


@pytest.mark.parametrize("kind", ["text", "nested"])
def test_record_that_cannot_be_read_is_refused(kind: str) -> None:
    ring, peer = following()
    core = ring.peers[peer]
    last = core.journal.last
    if kind == "text":
        sub = msg.Submission(1, 1, 1, 0, "XXXX", "", 0, 0, 0, b"", b"")
        blob = record(core, sub).replace(b"XXXX", b"\xff\xfe\xfd\xfc")
    else:
        blob = b"\x97" + record(core, msg.EpochStarted(1))[1:] + NESTED

    told = tell(ring, peer, ring.trader, msg.Append(core.epoch, 9, *last, last[1], 0, [blob], {}))

    assert core.journal.last == last
    assert "bad_record" in [e.kind for e in told if isinstance(e, fx.Note)]


@pytest.mark.parametrize(
    "data",
    [
        b"s" + encode(("results", [])),
        b"s" + encode(("results", [77, []])),
        b"s" + encode(("head", [[], 0, 0, []])),
        b"s" + encode(("session", [1, 0, 1, 0, {}])),
        b"s" + NESTED,
        b"m",
        b"",
    ],
)
def test_checkpoint_part_that_cannot_be_read_is_refused(data: bytes) -> None:
    ring, peer = following()
    core = ring.peers[peer]
    epoch, index = core.journal.last

    told = tell(ring, peer, ring.trader, msg.Part(epoch, epoch, index + 50, 0, False, data))

    assert [e.kind for e in told if isinstance(e, fx.Note)] == ["bad_checkpoint"]


def test_checkpoint_whose_hash_cannot_be_one_is_refused() -> None:
    """It would raise with the first record after it, and at every start."""
    ring, peer = following()
    core = ring.peers[peer]
    epoch, index = core.journal.last
    header = Header(FORMAT, epoch, index + 50, b"c" * 16, -1, 0, 1, {}, core.members)

    tell(
        ring, peer, ring.trader, msg.Part(epoch, epoch, index + 50, 0, True, b"h" + encode(header))
    )

    assert core.journal.last == (epoch, index)


@pytest.mark.parametrize(
    "message",
    [
        msg.PollAnswer(0, msg.Standing(0, 0, 0, False), False, 2**64 - 1),
        msg.Refused(2**64 - 1),
        msg.Election(2**64 - 1, 7, 1, ()),
        msg.IWon(2**64 - 1, 0),
        msg.Append(2**64 - 1, 1, 0, 0, 0, 0, [], {}),
    ],
    ids=lambda message: type(message).__name__,
)
def test_epoch_beyond_all_reach_is_not_believed(message: msg.Message) -> None:
    """Nobody could stand above it any more."""
    ring, peer = following()
    core = ring.peers[peer]

    tell(ring, peer, core.others[0], message)
    ring.kill(ring.trader)
    core.nominee.start(transfer=0)

    assert core.epoch < 100


def test_source_that_sends_nothing_new_does_not_hold_the_ring() -> None:
    """N8: what is copied again is no progress."""
    ring, nominee = copying()
    core = ring.peers[nominee]
    source, epoch = core.nominee.source, core.nominee.epoch
    began = ring.now

    while core.role is Role.NOMINEE and ring.now < began + 5 * SECOND:
        ring.feed(nominee, ev.Received(source, msg.Chunk(epoch, *core.journal.last, [])))
        ring.run(10 * MS)

    assert ring.now <= began + 3 * core.timing.heartbeat_timeout


def test_refusal_with_a_round_never_sent_proves_nothing() -> None:
    """R12, R5."""
    ring, trader = trading()
    core = ring.peers[trader]

    tell(ring, trader, core.others[0], msg.AppendRefused(core.epoch, 2**62, 0))

    assert core.trader_role.progress[core.others[0]].round <= core.trader_role.round


def test_part_before_the_first_is_not_read() -> None:
    ring, trader = copying_a_checkpoint()
    core = ring.peers[trader]
    to = next(iter(core.copying.sending))

    told = tell(ring, trader, to, msg.PartTaken(core.epoch, 5, -7))

    assert all(e.number >= 0 for e in told if isinstance(e, fx.ReadPart))


def test_candidacy_asked_for_again_and_again_is_answered_once() -> None:
    """While the own disk stands still: nothing gathers meanwhile (R3)."""
    ring, peer = following()
    core = ring.peers[peer]
    ring.kill(ring.trader)
    other = core.others[0]
    core.handle([], ring.now + SECOND)
    for _ in range(100):
        core.handle([ev.Received(other, msg.IWon(50, 0))], ring.now + SECOND)

    told = core.handle([ev.DiskDone(core.disk.issued)], ring.now + SECOND)

    promises = [e for e in told if isinstance(e, fx.Send) and isinstance(e.message, msg.Promise)]
    assert len(promises) == 1


def test_read_asked_for_again_and_again_waits_once() -> None:
    """R12."""
    ring, trader = trading()
    core = ring.peers[trader]
    for _ in range(100):
        core.handle([ev.Received(core.others[0], msg.ReadIndex(1))], ring.now)

    assert len(core.trader_role.reads.waiting) == 1


def test_promise_outweighs_an_earlier_refusal_of_the_same_peer() -> None:
    """A late Append of the own last reign may be refused with the epoch that was just promised."""
    ring = Ring(5)
    trader = ring.settle()
    core = ring.peers[trader]
    core.trader_role.step_down("test")
    core.nominee.start(transfer=core.epoch)
    core.handle([ev.DiskDone(core.disk.issued)], ring.now)
    other, epoch = core.others[0], core.epoch

    tell(ring, trader, other, msg.Refused(epoch))
    tell(ring, trader, other, msg.Promise(epoch, 0, 1, core.members.members))

    assert other in core.nominee.promises
    assert other not in core.nominee.refusals
