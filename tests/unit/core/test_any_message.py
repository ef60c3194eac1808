"""Whatever a member sends, in whatever state a peer is: it never raises, and never votes twice.

Messages are decoded ones, as the transport hands them in: right in their types, wrong in anything
else. A sequence of them goes to one peer of a ring that stands still in a named state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bazaar_peer.core import effects as fx
from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.types import MS, SECOND, Limits, PeerId, Role
from bazaar_peer.core.vector_clock import sealed
from bazaar_peer.simulation.counter import Add, encode_add
from tests.unit.core.ring import Ring, genesis

P = [PeerId(i) for i in range(3)]
MANY = 2**63 - 1
MESSAGES: tuple[type, ...] = get_args(msg.Message)

near = st.integers(-2, 14)
integers = st.one_of(
    near, near, near, st.sampled_from([2 * MANY + 1, MANY, MANY - 1, -MANY - 1, 1 << 20])
)
names = st.sampled_from(["", "c", "0.1", "2.1", "k", "none", "é.1"])
bodies = st.one_of(st.just(b""), st.just(encode_add(Add(1))), st.binary(max_size=8))
kinds = st.integers(-1, 5)
submissions = st.builds(
    msg.Submission,
    integers,
    integers,
    integers,
    kinds,
    names,
    names,
    integers,
    integers,
    integers,
    st.binary(max_size=8),
    bodies,
)
members = st.lists(
    st.builds(msg.Member, st.integers(-1, 5), st.integers(0, 3), st.booleans()), max_size=4
).map(tuple)
entries = st.one_of(
    submissions,
    st.builds(msg.EpochStarted, integers),
    st.builds(msg.VersionRaised, integers),
    st.builds(msg.MembersChanged, members, names, st.just(Limits()), bodies),
)
records = st.builds(
    msg.Record,
    near,
    near,
    integers,
    integers,
    st.dictionaries(integers, integers, max_size=2),
    st.lists(entries, max_size=3),
)
blobs = st.one_of(records.map(msg.encode), st.binary(max_size=12), st.just(genesis(3).blob))


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type, most of them near those of the ring."""
    if annotation is int:
        return integers
    if annotation is bool:
        return st.booleans()
    if annotation is bytes:
        return blobs
    if annotation is msg.Submission:
        return submissions
    if annotation is msg.Member:
        return st.builds(msg.Member, st.integers(-1, 5), st.integers(0, 3), st.booleans())
    if get_origin(annotation) is dict:
        return st.dictionaries(integers, integers, max_size=3)
    if get_origin(annotation) is list:
        return st.lists(values(get_args(annotation)[0]), max_size=3)
    if get_origin(annotation) is tuple:
        return st.lists(values(get_args(annotation)[0]), max_size=4).map(tuple)
    return structs(annotation)


def structs(kind: type) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.builds(kind, *(values(hints[name]) for name in kind.__struct_fields__))  # type: ignore[attr-defined]


messages = st.one_of([structs(kind) for kind in MESSAGES])
sends = st.lists(
    st.tuples(st.sampled_from([-1, 0, 1, 2, 7]), messages, st.sampled_from([0, MS, 30 * MS])),
    min_size=1,
    max_size=12,
)

# ---- states --------------------------------------------------------------------------------------


def starting() -> tuple[Ring, PeerId]:
    return Ring(3), P[1]


def trading() -> tuple[Ring, PeerId]:
    ring = Ring(3)
    trader = ring.settle()
    for request in range(1, 4):
        ring.add(P[0], request, key=f"k{request}")
    ring.run(5 * MS)
    return ring, trader


def following() -> tuple[Ring, PeerId]:
    ring, trader = trading()
    return ring, next(peer for peer in P if peer != trader)


def standing() -> tuple[Ring, PeerId]:
    """A nominee that waits for promises."""
    ring = Ring(3)
    ring.lost = lambda _, __, message: isinstance(message, msg.Promise)
    ring.until(lambda: Role.NOMINEE in ring.roles().values())
    return ring, next(p for p, role in ring.roles().items() if role is Role.NOMINEE)


def copying() -> tuple[Ring, PeerId]:
    """A nominee that waits for the best journal."""
    ring, trader = trading()
    behind = next(peer for peer in P[::-1] if peer != trader)
    ring.isolate(behind)
    ring.add(P[0], 9)
    ring.run(5 * MS)
    ring.lost = lambda _, __, message: isinstance(message, msg.Chunk)
    ring.kill(trader)
    ring.until(lambda: any(core.nominee.source >= 0 for core in ring.peers.values()))
    return ring, next(p for p, core in ring.peers.items() if core.nominee.source >= 0)


def electing() -> tuple[Ring, PeerId]:
    """An initiator whose token is under way, with a trader lost and requests that wait."""
    ring, trader = trading()
    ring.lost = lambda *_: True
    ring.kill(trader)
    ring.until(lambda: any(core.nominator.gathering() for core in ring.peers.values()))
    peer = next(p for p, core in ring.peers.items() if core.nominator.gathering())
    ring.add(peer, 9)
    return ring, peer


def polling() -> tuple[Ring, PeerId]:
    ring, _ = electing()
    ring.until(lambda: any(core.nominator.polling for core in ring.peers.values()))
    return ring, next(p for p, core in ring.peers.items() if core.nominator.polling)


def handing_over() -> tuple[Ring, PeerId]:
    ring, trader = trading()
    ring.lost = lambda *_: True
    ring.feed(trader, ev.Resign(leaving=True))
    return ring, trader


def reading() -> tuple[Ring, PeerId]:
    """A trader with reads, and batches that nobody acknowledges."""
    ring, trader = trading()
    ring.lost = lambda _, __, message: isinstance(message, msg.Appended)
    ring.add(trader, 8)
    ring.feed(trader, ev.Read(request=9, linearizable=True, deadline=ring.now + SECOND))
    ring.run(2 * MS)
    return ring, trader


def copying_a_checkpoint() -> tuple[Ring, PeerId]:
    ring = Ring(3, checkpoint_entries=5)
    trader = ring.settle()
    for request in range(1, 30):
        ring.add(trader, request)
        ring.run(2 * MS)
    core = ring.peers[trader]
    core.copying.begin_parts(next(peer for peer in P if peer != trader), core.epoch)
    return ring, trader


STATES: list[Callable[[], tuple[Ring, PeerId]]] = [
    starting,
    following,
    trading,
    standing,
    copying,
    electing,
    polling,
    handing_over,
    reading,
    copying_a_checkpoint,
]


def watch(core: Peer, effects: list[fx.Effect], promised: dict[int, int]) -> None:
    """No two promises for one epoch but by an Append's majority (R2), and none that goes back."""
    for effect in effects:
        if isinstance(effect, fx.WriteHard):
            assert effect.hard.promised >= max(promised, default=0)
            promised[effect.hard.promised] = effect.hard.promised_to
    assert core.commit <= core.journal.last[1]
    assert core.state.index <= core.commit or core.halted


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sequence=sends)
def test_no_message_of_a_member_raises(
    state: Callable[[], tuple[Ring, PeerId]], sequence: list[tuple[int, msg.Message, int]]
) -> None:
    ring, peer = state()
    core, now = ring.peers[peer], ring.now
    promised: dict[int, int] = {core.epoch: -1}

    for sender, message, later in sequence:
        now += later
        watch(core, core.handle([ev.Received(PeerId(sender), message)], now), promised)
        done = core.handle([ev.DiskDone(core.disk.issued)], now)
        watch(core, done, promised)
        for effect in done:
            if isinstance(effect, fx.Send):
                msg.encode(effect.message)


@settings(max_examples=20, deadline=None)
@given(
    batches=st.lists(st.lists(entries, min_size=1, max_size=4), min_size=1, max_size=4),
    elapsed=integers,
    raised=st.integers(0, 1),
)
def test_no_entry_of_the_trader_raises(
    batches: list[list[msg.Entry]], elapsed: int, raised: int
) -> None:
    """Records that fit, committed at once: whatever stands in them is applied or refused."""
    ring, peer = following()
    core, trader = ring.peers[peer], ring.trader

    for round_number, batch in enumerate(batches, 1000):
        epoch, index = core.journal.last
        record = msg.Record(epoch + raised, index + 1, index, elapsed, {}, batch)
        last = index + len(batch)
        append = msg.Append(
            epoch + raised, round_number, epoch, index, last, last, [msg.encode(record)], {}
        )
        core.handle([ev.Received(trader, append)], ring.now)
        core.handle([ev.DiskDone(core.disk.issued)], ring.now)
        core.handle([ev.Tick()], ring.now + SECOND)


@settings(max_examples=20, deadline=None)
@given(submitted=st.lists(submissions, min_size=1, max_size=5))
def test_no_submission_raises(submitted: list[msg.Submission]) -> None:
    """A trader orders, applies and answers, or drops, whatever a member submits."""
    ring, trader = trading()
    other = next(peer for peer in P if peer != trader)

    ring.feed(trader, ev.Received(other, msg.Submit(submitted, {})))
    ring.run(50 * MS)
    ring.add(other, 20)
    ring.until(lambda: 20 in ring.replies and ring.settled())

    assert len(set(ring.values())) == 1
    assert list(ring.peers[trader].state.snapshot()) == list(ring.peers[other].state.snapshot())


def test_every_message_is_made_here() -> None:
    """A new message that no strategy can make would go untested."""
    for kind in MESSAGES:
        assert structs(kind) is not None


def test_answer_that_claims_more_than_was_written_commits_nothing() -> None:
    """R5: found by random messages; the next batch would have been committed before its sync."""
    ring, trader = reading()
    core = ring.peers[trader]
    end, commit = core.journal.last[1], core.commit

    for peer in core.others:
        claim = msg.Appended(core.epoch, 1, end + 1, {}, 1, 0, 0)
        core.handle([ev.Received(peer, claim)], ring.now)

    assert core.commit == commit


@pytest.mark.parametrize("prev_epoch", [-1, -2])
def test_append_behind_a_place_of_no_epoch_is_refused(prev_epoch: int) -> None:
    """R6: found by random messages; -1 was also the journal's word for "nothing ends here"."""
    ring, peer = following()
    core, trader = ring.peers[peer], ring.trader
    end = core.journal.last[1]

    effects = core.handle(
        [ev.Received(trader, msg.Append(1, 9, prev_epoch, end + 5, end + 5, 0, [], {}))], ring.now
    )

    assert any(isinstance(e, fx.Send) and isinstance(e.message, msg.AppendRefused) for e in effects)
    assert core.follower.verified <= end


@pytest.mark.parametrize(("client", "boot"), [("", 1), ("nobody", 1), ("²", 1), ("7.1", 0)])
def test_session_of_no_peer_is_not_opened(client: str, boot: int) -> None:
    """R13 a: found by random entries; one that raises stops every peer, at every start."""
    ring, trader = trading()
    core = ring.peers[trader]
    before = list(core.state.sessions.sessions)
    sub = msg.Submission(-9, boot, 1, msg.OPEN_PEER, client, "", 0, 0, *sealed({}), b"")

    ring.feed(trader, ev.Received(core.others[0], msg.Submit([sub], {})))
    ring.run(50 * MS)

    assert list(core.state.sessions.sessions) == before


def test_life_that_is_over_hears_so_and_is_not_heard() -> None:
    """R10: a peer that was removed deposes nobody, however high its epoch."""
    ring, peer = trading()
    core, gone = ring.peers[peer], PeerId(7)
    assert core.state.members is not None
    core.state.members = msgspec.structs.replace(core.state.members, retired=(gone,))

    told = core.handle([ev.Received(gone, msg.Append(99, 1, 0, 0, 9, 9, [], {}))], ring.now)

    assert told == [fx.Send((gone,), msg.Retired())]
    assert core.epoch == 1


def test_record_that_comes_again_is_acknowledged_again() -> None:
    """R5: the acknowledgement was lost, and a trader that sends on would never hear another one."""
    ring, peer = following()
    core, trader = ring.peers[peer], ring.trader
    stored = core.journal.records[-1]
    prev = stored.first - 1
    again = msg.Append(1, 3, core.journal.epoch_at(prev), prev, core.commit, 0, [stored.blob], {})

    effects = core.handle([ev.Received(trader, again)], ring.now)

    sent = [e.message for e in effects if isinstance(e, fx.Send)]
    assert [m.match for m in sent if isinstance(m, msg.Appended)] == [stored.last]
