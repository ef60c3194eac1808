"""Stories of a small ring without I/O: election, trade, crash, hand-over, reads, copies.

Each goes one way through the whole core; what may go wrong besides is the simulator's business.
"""

from __future__ import annotations

import pytest

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.types import MS, NOBODY, SECOND, Limits, PeerId, Role
from bazaar_peer.core.vector_clock import sealed
from tests.unit.core.ring import Ring

P = [PeerId(i) for i in range(6)]


@pytest.fixture(params=["ring", "bully"])
def six(request: pytest.FixtureRequest) -> Ring:
    ring = Ring(6, election=request.param)
    ring.settle()
    return ring


# ---- elections -----------------------------------------------------------------------------------


def test_highest_peer_is_elected_in_the_first_epoch(six: Ring) -> None:
    assert six.trader == P[5]
    assert {core.epoch for core in six.peers.values()} == {1}
    assert [note["epoch"] for note in six.noted("reign_begun")] == [1]


def test_ring_of_one_elects_itself_and_trades() -> None:
    """Row 71."""
    ring = Ring(1)
    ring.settle()

    ring.add(P[0], 1, 5)
    ring.until(lambda: 1 in ring.replies)

    assert ring.values() == [5]


def test_next_trader_has_everything_and_a_higher_epoch(six: Ring) -> None:
    for request in range(1, 21):
        six.add(P[request % 6], request)
    six.until(lambda: len(six.replies) == 20)

    six.kill(P[5])
    trader = six.settle()

    assert trader == P[4]
    assert six.values() == [20] * 5
    assert six.peers[trader].epoch == 2


def test_proved_crash_is_not_waited_for(six: Ring) -> None:
    """N3: a refused connection proves it; no heartbeat timeout passes."""
    began, timing = six.now, six.peers[P[0]].timing

    six.kill(P[5])
    six.until(lambda: six.trader == P[4])

    assert six.now - began < timing.step


def test_minority_elects_nobody(six: Ring) -> None:
    for peer in (P[5], P[4], P[3]):
        six.kill(peer)

    six.run(3 * SECOND)

    assert six.trader == NOBODY
    assert all(role is not Role.TRADER for role in six.roles().values())


def test_trader_that_hears_no_majority_steps_down(six: Ring) -> None:
    """N5 b."""
    six.isolate(P[5], P[4])

    six.until(lambda: six.peers[P[5]].role is not Role.TRADER)

    why = six.noted("stepped_down")[-1]["why"]
    assert why == "no majority accepted an Append in time"


def test_majority_side_of_a_cut_goes_on_and_the_other_follows_later(six: Ring) -> None:
    six.isolate(P[5], P[0])
    six.until(lambda: six.trader in P[1:5] and six.peers[six.trader].epoch > 1)
    six.add(P[1], 1, 7)
    six.until(lambda: six.answered(1) is Status.OK)
    assert six.values()[0] == 0

    six.heal()
    trader = six.settle()

    assert trader not in {P[5], P[0]}
    assert six.values() == [7] * 6


def test_peer_that_restarts_follows_and_has_its_promise(six: Ring) -> None:
    """S2: what it promised before, it still holds itself to."""
    six.kill(P[2])
    six.restart(P[2])
    assert six.peers[P[2]].epoch == 1

    six.settle()

    assert six.peers[P[2]].trader == P[5]
    assert six.disks[P[2]].hard.boot == 2


# ---- requests ------------------------------------------------------------------------------------


def test_request_goes_to_the_next_reign_at_once_even_if_missing_answers_are_looked_for(
    six: Ring,
) -> None:
    """R13 e: both in one turn, the look found nothing to be late and let go what was to be sent."""
    held: list[tuple[PeerId, msg.Message]] = []

    def lost(sender: PeerId, to: PeerId, message: msg.Message) -> bool:
        if to == P[0] and isinstance(message, msg.Append) and message.epoch == 2:
            held.append((sender, message))
            return True
        return to == P[5]

    six.lost = lost
    six.add(P[0], 1, 3)
    look_at = six.peers[P[0]].ingress.scan_at
    six.kill(P[5])
    six.until(lambda: held)
    six.run(look_at - six.now - 1)
    six.now, first = look_at, held[0]
    six.heal()
    six.feed(P[0], ev.Received(*first))
    six.run(5 * MS)

    assert six.answered(1) is Status.OK


def test_request_under_way_when_the_trader_dies_is_answered_by_the_next(six: Ring) -> None:
    """Row 64, and the report's lost request."""
    six.lost = lambda sender, _, message: sender == P[5] and isinstance(message, msg.Answers)
    six.add(P[0], 1, 3)
    six.run(MS)
    assert six.replies == {}

    six.kill(P[5])
    six.until(lambda: 1 in six.replies)
    six.settle()

    assert six.answered(1) is Status.OK
    assert six.values() == [3] * 5


def test_request_that_was_never_sent_is_told_so_at_its_deadline() -> None:
    """R13 e: 503, nothing can have happened."""
    ring = Ring(3)
    ring.lost = lambda *_: True
    ring.add(P[0], 1, deadline=2 * SECOND)

    ring.until(lambda: 1 in ring.replies)

    assert (ring.answered(1), ring.now >= 2 * SECOND) == (Status.NEVER_SENT, True)


def test_request_that_was_sent_is_unknown_at_its_deadline(six: Ring) -> None:
    """R13 e: 504, and it may still be executed: here it is."""
    six.lost = lambda sender, _, message: isinstance(message, msg.Appended)
    six.add(P[0], 1, 3, deadline=six.now + 100 * MS)

    six.until(lambda: 1 in six.replies)
    six.heal()
    six.settle()
    six.run(SECOND)

    assert six.answered(1) is Status.UNKNOWN
    assert six.values() == [3] * 6


def test_same_key_through_two_peers_is_executed_once(six: Ring) -> None:
    six.add(P[0], 1, 3, key="k")
    six.add(P[1], 2, 3, key="k")
    six.until(lambda: len(six.replies) == 2)
    six.add(P[2], 3, 4, key="k")
    six.until(lambda: 3 in six.replies)

    one, two = six.replies[1].answer, six.replies[2].answer
    assert one is not None
    assert two is not None
    assert (one.index, one.body) == (two.index, two.body)
    assert six.answered(3) is Status.OTHER_BODY
    assert set(six.values()) == {3}


def test_every_duplicate_of_a_submission_is_harmless(six: Ring) -> None:
    """R13 b: what the ingress sends again, unchanged, executes nothing twice."""
    six.add(P[0], 1, 3)
    six.until(lambda: 1 in six.replies)
    submits = [m for a, _, m in six.sent if a == P[0] and isinstance(m, msg.Submit)]

    for _ in range(3):
        for submit in submits:
            six.feed(P[5], ev.Received(P[0], submit))
    six.run(SECOND)

    assert six.values() == [3] * 6


def test_submission_to_a_peer_that_does_not_trade_is_not_forwarded(six: Ring) -> None:
    """Row 52."""
    six.sent.clear()
    sub = msg.Submission(99, 1, 1, msg.COMMAND, "c", "", 7, 0, *sealed({}), b"")

    six.feed(P[1], ev.Received(P[0], msg.Submit([sub], {})))
    six.run(MS)

    from_it = [(to, m) for sender, to, m in six.sent if sender == P[1]]
    assert from_it[0] == (P[0], msg.NotTrader(1, 5))
    assert not any(isinstance(m, msg.Submit) for _, m in from_it)


def test_more_requests_than_a_peer_takes_are_refused_before_anything_is_sent() -> None:
    ring = Ring(3)
    ring.settle()
    ingress = ring.peers[P[0]].settings.ingress_max
    ring.lost = lambda *_: True

    for request in range(1, ingress + 2):
        ring.add(P[0], request)

    assert ring.replies.keys() == {ingress + 1}
    assert ring.answered(ingress + 1) is Status.BUSY


def test_command_waits_for_the_index_that_it_names(six: Ring) -> None:
    """T5."""
    ahead = six.peers[P[0]].state.index + 1
    six.add(P[0], 1, 3, after_index=ahead)
    six.run(100 * MS)
    assert six.replies == {}

    six.add(P[1], 2, 4)
    six.until(lambda: 1 in six.replies)

    answer = six.replies[1].answer
    assert answer is not None
    assert answer.body == b'{"value":7}'


def test_client_that_hung_up_is_not_answered_and_its_command_goes_on(six: Ring) -> None:
    six.add(P[0], 1, 3)

    six.feed(P[0], ev.Forget(1))
    six.until(lambda: six.values() == [3] * 6)

    assert six.replies == {}


# ---- reads ---------------------------------------------------------------------------------------


def read(ring: Ring, peer: PeerId, request: int, *, after: int = 0, linear: bool = True) -> None:
    deadline = ring.now + SECOND
    ring.feed(
        peer,
        ev.Read(request=request, linearizable=linear, deadline=deadline, after_index=after),
    )


@pytest.mark.parametrize("peer", [P[5], P[0]], ids=["trader", "follower"])
def test_linearizable_read_sees_every_command_answered_before_it(six: Ring, peer: PeerId) -> None:
    """S9, R12."""
    six.add(P[3], 1, 9)
    six.until(lambda: 1 in six.replies)
    answer = six.replies[1].answer
    assert answer is not None

    read(six, peer, 2)
    six.until(lambda: 2 in six.ready)

    assert six.peers[peer].state.index >= answer.index


def test_trader_that_lost_its_majority_answers_no_linearizable_read(six: Ring) -> None:
    """Row 23: it does not know yet, and another may trade already."""
    six.isolate(P[5])

    read(six, P[5], 1)
    six.until(lambda: 1 in six.replies)

    assert six.ready == []
    assert six.answered(1) is Status.NEVER_SENT


def test_read_waits_over_an_election(six: Ring) -> None:
    six.lost = lambda _, to, message: to == P[5] and isinstance(message, msg.ReadIndex)
    read(six, P[0], 1)

    six.kill(P[5])
    six.until(lambda: 1 in six.ready)

    assert six.peers[P[0]].epoch == 2


def test_plain_read_waits_for_its_index_only(six: Ring) -> None:
    six.isolate(P[0])
    here = six.peers[P[0]].state.index

    read(six, P[0], 1, after=here, linear=False)
    read(six, P[0], 2, after=here + 1, linear=False)

    assert six.ready == [1]


# ---- hand-over -----------------------------------------------------------------------------------


def test_hand_over_names_the_most_caught_up_and_loses_nothing(six: Ring) -> None:
    """R11."""
    for request in range(1, 11):
        six.add(P[request % 6], request)
    six.feed(P[5], ev.Resign(leaving=False))
    for request in range(11, 21):
        six.add(P[request % 6], request)

    six.until(lambda: six.settled() and six.trader != P[5])

    assert six.trader == P[4]
    six.until(lambda: len(six.replies) == 20)
    assert all(reply.status == Status.OK for reply in six.replies.values())
    assert set(six.values()) == {20}


def test_hand_over_follows_the_wish(six: Ring) -> None:
    six.feed(P[5], ev.Resign(leaving=False, successor=1))

    six.until(lambda: six.settled() and six.trader != P[5])

    assert six.trader == P[1]


@pytest.mark.parametrize("preempt", [False, True])
def test_highest_peer_takes_the_post_back_only_if_that_is_wished(preempt: bool) -> None:
    ring = Ring(3, preempt=preempt)
    ring.settle()
    ring.kill(P[2])
    ring.settle()
    ring.restart(P[2])
    ring.run(3 * SECOND)

    assert ring.trader == (P[2] if preempt else P[1])
    assert len(ring.noted("reign_begun")) == (3 if preempt else 2)


def test_preferred_peer_that_leaves_is_left_alone() -> None:
    """It serves on for a while, linked and caught up, and takes no nomination any more."""
    ring = Ring(5, preempt=True)
    ring.settle()
    ring.feed(P[4], ev.Resign(leaving=True))
    ring.until(lambda: ring.trader not in (P[4], NOBODY))
    began = len(ring.noted("reign_begun"))
    ring.run(5 * SECOND)

    assert len(ring.noted("reign_begun")) == began


def test_hand_over_to_a_successor_that_crashed_goes_to_the_next(six: Ring) -> None:
    """Rows 49, 66."""
    six.lost = lambda _, to, message: to == P[4] and isinstance(message, msg.Nominated)
    six.feed(P[5], ev.Resign(leaving=False))

    six.until(lambda: six.settled() and six.trader != P[5])

    assert [note["successor"] for note in six.noted("successor_named")][:2] == [4, 3]


def test_post_is_opened_again_when_nobody_takes_it() -> None:
    ring = Ring(3)
    trader = ring.settle()
    ring.lost = lambda _, to, message: isinstance(message, msg.Nominated)

    ring.feed(trader, ev.Resign(leaving=False))
    ring.add(P[0], 1)
    ring.until(lambda: 1 in ring.replies)

    assert ring.noted("post_reopened")
    assert (ring.trader, ring.answered(1)) == (trader, Status.OK)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_trader_that_leaves_stays_until_the_next_reign_is_committed(count: int) -> None:
    """Row 67: with two peers its own vote is needed."""
    ring = Ring(count)
    old = ring.settle()

    ring.feed(old, ev.Resign(leaving=True))
    ring.until(lambda: old in ring.left)

    assert ring.trader not in {old, NOBODY}
    assert not ring.peers[old].is_ready()


def test_peer_alone_leaves_when_it_has_answered_what_it_took() -> None:
    """Row 66: nobody to hand over to."""
    ring = Ring(1)
    ring.settle()
    ring.add(P[0], 1)

    ring.feed(P[0], ev.Resign(leaving=True))
    ring.until(lambda: P[0] in ring.left)

    assert ring.answered(1) is Status.OK


def test_who_is_leaving_is_never_nominated(six: Ring) -> None:
    """Row 73: two leavers do not hand over to each other for ever."""
    for peer in (P[4], P[5]):
        six.feed(peer, ev.Resign(leaving=True))

    six.until(lambda: {P[4], P[5]} <= set(six.left))

    assert six.trader not in {P[4], P[5], NOBODY}


def test_resignation_of_a_follower_changes_nothing(six: Ring) -> None:
    six.feed(P[1], ev.Resign(leaving=False))
    six.run(SECOND)

    assert (six.trader, six.peers[P[5]].epoch) == (P[5], 1)


# ---- copies --------------------------------------------------------------------------------------


def test_checkpoint_is_written_at_its_interval_while_there_is_something_new() -> None:
    ring = Ring(3, checkpoint_interval=SECOND)
    trader = ring.settle()
    saved: list[int] = []
    for request in range(1, 4):
        ring.run(2 * SECOND)
        ring.add(trader, request)
        ring.until(lambda r=request: r in ring.replies)  # type: ignore[misc]
        ring.run(SECOND // 2)
        saved.append(ring.peers[trader].saved_index)
    ring.run(5 * SECOND)

    assert saved == sorted(set(saved))
    assert saved[0] > 0
    assert ring.peers[trader].saved_index == saved[-1]


def test_journal_goes_as_soon_as_the_slowest_has_it() -> None:
    """C1: no checkpoint later; who is away at each checkpoint would else keep it for ever."""
    ring = Ring(3, checkpoint_entries=4)
    trader = ring.settle()
    away = next(peer for peer in ring.peers if peer != trader)
    ring.kill(away)
    for request in range(1, 9):
        ring.add(trader, request)
        ring.until(lambda r=request: r in ring.replies)  # type: ignore[misc]
    saved = {peer: core.saved_index for peer, core in ring.peers.items() if peer != away}
    kept = [ring.peers[peer].journal.base[1] for peer in saved]

    ring.restart(away)
    ring.until(lambda: all(ring.peers[p].journal.base[1] >= saved[p] for p in saved))

    assert min(saved.values()) > max(kept)


def test_peer_that_lacks_pruned_records_gets_a_checkpoint() -> None:
    """C1–C4."""
    ring = Ring(3, checkpoint_entries=5)
    trader = ring.settle()
    behind = next(peer for peer in P if peer != trader)
    ring.kill(behind)
    for peer in ring.peers.values():
        peer.settings = type(peer.settings)(
            me=peer.me, ring="r", checkpoint_entries=5, journal_max_bytes=0
        )
    for request in range(1, 40):
        ring.add(trader, request)
        ring.until(lambda r=request: r in ring.replies)  # type: ignore[misc]

    ring.restart(behind)
    ring.settle()

    assert ring.noted("checkpoint_installed")
    assert ring.values() == [39, 39, 39]
    assert len({core.state.full_hash() for core in ring.peers.values()}) == 1


def test_nominee_copies_what_it_lacks_before_it_reigns(six: Ring) -> None:
    """R8: the highest id is nominated even if it is a little behind, and gets what is committed."""
    six.lost = lambda _, to, message: to == P[4] and isinstance(message, msg.Append)
    six.add(P[0], 1, 5)
    six.until(lambda: 1 in six.replies)
    six.heal()

    six.kill(P[5])
    six.settle()

    assert six.trader == P[4]
    assert any(isinstance(m, msg.Chunk) and m.records for _, _, m in six.sent)
    assert six.values() == [5] * 5


def test_suffix_that_nobody_committed_is_dropped(six: Ring) -> None:
    """R6: a cut-off trader's batch makes way for the next reign's; its request is carried over."""
    six.isolate(P[5])
    six.add(P[5], 1, 100)
    six.until(lambda: six.trader not in {P[5], NOBODY})
    six.add(P[0], 2, 1)
    six.until(lambda: 2 in six.replies)

    six.heal()
    six.settle()
    six.until(lambda: 1 in six.replies)
    six.settle()

    assert six.noted("truncated")
    assert set(six.values()) == {101}


def test_keys_are_bounded_by_the_genesis_limits() -> None:
    ring = Ring(3, limits=Limits(keys=2))
    ring.settle()

    for request, key in enumerate(("a", "b", "c"), 1):
        ring.add(P[0], request, key=key)
        ring.until(lambda r=request: r in ring.replies)  # type: ignore[misc]

    assert [ring.answered(request) for request in (1, 2, 3)] == [
        Status.OK,
        Status.OK,
        Status.KEYS_FULL,
    ]


def test_checkpoint_is_not_read_for_who_cannot_be_reached() -> None:
    """C1: it is offered again when the follower that lacks it asks again."""
    ring = Ring(3)
    trader = ring.settle()
    core = ring.peers[trader]
    other = next(peer for peer in core.others)
    del core.linked[other]

    core.copying.begin_parts(other, core.epoch)

    assert (core.copying.sending, core.effects) == ({}, [])


def test_client_that_hung_up_is_found_wherever_its_request_waits(six: Ring) -> None:
    """Parked, numbered or reading: nothing is kept of it, and nothing is answered."""
    core = six.peers[P[0]]
    core.ingress.parked.clear()
    six.lost = lambda *_: True
    deadline = six.now + 10 * SECOND
    six.add(P[0], 1)
    six.add(P[0], 2, after_index=10_000)
    six.feed(P[0], ev.Read(request=3, linearizable=True, deadline=deadline))

    six.feed(P[0], ev.Forget(1), ev.Forget(2), ev.Forget(3))

    assert not core.ingress.parked
    assert not core.ingress.requests
    assert not core.ingress.reader.waiting
    assert [waiting.request for waiting in core.ingress.own.values()] == [0]
