"""What a load counts."""

from __future__ import annotations

from typing import Any

from bazaar_peer.command.tally import Tally, percentile


def tally() -> Tally:
    return Tally(began=100.0, began_at=1_000_000.0)


def gaps(one: Tally) -> list[Any]:
    found = one.told()["gaps"]
    assert isinstance(found, list)
    return found


def test_gap_lies_between_two_answers_and_carries_the_wall_clock() -> None:
    one = tally()

    one.answered(due=100.0, now=100.05, attempts=1)
    one.answered(due=100.1, now=100.149, attempts=1)
    one.answered(due=100.2, now=100.649, attempts=2)

    assert gaps(one) == [{"began": 1_000_000.149, "ms": 500.0}]
    assert one.told()["longest_gap_ms"] == 500.0


def test_gap_that_no_answer_ends_is_counted_if_an_order_fell_into_it() -> None:
    one, quiet = tally(), tally()
    one.answered(due=100.0, now=100.01, attempts=1)
    quiet.answered(due=100.0, now=100.01, attempts=1)

    one.gave_up("order-1", due=100.1, attempts=9, last=503)
    one.end(110.11)
    quiet.end(110.11)

    assert gaps(one) == [{"began": 1_000_000.01, "ms": 10_100.0}]
    assert gaps(quiet) == []


def test_order_that_failed_is_told_with_its_last_answer() -> None:
    one = tally()

    one.gave_up("order-1", due=100.5, attempts=3, last="refused")

    told = one.told()
    assert (told["failed"], told["retried"], told["acknowledged"]) == (1, 1, 0)
    assert told["failures"] == [
        {"key": "order-1", "due": 1_000_000.5, "attempts": 3, "last": "refused"}
    ]


def test_latencies_count_from_when_an_order_was_due() -> None:
    one = tally()
    for number in range(100):
        one.answered(due=100.0 + number, now=100.0 + number + (number + 1) / 1000, attempts=1)

    told = one.told()

    assert [told[name] for name in ("p50_ms", "p90_ms", "p99_ms", "max_ms")] == [51, 91, 100, 100]


def test_percentile_of_nothing_is_0() -> None:
    assert percentile([], 0.99) == 0.0
