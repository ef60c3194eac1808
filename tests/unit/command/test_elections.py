"""What peers' logs tell of elections."""

from __future__ import annotations

from bazaar_peer.command.elections import Elections

MS = 1_000_000


def event(at_ms: int, peer: int, name: str, epoch: int) -> dict[str, str]:
    return {"mono_ns": str(at_ms * MS), "peer": str(peer), "event": name, "epoch": str(epoch)}


FIRST = event(0, 2, "reign_begun", 1)


def test_reign_is_timed_from_the_first_sign_that_the_one_before_was_lost() -> None:
    found = Elections([]).take(
        [
            FIRST,
            event(5040, 1, "reign_begun", 2),
            event(5000, 2, "hand_over", 1),
            event(5010, 0, "election", 1),
        ]
    )

    assert found[1:] == [{"epoch": 2, "trader": 1, "reason": "hand-over", "ms": 40.0}]


def test_peer_that_starts_and_then_hears_the_trader_has_noticed_no_loss() -> None:
    """It stands before it has heard; the next hand-over, later, has nothing to do with that."""
    found = Elections([]).take(
        [
            FIRST,
            event(3000, 0, "election", 1),
            event(3400, 0, "follows", 1),
            event(5000, 2, "hand_over", 1),
            event(5036, 2, "follows", 2),
            event(5040, 1, "reign_begun", 2),
        ]
    )

    assert found[1:] == [{"epoch": 2, "trader": 1, "reason": "hand-over", "ms": 40.0}]


def test_peer_that_hears_the_trader_again_has_noticed_no_loss() -> None:
    """Another one's word stands: it has not heard it again."""
    found = Elections([]).take(
        [
            FIRST,
            event(3000, 0, "election", 1),
            event(4990, 1, "election", 1),
            event(5000, 0, "hears_again", 1),
            event(5040, 1, "reign_begun", 2),
        ]
    )

    assert found[1:] == [{"epoch": 2, "trader": 1, "reason": "silence", "ms": 50.0}]


def test_peer_that_follows_the_next_trader_before_its_reign_has_noticed_the_loss() -> None:
    found = Elections([]).take(
        [
            FIRST,
            event(5000, 0, "trader_lost", 1),
            event(5036, 0, "follows", 2),
            event(5040, 1, "reign_begun", 2),
        ]
    )

    assert found[1:] == [{"epoch": 2, "trader": 1, "reason": "crash", "ms": 40.0}]


def test_whom_a_peer_has_killed_is_known_by_its_word() -> None:
    elections = Elections([])
    fault = {"event": "fault", "peer": "2", "mono_ns": "1"}
    elections.take([{**fault, "what": "killed"}, {**fault, "peer": "1", "what": "paused"}])

    assert elections.killed == {2}
