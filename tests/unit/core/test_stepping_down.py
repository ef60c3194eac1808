"""When a reign that gets nowhere ends: what counts as movement of the commit index (N5 c)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.progress import Progress
from bazaar_peer.core.types import MS, PeerId, Role
from tests.unit.core.ring import Ring

EVERY = 10 * MS
LONG = 2000 * MS


def stuck() -> tuple[Ring, PeerId, PeerId]:
    """Three peers whose followers hear their trader, but get nothing to their disks any more."""
    ring = Ring(3)
    trader = ring.settle()
    for request in range(1, 9):
        ring.add(trader, request)
        ring.until(lambda r=request: r in ring.replies)  # type: ignore[misc]
    ring.lost = lambda _, to, message: (
        to == trader
        and (isinstance(message, msg.AppendRefused | msg.Appended) and not calm(message))
    )
    ring.add(trader, 9)
    core = ring.peers[trader]
    for peer in core.others:  # as in a reign that has just begun
        core.trader_role.progress[peer] = Progress(core.journal.last[1] + 1, ring.now)
    return ring, trader, next(PeerId(p) for p in range(3) if p != trader)


def calm(message: msg.Message) -> bool:
    """Tell an answer that says only that the trader is heard."""
    return isinstance(message, msg.Appended) and message.match == 0


def lasts(ring: Ring, trader: PeerId, says: Callable[[], Iterator[ev.Event]]) -> int:
    """Return for how long the reign lasts while a follower says this; `LONG` at most."""
    core, began = ring.peers[trader], ring.now
    while core.role is Role.TRADER and ring.now < began + LONG:
        round_seen = core.trader_role.round
        for other in core.others:
            ring.feed(trader, ev.Received(other, msg.Appended(1, round_seen, 0, {}, 1, 0, 0)))
        ring.feed(trader, *says())
        ring.run(EVERY)
    return ring.now - began


def refusals(core_round: Callable[[], int], follower: PeerId, hints: Iterator[int]) -> ev.Received:
    return ev.Received(follower, msg.AppendRefused(1, core_round(), next(hints)))


def again(hint: int) -> Iterator[int]:
    while True:
        yield hint


@pytest.mark.parametrize("hints", [[5], [5, 4], [8, 3, 8, 3]], ids=str)
def test_follower_that_refuses_for_ever_does_not_prolong_a_reign(hints: list[int]) -> None:
    """N5 c: a step back counts once; then the commit index stands still."""
    ring, trader, follower = stuck()
    core = ring.peers[trader]
    said = iter(hints * 1000)

    lasted = lasts(
        ring, trader, lambda: iter([refusals(lambda: core.trader_role.round, follower, said)])
    )

    assert lasted <= (len(hints) + 1) * EVERY + 2 * core.timing.heartbeat_timeout
    assert ring.noted("stepped_down")[-1]["why"] == "commit index stands still"


def test_follower_that_comes_nearer_step_by_step_is_waited_for() -> None:
    """N5 c, R6: the copy that a majority needs begins with finding where it fits."""
    ring, trader, follower = stuck()
    core = ring.peers[trader]
    step = core.timing.heartbeat_timeout // 2

    for hint in range(12, 4, -1):
        ring.feed(trader, ev.Received(follower, msg.AppendRefused(1, core.trader_role.round, hint)))
        for _ in range(step // EVERY):
            for other in core.others:
                answer = msg.Appended(1, core.trader_role.round, 0, {}, 1, 0, 0)
                ring.feed(trader, ev.Received(other, answer))
            ring.run(EVERY)

    assert core.role is Role.TRADER


def test_checkpoint_that_is_begun_anew_for_ever_does_not_prolong_a_reign() -> None:
    """N5 c: a part counts when it is further than any before."""
    ring, trader, follower = stuck()
    core = ring.peers[trader]

    def says() -> Iterator[ev.Event]:
        core.copying.sending[follower] = (1, ring.now)
        yield ev.Received(follower, msg.PartTaken(1, 5, 0))
        yield ev.Received(follower, msg.PartTaken(1, 5, 1))

    lasted = lasts(ring, trader, says)

    assert lasted <= 3 * core.timing.heartbeat_timeout
