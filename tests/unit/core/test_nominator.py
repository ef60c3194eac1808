"""Who is nominated, and who stands: the choices of N1–N8, one line each."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bazaar_peer.core import effects as fx
from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.standing import standing_of
from bazaar_peer.core.types import MS, SECOND, PeerId, Role
from tests.unit.core.ring import Ring

P = [PeerId(i) for i in range(5)]


def standing(peer: int, epoch: int = 1, index: int = 100, *, leaving: bool = False) -> msg.Standing:
    return msg.Standing(peer, epoch, index, leaving)


@dataclass(frozen=True)
class Choice:
    """A tally, and whom peer 1 of five nominates by it; None: nobody, the attempt failed."""

    tally: tuple[msg.Standing, ...]
    nominee: int | None
    excluded: tuple[int, ...] = ()
    failed: int = 0
    unlinked: tuple[int, ...] = ()


CHOICES = {
    "the highest id of the tally": Choice((standing(1), standing(2), standing(3)), 3),
    "oneself, if that is the highest": Choice((standing(1), standing(0)), 1),
    "not who leaves, or whose disk is stalled": Choice(
        (standing(1), standing(2), standing(4, leaving=True)), 2
    ),
    "not who did not reign lately (N4)": Choice((standing(1), standing(2), standing(4)), 2, (4,)),
    "an excluded one, if there is no other": Choice((standing(4), standing(3)), 4, (3, 4)),
    "not who cannot be reached": Choice((standing(1), standing(2), standing(4)), 2, unlinked=(4,)),
    "who is behind, but within the catch-up limit": Choice(
        (standing(1, index=5000), standing(4, index=4000)), 4
    ),
    "not who is further behind": Choice((standing(1, index=5000), standing(4, index=3000)), 1),
    "after a failed round half as far": Choice(
        (standing(1, index=5000), standing(4, index=4400)), 1, failed=1
    ),
    "and within that": Choice((standing(1, index=5000), standing(4, index=4600)), 4, failed=1),
    "from the third failed round the best journal only": Choice(
        (standing(1, index=5000), standing(4, index=4999)), 1, failed=3
    ),
    "where epochs come before indexes": Choice(
        (standing(1, epoch=2, index=50), standing(4, epoch=1, index=5000)), 1, failed=3
    ),
    "nobody who is no voter": Choice((standing(9), standing(1)), 1),
    "nobody, if all leave": Choice((standing(1, leaving=True), standing(2, leaving=True)), None),
    "nobody of an empty tally": Choice((), None),
}


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
def test_nominee_is(choice: Choice) -> None:
    ring = Ring(5)
    core = ring.peers[P[1]]
    nominator = core.nominator
    nominator.failed = choice.failed
    for peer in choice.excluded:
        nominator.excluded[PeerId(peer)] = 3
    for peer in choice.unlinked:
        del core.linked[PeerId(peer)]
    core.effects.clear()

    nominator.nominate(choice.tally, core.epoch)

    told = [e.to[0] for e in core.effects
            if isinstance(e, fx.Send) and isinstance(e.message, msg.Nominated)]  # fmt: skip
    stands = [P[1]] if core.role is Role.NOMINEE else []
    assert told + stands == ([] if choice.nominee is None else [choice.nominee])
    assert (nominator.failed > choice.failed) == (choice.nominee is None)


# ---- who stands when it is told to ---------------------------------------------------------------


def nominated(ring: Ring, peer: PeerId, sender: PeerId, replaces: int, transfer: int = 0) -> Role:
    ring.lost = lambda *_: True
    ring.feed(peer, ev.Received(sender, msg.Nominated(replaces, transfer, ())))
    return ring.peers[peer].role


def test_nomination_is_ignored_by_who_hears_a_trader() -> None:
    """N2, row 44: a stale token deposes nobody."""
    ring = Ring(5)
    ring.settle()

    assert nominated(ring, P[1], P[2], replaces=1) is Role.FOLLOWER


def test_nomination_is_ignored_once_the_promise_has_moved_on() -> None:
    ring = Ring(5)
    trader = ring.settle()
    ring.isolate(trader)
    ring.run(400 * MS)
    other = ring.trader
    ring.isolate(P[0])
    ring.run(400 * MS)

    assert ring.peers[P[0]].epoch > 1
    assert other != trader
    assert nominated(ring, P[0], P[1], replaces=1) is Role.FOLLOWER
    assert nominated(ring, P[0], P[1], replaces=ring.peers[P[0]].epoch) is Role.NOMINEE


def test_hand_over_is_taken_from_the_own_trader_only() -> None:
    """N2: nobody else hands over in its name."""
    ring = Ring(5)
    trader = ring.settle()

    assert nominated(ring, P[1], P[2], replaces=1, transfer=1) is Role.FOLLOWER
    assert nominated(ring, P[1], trader, replaces=1, transfer=1) is Role.NOMINEE


def test_who_leaves_does_not_stand() -> None:
    ring = Ring(5)
    trader = ring.settle()
    ring.feed(P[1], ev.Resign(leaving=True))

    assert nominated(ring, P[1], trader, replaces=1, transfer=1) is Role.FOLLOWER


# ---- tokens --------------------------------------------------------------------------------------


def answers(ring: Ring, peer: PeerId, message: msg.Message, sender: PeerId) -> list[msg.Message]:
    """What a peer sends in answer to one message."""
    effects = ring.peers[peer].handle([ev.Received(sender, message)], ring.now)
    return [effect.message for effect in effects if isinstance(effect, fx.Send)]


def silent() -> Ring:
    """Five peers of which nobody has heard of a trader, before the first attempt."""
    ring = Ring(5)
    ring.lost = lambda *_: True
    return ring


def test_token_is_passed_to_the_next_successor_with_the_own_standing() -> None:
    """N1."""
    ring = silent()
    token = msg.Election(0, 1, 7, (standing(1, 0, 1),))

    sent = answers(ring, P[2], token, P[1])

    assert sent[0] == msg.TokenTaken(1, 7)
    assert sent[1] == msg.Election(0, 1, 7, (standing(1, 0, 1), standing(2, 0, 1)))


def test_token_goes_past_a_successor_that_does_not_take_it() -> None:
    """N1: within the hop timeout."""
    ring = silent()
    answers(ring, P[2], msg.Election(0, 1, 7, (standing(1),)), P[1])
    core = ring.peers[P[2]]

    effects = core.handle([ev.Tick()], ring.now + core.timing.hop_timeout)

    passed = [
        e.to[0] for e in effects if isinstance(e, fx.Send) and isinstance(e.message, msg.Election)
    ]
    assert passed == [P[4]]


def test_token_that_comes_round_again_is_an_orphan() -> None:
    """N1, row 42: its initiator is gone."""
    ring = silent()
    token = msg.Election(0, 1, 7, (standing(1), standing(2)))

    assert answers(ring, P[2], token, P[1]) == [msg.TokenTaken(1, 7)]


def test_token_ends_at_who_hears_a_trader() -> None:
    """N3."""
    ring = Ring(5)
    ring.settle()

    sent = answers(ring, P[2], msg.Election(1, 1, 7, (standing(1),)), P[1])

    assert sent == [msg.TokenTaken(1, 7), msg.TraderAlive(1, 1)]


def test_lower_token_is_dropped_while_the_own_lives_and_not_after() -> None:
    """N1, Chang–Roberts, and row 42: a higher initiator that never gets on blocks nobody."""
    ring = silent()
    core = ring.peers[P[3]]
    core.nominator.start()
    core.handle([], ring.now)
    token = msg.Election(0, 1, 7, (standing(1),))

    during = answers(ring, P[3], token, P[1])
    ring.now += SECOND
    core.handle([ev.Tick()], ring.now)
    after = answers(ring, P[3], token, P[1])

    assert during == [msg.TokenTaken(1, 7)]
    assert any(isinstance(m, msg.Election) and m.initiator == 1 for m in after)


def test_token_without_a_majority_leads_to_a_poll() -> None:
    """N4: with direct answers of a majority the initiator stands itself."""
    ring = silent()
    core = ring.peers[P[1]]
    core.nominator.start()
    core.handle([], ring.now)
    ring.now += core.timing.heartbeat_timeout

    effects = core.handle([ev.Tick()], ring.now)
    polls = [
        e.message for e in effects if isinstance(e, fx.Send) and isinstance(e.message, msg.Poll)
    ]
    for peer in (P[2], P[3]):
        answers(ring, P[1], msg.PollAnswer(polls[0].token, standing(peer), hears=False), peer)

    assert len(polls) == 1
    assert core.role is Role.NOMINEE


def test_poll_ends_when_somebody_hears_a_trader() -> None:
    ring = silent()
    core = ring.peers[P[1]]
    core.nominator.poll()
    core.handle([], ring.now)

    answers(ring, P[1], msg.PollAnswer(core.nominator.polling, standing(2), hears=True), P[2])

    assert (core.role, core.nominator.failed, core.nominator.polling) == (Role.FOLLOWER, 1, 0)


def test_wait_after_failures_is_random_and_bounded() -> None:
    """N6: uniform(0, 2^min(n, 4)) steps, drawn by the adapter."""
    ring = silent()
    core = ring.peers[P[1]]
    draws = iter([(1 << 31) - 1] * 10)
    core.jitter = lambda: next(draws)

    for failed in range(1, 8):
        core.nominator.own_candidacy_failed()

        wait = core.nominator.retry_at - core.now
        assert core.nominator.failed == failed
        assert 0 <= wait < core.timing.step << min(failed, 4)


def test_excluded_nominee_is_back_after_three_rounds() -> None:
    """N4."""
    ring = silent()
    nominator = ring.peers[P[1]].nominator
    nominator.own_candidacy_failed()
    seen = [P[1] in nominator.excluded]

    for _ in range(3):
        nominator._failed()
        seen.append(P[1] in nominator.excluded)

    assert seen == [True, True, True, False]


# ---- after healing (G4) --------------------------------------------------------------------------


def test_backoff_is_an_election_timeout_at_most() -> None:
    """N6, G4: after a thousand failures a peer is back as soon as after three."""
    ring = silent()
    core = ring.peers[P[1]]
    core.jitter = lambda: (1 << 31) - 1

    for _ in range(1000):
        core.nominator._failed()

    assert core.nominator.retry_at - core.now < core.timing.heartbeat_timeout


def test_link_that_is_up_again_ends_an_exclusion() -> None:
    """N4: who could not reign for want of links may again."""
    ring = silent()
    core = ring.peers[P[1]]
    core.nominator._exclude(P[2])
    core.nominator._exclude(P[3])

    core.handle([ev.LinkUp(P[2])], ring.now)

    assert list(core.nominator.excluded) == [P[3]]


def test_poll_of_another_peer_makes_the_ones_it_reaches_ask_too() -> None:
    """N4: who passed its token on would else wait an election timeout for nothing."""
    ring = silent()
    core = ring.peers[P[3]]
    answers(ring, P[3], msg.Election(0, 1, 7, (standing(1, 0, 1),)), P[1])
    patient = core.nominator.start_at()
    longest = core.timing.step + core.timing.heartbeat_timeout

    answers(ring, P[3], msg.Poll(1), P[1])
    asks_at = core.nominator.start_at()
    effects = core.handle([ev.Tick()], asks_at)

    assert asks_at < patient
    assert asks_at <= ring.now + longest
    assert msg.Poll(1, (0, 1)) in [e.message for e in effects if isinstance(e, fx.Send)]


def test_poll_of_another_peer_does_not_outrun_a_promise() -> None:
    """N8: whoever was promised to is left to get on with it."""
    ring = silent()
    core = ring.peers[P[3]]
    answers(ring, P[3], msg.IWon(1, 0), P[2])

    answers(ring, P[3], msg.Poll(1), P[1])

    assert core.nominator.start_at() >= ring.now + core.timing.heartbeat_timeout


def test_nominee_leaves_a_poll_unanswered() -> None:
    """Its own candidacy is under way: one more would only split the promises."""
    ring = silent()
    ring.peers[P[3]].nominee.start(transfer=0)

    assert answers(ring, P[3], msg.Poll(1), P[1]) == []


def test_answer_to_a_poll_names_the_promise() -> None:
    """R1: so that who stands after it takes an epoch above."""
    ring = silent()
    answers(ring, P[3], msg.IWon(9, 0), P[2])
    asked = answers(ring, P[3], msg.Poll(1), P[1])

    core = ring.peers[P[1]]
    core.nominator.poll()
    answers(
        ring,
        P[1],
        msg.PollAnswer(core.nominator.polling, standing(3), hears=False, promised=9),
        P[3],
    )

    assert [m.promised for m in asked if isinstance(m, msg.PollAnswer)] == [9]
    assert core.epoch_max == 9


def test_token_tells_the_highest_promise_on_its_way() -> None:
    """N2, N7: a nomination is not stale by a promise that its own tally knows of."""
    ring = silent()
    answers(ring, P[2], msg.IWon(4, 0), P[3])

    sent = answers(ring, P[2], msg.Election(0, 1, 7, (standing(1, 0, 1),)), P[1])
    there = answers(ring, P[3], msg.Election(6, 1, 8, (standing(1, 0, 1),)), P[1])

    assert [m.replaces for m in sent if isinstance(m, msg.Election)] == [4]
    assert [m.replaces for m in there if isinstance(m, msg.Election)] == [6]
    assert ring.peers[P[3]].epoch_max == 6


def test_token_that_is_gone_for_two_steps_leads_to_a_poll() -> None:
    """N4: a step is long enough for a round of the ring (N8)."""
    ring = silent()
    core = ring.peers[P[1]]
    core.nominator.start()
    core.handle([], ring.now)

    effects = core.handle([ev.Tick()], ring.now + 2 * core.timing.step)

    assert any(isinstance(e, fx.Send) and isinstance(e.message, msg.Poll) for e in effects)


def test_failed_initiator_does_not_wait_for_its_turn_again() -> None:
    """N6: turns keep first attempts apart, chance all others."""
    ring = silent()
    core = ring.peers[P[1]]
    core.nominator._failed()

    assert core.nominator.start_at() == core.nominator.retry_at


@pytest.mark.parametrize("epoch", [1, 5])
def test_nominee_stops_when_no_majority_is_left_to_promise(epoch: int) -> None:
    """R3: who promised this epoch to another never promises it here; a higher one is enough."""
    ring = silent()
    core = ring.peers[P[1]]
    core.nominee.start(transfer=0)
    core.handle([ev.DiskDone(core.disk.issued)], ring.now)
    refusals = [P[2], P[3], P[4]] if epoch == core.epoch else [P[2]]

    roles = []
    for peer in refusals:
        answers(ring, P[1], msg.Refused(epoch), peer)
        roles.append(core.role)

    assert roles == [Role.NOMINEE] * (len(refusals) - 1) + [Role.FOLLOWER]


def test_nominee_with_a_rival_does_not_wait_out_a_split() -> None:
    """One peer is gone, unnoticed: the promises of the others are all that there will be."""
    ring = silent()
    core = ring.peers[P[1]]
    core.nominee.start(transfer=0)
    core.handle([ev.DiskDone(core.disk.issued)], ring.now)

    answers(ring, P[1], msg.Refused(core.epoch), P[2])
    core.handle([ev.Tick()], ring.now + 2 * core.timing.step)

    assert core.role is Role.FOLLOWER


def test_nominee_gives_way_when_it_reaches_too_few_of_the_newer_members() -> None:
    """R9: by its own old journal it has a majority, and would take the others' promises for ever.

    Two election timeouts later one of those that promised has had its turn.
    """
    ring = silent()
    core = ring.peers[P[1]]
    for peer in (P[3], P[4]):
        core.handle([ev.LinkLost(peer, refused=False)], ring.now)
    core.nominee.start(transfer=0)
    core.handle([ev.DiskDone(core.disk.issued)], ring.now)
    newer = tuple(msg.Member(i) for i in range(7))

    answers(ring, P[1], msg.Promise(core.epoch, 9, 9, newer), P[0])

    assert core.role is Role.FOLLOWER
    assert core.nominator.start_at() - core.now == 2 * core.timing.heartbeat_timeout


def test_token_that_was_passed_on_is_waited_for_as_long_as_by_its_initiator() -> None:
    """N8: two steps after that nobody holds it any more."""
    ring = silent()
    core = ring.peers[P[2]]
    answers(ring, P[2], msg.Election(0, 1, 7, (standing(1, 0, 1),)), P[1])

    assert core.nominator.token_until == core.now + 2 * core.timing.step


def test_who_reaches_no_majority_is_not_nominated() -> None:
    """Its line in a tally says so, like that of a peer that leaves."""
    ring = silent()
    core = ring.peers[P[1]]
    seen = [standing_of(core).leaving]

    for peer in (P[2], P[3], P[4]):
        core.handle([ev.LinkLost(peer, refused=False)], ring.now)
        seen.append(standing_of(core).leaving)

    assert seen == [False, False, False, True]


@pytest.mark.parametrize("before", ["its nominee did not reign", "it reached no majority"])
def test_bully_stands_itself_when(before: str) -> None:
    """N4, for the second nominator: the highest may reach no majority, who asks does."""
    ring = Ring(3, election="bully")
    ring.lost = lambda *_: True
    core = ring.peers[P[0]]
    if before == "its nominee did not reign":
        core.nominator._exclude(P[2])
        core.nominator._failed()
    else:
        core.nominator.start()
        core.handle([ev.Tick()], ring.now + core.timing.heartbeat_timeout)
    core.nominator.start()

    answers(ring, P[0], msg.PollAnswer(core.nominator.polling, standing(2), hears=False), P[2])

    assert core.role is Role.NOMINEE


def test_bully_stands_itself_if_somebody_linked_does_not_answer() -> None:
    """N4: behind a cut that nobody noticed, the best may reach fewer than who asks."""
    ring = Ring(5, election="bully")
    ring.lost = lambda *_: True
    core = ring.peers[P[1]]
    core.nominator.start()

    for peer in (P[0], P[2]):
        answers(ring, P[1], msg.PollAnswer(core.nominator.polling, standing(2), hears=False), peer)
    before = core.role
    core.handle([ev.Tick()], core.nominator.poll_until)

    assert (before, core.role) == (Role.FOLLOWER, Role.NOMINEE)


@pytest.mark.parametrize(("sender", "epoch", "hears"), [(0, 1, False), (1, 1, True), (0, 0, True)])
def test_trader_that_stepped_down_is_not_waited_for(sender: int, epoch: int, hears: bool) -> None:
    """N3: its word is proof, as far as it is about the reign that is followed."""
    ring = Ring(5)
    trader = ring.settle()
    follower = next(peer for peer in P if peer != trader)
    says = trader if sender == 0 else next(p for p in P if p not in {trader, follower})

    answers(ring, follower, msg.SteppedDown(epoch), says)

    assert ring.peers[follower].hearing() is hears


def test_trader_that_is_heard_again_is_told_of() -> None:
    """Its silence was one at a single peer, whose attempts were in vain: no reign was lost."""
    ring = Ring(3)
    trader = ring.settle()
    epoch = ring.peers[trader].epoch
    deaf = next(peer for peer in ring.peers if peer != trader)
    assert ring.noted("hears_again") == []

    ring.lost = lambda sender, to, _: (sender, to) == (trader, deaf)
    ring.run(3 * ring.peers[deaf].timing.heartbeat_timeout)
    assert ring.noted("election") != []
    assert ring.noted("hears_again") == []
    ring.lost = lambda *_: False
    ring.until(ring.peers[deaf].hearing)
    ring.run(SECOND)

    assert ring.noted("hears_again") == [{"epoch": epoch, "trader": trader}]
    assert ring.settle() == trader


def test_trader_that_steps_down_says_so() -> None:
    ring = Ring(5)
    trader = ring.settle()
    ring.lost = lambda _, to, message: to == trader and isinstance(message, msg.Appended)

    ring.until(lambda: ring.peers[trader].role is not Role.TRADER)

    told = [to for sender, to, message in ring.sent if message == msg.SteppedDown(1)]
    assert told == [peer for peer in P if peer != trader]


def test_of_two_that_poll_at_once_the_higher_stands_first() -> None:
    """N4: the lower waits for a step behind the higher one's question, then it stands itself."""
    ring = silent()
    core = ring.peers[P[1]]
    core.nominator.poll()
    asked = core.now
    answers(ring, P[1], msg.Poll(3), P[4])
    for peer in (P[2], P[3], P[4]):
        answer = msg.PollAnswer(core.nominator.polling, standing(peer), hears=False)
        answers(ring, P[1], answer, peer)
    waited = core.role
    core.handle([ev.Tick()], asked + core.timing.step)

    assert (waited, core.role) == (Role.FOLLOWER, Role.NOMINEE)


def test_two_that_wait_for_the_same_higher_one_do_not_both_stand_then() -> None:
    """N4: the lower waits a step more for the other, who may be through with its own wait first."""
    ring = silent()
    core = ring.peers[P[1]]
    core.nominator.poll()
    asked, step = core.now, core.timing.step
    for peer in (P[3], P[4]):
        answers(ring, P[1], msg.Poll(3), peer)
    for peer in (P[2], P[3], P[4]):
        answer = msg.PollAnswer(core.nominator.polling, standing(peer), hears=False)
        answers(ring, P[1], answer, peer)
    core.handle([ev.Tick()], asked + step)
    behind_one = core.role
    core.handle([ev.Tick()], asked + 2 * step)

    assert (behind_one, core.role) == (Role.FOLLOWER, Role.NOMINEE)


def test_question_of_a_higher_id_is_forgotten_when_its_poll_is_over() -> None:
    ring = silent()
    core = ring.peers[P[1]]
    answers(ring, P[1], msg.Poll(3), P[4])
    later = ring.now + 2 * core.timing.step
    core.handle([ev.Received(P[3], msg.Poll(3))], later)

    assert core.nominator.higher_until == later + core.timing.step


def test_who_promises_ends_its_own_attempt() -> None:
    """N8: to stand, or to nominate, would undo who has the promise."""
    ring = silent()
    core = ring.peers[P[1]]
    core.nominator.poll()
    polling = core.nominator.polling
    answers(ring, P[1], msg.IWon(core.epoch + 1, 0), P[4])
    for peer in (P[2], P[3]):
        answers(ring, P[1], msg.PollAnswer(polling, standing(peer), hears=False), peer)

    assert core.role is Role.FOLLOWER
    assert core.disk.hard.promised_to == P[4]


def test_peer_that_alone_does_not_hear_the_trader_is_unready_until_it_does() -> None:
    """K1, row 51: its clients would wait, though the ring is healthy."""
    ring = silent()
    core = ring.peers[P[1]]
    assert core.is_ready(), "an interregnum makes nobody unready"

    core.nominator.poll()
    told = msg.PollAnswer(core.nominator.polling, standing(2), hears=True, trades=True)
    answers(ring, P[1], told, P[2])
    assert not core.is_ready()

    core.handle([ev.Tick()], ring.now + 3 * core.timing.heartbeat_timeout)
    assert core.is_ready(), "nobody has said so since"


def test_peer_that_waits_for_a_nominee_with_others_stays_ready() -> None:
    """K1: a nominee that copies is an interregnum."""
    ring = silent()
    core = ring.peers[P[1]]
    core.nominator.poll()

    told = msg.PollAnswer(core.nominator.polling, standing(2), hears=True)
    answers(ring, P[1], told, P[2])

    assert core.is_ready()


def test_answer_says_whether_a_trader_is_heard() -> None:
    ring = Ring(3)
    trader = ring.settle()
    follower = next(p for p in ring.peers if p != trader)

    [told] = answers(ring, follower, msg.Poll(7), P[trader])

    assert isinstance(told, msg.PollAnswer)
    assert told.trades
