"""Who is nominated, and who stands: the choices of N1–N8, one line each."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bazaar_peer.core import effects as fx
from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
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

    nominator.nominate(choice.tally)

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
