"""What was pending together is served causes first (S8)."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bazaar_peer.core.messages import COMMAND, Submission
from bazaar_peer.core.vector_clock import decode_stamp, sealed
from bazaar_peer.market.market import Market

PEERS = 4


@st.composite
def histories(draw: st.DrawFn) -> list[dict[int, int]]:
    """Stamps of a random causal history: peers tick, and merge what they hear of one another."""
    clocks: list[dict[int, int]] = [{} for _ in range(PEERS)]
    stamps = []
    for peer, heard in draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30)):
        clock = clocks[peer]
        for component, ticks in clocks[heard].items():
            clock[component] = max(clock.get(component, 0), ticks)
        clock[peer] = clock.get(peer, 0) + 1
        stamps.append(dict(clock))
    return stamps


def happened_before(one: dict[int, int], other: dict[int, int]) -> bool:
    return one != other and all(other.get(peer, 0) >= ticks for peer, ticks in one.items())


def submission(number: int, stamp: dict[int, int]) -> Submission:
    return Submission(1, number, 1, COMMAND, f"c{number % 3}", "", 0, 0, *sealed(stamp), b"")


@given(histories(), st.randoms(use_true_random=False))
def test_service_order_extends_happens_before_and_ignores_arrival(
    stamps: list[dict[int, int]], prng: Random
) -> None:
    batch = [submission(number, stamp) for number, stamp in enumerate(stamps, 1)]
    arrived = list(batch)
    prng.shuffle(arrived)

    served = Market().order(arrived)

    for at, later in enumerate(served):
        assert not any(
            happened_before(decode_stamp(later.stamp), decode_stamp(sooner.stamp))
            for sooner in served[:at]
        )
    assert served == Market().order(batch)
    assert sorted(s.number for s in served) == [s.number for s in batch]
