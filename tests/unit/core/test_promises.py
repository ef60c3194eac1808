"""One follower against single messages: the protocol's rows that safety rests on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bazaar_peer.core import effects as fx
from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.journal import store
from bazaar_peer.core.types import MS, PeerId, Role
from tests.unit.core.ring import Ring, genesis

P = [PeerId(i) for i in range(3)]
GENESIS = genesis(3)


class Lone:
    """Peer 0 of three, whose disk syncs when it is told to."""

    def __init__(self) -> None:
        ring = Ring(3)
        ring.lost = lambda *_: True
        self.core = ring.peers[P[0]]
        self.sync()

    def tell(self, sender: PeerId, message: msg.Message, after: int = 0) -> list[fx.Effect]:
        at = self.core.now + after
        for now in range(self.core.now, at, 10 * MS):
            self.core.handle([ev.Tick()], now)  # it sees the time go by
        return self.core.handle([ev.Received(sender, message)], at)

    def sync(self) -> list[fx.Effect]:
        return self.core.handle([ev.DiskDone(self.core.disk.issued)], self.core.now)


def sent(effects: Sequence[fx.Effect]) -> list[msg.Message]:
    return [effect.message for effect in effects if isinstance(effect, fx.Send)]


def blobs(*shape: tuple[int, int], after: msg.Stored = GENESIS) -> list[msg.Stored]:
    """Records of (epoch, number of entries), one behind the other."""
    made: list[msg.Stored] = []
    for epoch, size in shape:
        end = made[-1] if made else after
        entries: list[msg.Entry] = [msg.EpochStarted(epoch)] * size
        made.append(store(msg.Record(epoch, end.last + 1, 0, 0, {}, entries), end.chain))
    return made


def append(
    epoch: int, records: list[msg.Stored], *, commit: int = 0, number: int = 1, after: int = 1
) -> msg.Append:
    prev = records[0].first - 1 if records else after
    prev_epoch = 0 if prev <= 1 else 1
    return msg.Append(
        epoch, number, prev_epoch, prev, commit, 0, [stored.blob for stored in records], {}
    )


def test_promise_is_answered_when_it_is_durable_and_not_before() -> None:
    """R4: and it tells where the journal ended at that place of the queue."""
    peer = Lone()

    at_once = peer.tell(P[1], msg.IWon(1, 0))
    later = peer.sync()

    assert sent(at_once) == []
    assert [(m.epoch, m.last_epoch, m.last_index) for m in sent(later)
            if isinstance(m, msg.Promise)] == [(1, 0, 1)]  # fmt: skip


def test_promise_is_given_again_to_the_same_and_to_nobody_else() -> None:
    """R3."""
    peer = Lone()
    peer.tell(P[1], msg.IWon(1, 0))
    peer.sync()

    again = sent(peer.tell(P[1], msg.IWon(1, 0)))
    other = sent(peer.tell(P[2], msg.IWon(1, 0)))
    lower = sent(peer.tell(P[2], msg.IWon(0, 0)))

    assert [type(m) for m in again] == [msg.Promise]
    assert other == lower == [msg.Refused(1)]


@pytest.mark.parametrize("end", ["nothing", "an election timeout", "the link", "another step"])
def test_rival_of_a_nominee_that_copies_gets_no_promise(end: str) -> None:
    """N8: until the copy has stood still for an election timeout, or its nominee is gone."""
    peer = Lone()
    peer.tell(P[1], msg.IWon(1, 0))
    peer.sync()
    peer.tell(P[1], msg.IWon(1, 0, copies=True))
    later = peer.core.timing.heartbeat_timeout
    if end == "the link":
        peer.core.handle([ev.LinkLost(P[1], refused=False)], peer.core.now)
    elif end == "another step":
        peer.tell(P[1], msg.IWon(1, 0, copies=True), after=later - 1)

    wait = {"an election timeout": later, "another step": later - 1}.get(end, 0)
    answered = sent(peer.tell(P[2], msg.IWon(2, 0), after=wait)) + sent(peer.sync())
    asked = sent(peer.tell(P[2], msg.Poll(7)))

    left_alone = end in {"nothing", "another step"}
    expected = msg.TraderAlive if left_alone else msg.Promise
    assert [type(m) for m in answered] == [expected]
    assert [m.hears for m in asked if isinstance(m, msg.PollAnswer)] == [left_alone]


@pytest.mark.parametrize(("after", "epoch"), [(24, 0), (23, 1), (23, 0)])
def test_nominee_with_nothing_in_common_behind_the_base_gets_a_checkpoint(
    after: int, epoch: int
) -> None:
    """R8 (seed 31305753): at the base, too, if its own record there is another one."""
    peer = Lone()
    peer.tell(P[1], msg.IWon(1, 0))
    peer.sync()
    peer.core.journal.rebase((1, 24), b"", peer.core.members)

    told = peer.tell(P[1], msg.Fetch(1, epoch, after))

    assert [effect.number for effect in told if isinstance(effect, fx.ReadPart)] == [0]


def test_promise_that_a_higher_one_overtook_is_not_answered() -> None:
    """R4, R1."""
    peer = Lone()

    peer.tell(P[1], msg.IWon(1, 0))
    peer.tell(P[2], msg.IWon(2, 0))
    answers = sent(peer.sync())

    assert [m.epoch for m in answers if isinstance(m, msg.Promise)] == [2]


def test_append_that_a_promise_overtook_is_not_acknowledged() -> None:
    """Row 3, R4: the promise told of the journal's end, so the acknowledgement must not go out."""
    peer = Lone()
    peer.tell(P[1], append(1, blobs((1, 1))))

    peer.tell(P[2], msg.IWon(2, 0), after=200 * MS)
    answers = sent(peer.sync())

    assert [type(m) for m in answers if not isinstance(m, msg.Election)] == [msg.Promise]


def test_append_of_a_higher_epoch_raises_the_promise_before_its_records() -> None:
    """Row 2, R2: both in one sync, and acknowledged after it."""
    peer = Lone()

    effects = peer.tell(P[1], append(4, blobs((4, 2))))
    writes = [e for e in effects if isinstance(e, fx.WriteHard | fx.WriteRecord)]
    acknowledged = sent(peer.sync())

    assert [type(write) for write in writes] == [fx.WriteHard, fx.WriteRecord]
    assert peer.core.disk.durable_hard.promised == 4
    assert not [m for m in sent(effects) if isinstance(m, msg.Appended)]
    assert [m.match for m in acknowledged if isinstance(m, msg.Appended)] == [3]
    assert sent(peer.tell(P[2], append(3, []))) == [msg.Refused(4)]


def test_promise_to_a_nominee_that_lost_goes_over_to_the_trader_of_its_epoch() -> None:
    """R2: a majority invested the sender."""
    peer = Lone()
    peer.tell(P[1], msg.IWon(1, 0))
    peer.sync()

    peer.tell(P[2], append(1, blobs((1, 1))))

    assert (peer.core.disk.hard.promised, peer.core.disk.hard.promised_to) == (1, 2)


def test_second_trader_of_an_epoch_is_refused_and_told_of() -> None:
    """R2, S1."""
    peer = Lone()
    peer.tell(P[1], append(1, blobs((1, 1))))

    effects = peer.tell(P[2], append(1, blobs((1, 3))))

    assert [e.kind for e in effects if isinstance(e, fx.Note)] == ["second_trader"]
    assert peer.core.journal.last == (1, 2)


def test_who_hears_a_trader_promises_nothing() -> None:
    """Row 44, N3."""
    peer = Lone()
    peer.tell(P[1], append(1, blobs((1, 1))))

    answer = sent(peer.tell(P[2], msg.IWon(2, 0)))

    assert answer == [msg.TraderAlive(1, 2)]
    assert peer.core.epoch == 1


def test_commit_follows_only_what_the_message_verified() -> None:
    """Row 7, R6: a divergent suffix is not applied on a higher commit index."""
    peer = Lone()
    peer.tell(P[1], append(1, blobs((1, 1), (1, 1), (1, 1))))

    peer.tell(P[2], append(2, [], commit=4, after=1), after=200 * MS)

    assert (peer.core.commit, peer.core.journal.last) == (1, (1, 4))


def test_older_append_truncates_nothing() -> None:
    """Row 8, R6."""
    peer = Lone()
    records = blobs((1, 1), (1, 1), (1, 1))
    peer.tell(P[1], append(1, records))
    peer.sync()

    effects = peer.tell(P[1], append(1, records[:1], number=2))

    assert peer.core.journal.last == (1, 4)
    assert not [e for e in effects if isinstance(e, fx.Truncate)]


def test_acknowledgement_is_of_what_was_verified_and_never_the_end() -> None:
    """Row 9, R6: what lies behind may be another history."""
    peer = Lone()
    peer.tell(P[1], append(1, blobs((1, 1), (1, 1), (1, 1))))
    peer.sync()

    answers = sent(peer.tell(P[2], append(2, [], after=1), after=200 * MS)) + sent(peer.sync())

    assert [m.match for m in answers if isinstance(m, msg.Appended)] == [1]


def test_conflicting_suffix_is_dropped_from_the_first_record_that_differs() -> None:
    """R6."""
    peer = Lone()
    records = blobs((1, 1), (1, 1), (1, 1))
    peer.tell(P[1], append(1, records))

    effects = peer.tell(P[2], append(2, blobs((2, 2), after=records[0])), after=200 * MS)

    assert [e.after for e in effects if isinstance(e, fx.Truncate)] == [2]
    assert peer.core.journal.last == (2, 4)


def test_truncating_what_is_committed_halts_the_peer() -> None:
    """R6."""
    peer = Lone()
    peer.tell(P[1], append(1, blobs((1, 1), (1, 1)), commit=3))

    effects = peer.tell(P[2], append(2, blobs((2, 1))), after=200 * MS)

    assert [type(e) for e in effects if isinstance(e, fx.Halt | fx.Truncate)] == [fx.Halt]
    assert peer.core.handle([ev.Tick()], peer.core.now) == []


@pytest.mark.parametrize(
    "blob", [b"", b"\xc1", b"\x90", msg.encode(msg.Record(1, 2, 0, 0, {}, []))]
)
def test_record_that_cannot_be_is_noted_and_not_taken(blob: bytes) -> None:
    peer = Lone()

    effects = peer.tell(P[1], msg.Append(1, 1, 0, 1, 0, 0, [blob], {}))

    assert "bad_record" in [e.kind for e in effects if isinstance(e, fx.Note)]
    assert peer.core.journal.last == (0, 1)


def test_best_journal_is_served_only_while_the_promise_is_exactly_that() -> None:
    """Rows 10, 11, R8."""
    peer = Lone()
    peer.tell(P[1], append(1, blobs((1, 1), (1, 1))))
    peer.tell(P[2], msg.IWon(2, 0), after=200 * MS)
    peer.sync()

    served = sent(peer.tell(P[2], msg.Fetch(2, 0, 1)))
    peer.tell(P[1], msg.IWon(3, 0))
    undecided = sent(peer.tell(P[2], msg.Fetch(2, 0, 1)))
    peer.sync()

    assert [len(m.records) for m in served if isinstance(m, msg.Chunk)] == [2]
    assert undecided == [msg.Refused(3)]


def test_trader_that_grants_a_promise_counts_nothing_more_for_its_reign() -> None:
    """Rows 1, 4, R1, R5."""
    ring = Ring(3)
    trader = ring.settle()
    ring.lost = lambda _, __, message: isinstance(message, msg.Appended)
    ring.add(trader, 1)
    ring.run(MS)
    core = ring.peers[trader]
    other = next(peer for peer in P if peer != trader)
    end, commit = core.journal.last[1], core.commit

    core.handle([ev.Received(other, append(5, [], after=end))], ring.now)
    core.handle([ev.Received(other, msg.Appended(1, 9, end, {}, 1, 0, 0))], ring.now)

    assert core.role is Role.FOLLOWER
    assert end > commit == core.commit


def test_submission_is_sent_again_unchanged() -> None:
    """T1, R13 e: one stamp, one number, whoever trades."""
    ring = Ring(3)
    trader = ring.settle()
    other = next(peer for peer in P if peer != trader)
    ring.lost = lambda _, __, message: isinstance(message, msg.Submit)
    ring.add(other, 1)
    ring.run(500 * MS)

    subs = [sub for a, _, m in ring.sent if a == other and isinstance(m, msg.Submit)
            for sub in m.submissions if sub.kind == msg.COMMAND]  # fmt: skip

    assert len(subs) > 2
    assert all(sub == subs[0] for sub in subs)


def test_what_is_pending_together_is_one_batch_with_causes_first() -> None:
    """T4, S8: cut while the batch before is under way."""
    ring = Ring(3)
    trader = ring.settle()
    end = ring.peers[trader].journal.last[1]
    others = [peer for peer in P if peer != trader]

    ring.add(trader, 1)
    for request, peer in enumerate(others * 3, 2):
        ring.add(peer, request)
    ring.until(lambda: len(ring.replies) == 7)

    records = [s for s in ring.disks[trader].records if s.first > end]
    assert [s.last - s.first + 1 for s in records] == [1, 6]
    entries = msg.decode_record(records[1].blob).entries
    ranks = [e.rank for e in entries if isinstance(e, msg.Submission)]
    assert ranks == sorted(ranks)


def test_peer_whose_state_differs_from_a_majority_restarts() -> None:
    """H1."""
    ring = Ring(3)
    trader = ring.settle()
    wrong = next(peer for peer in P if peer != trader)
    ring.peers[wrong].state.hash ^= 1

    for request in range(1, 6):
        ring.add(trader, request)
        ring.until(lambda r=request: r in ring.replies)  # type: ignore[misc]
    ring.run(300 * MS)

    assert list(ring.halted) == [wrong]


def test_trader_whose_state_differs_from_a_majority_restarts() -> None:
    """Row 70, H1: one broken memory does not spread."""
    ring = Ring(3)
    trader = ring.settle()
    ring.peers[trader].state.hash ^= 1

    for request in range(1, 6):
        ring.add(trader, request)
    ring.run(300 * MS)

    assert list(ring.halted) == [trader]


def test_peer_is_ready_without_a_trader_and_not_while_it_is_far_behind() -> None:
    """K1, rows 48 and 51."""
    peer = Lone()
    assert peer.core.is_ready()

    peer.tell(P[1], append(1, blobs((1, 1)), commit=20_000))

    assert not peer.core.is_ready()
