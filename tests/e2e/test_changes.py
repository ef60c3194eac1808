"""Planned work: settings rolled out, rings grown and shrunk, and an operator that dies of it."""

from __future__ import annotations

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import MakeRing
from tests.e2e.drills import drilling, rounds
from tests.e2e.figures import Figures
from tests.e2e.release import Release
from tests.e2e.ring import Ring
from tests.e2e.tools import until


def set_rate(ring: Ring, rate: int) -> None:
    """Change a setting that needs every peer to start anew."""
    ring.wish(market={"ordersPerSecond": rate})


def scale(ring: Ring, size: int) -> None:
    ring.kubectl("scale", "bazaar", ring.name, f"--replicas={size}")


def test_roll_of_six_peers_changes_the_trader_once(make_ring: MakeRing, figures: Figures) -> None:
    ring = make_ring(peers=6)
    with drilling(ring, figures, "roll of a setting", changes=1) as drills:
        for number in drills.rounds():
            ring.wait_settled()
            before = ring.uids()
            with drills.one():
                set_rate(ring, 3 + number % 2)
                ring.wait_rolled(before)


def test_scale_up_and_down_again_fails_no_request(make_ring: MakeRing, figures: Figures) -> None:
    ring = make_ring(peers=3)
    with drilling(ring, figures, "scale 3 → 6 → 3") as drills:
        for _ in drills.rounds():
            for size in (6, 3):
                with drills.one():
                    scale(ring, size)
                    ring.wait_size(size)
        with drills.one():
            scale(ring, 6)
            ring.wait_size(6)


def test_operator_killed_in_the_middle_of_a_first_start_starts_the_ring_all_the_same(
    cluster: Cluster, operator: Release, namespace: str
) -> None:
    """R14: at whichever step it dies."""
    operator.wait()
    for number in range(rounds()):
        ring = Ring(cluster, namespace, f"shop{number}")
        ring.apply(peers=3)
        wanted = number % 4  # so many volumes are recorded when it dies

        def so_far(r: Ring = ring, n: int = wanted) -> bool:
            return len(r.status().get("volumes") or {}) >= n

        until(so_far, f"{wanted} volumes are recorded", 60, 0.02)
        operator.kill()
        ring.wait("Available", 180)
        ring.wait_settled()
        ring.kubectl("delete", "bazaar", ring.name)
        operator.wait()


def test_operator_killed_in_the_middle_of_a_roll_ends_it(
    make_ring: MakeRing, figures: Figures, operator: Release
) -> None:
    ring = make_ring(peers=3)
    with drilling(ring, figures, "operator killed in a roll") as drills:
        for number in drills.rounds():
            ring.wait_settled()
            before = ring.uids()
            with drills.one():
                set_rate(ring, 3 + number % 2)
                left = 3 - number % 3

                def begun(b: set[str] = before, n: int = left) -> bool:
                    return len(b & ring.uids()) < n

                until(begun, "the roll has begun", 120, 0.1)
                operator.kill()
                ring.wait_rolled(before)
            operator.wait()


def test_operator_killed_in_the_middle_of_scaling_ends_it(
    make_ring: MakeRing, figures: Figures, operator: Release
) -> None:
    ring = make_ring(peers=3)
    with drilling(ring, figures, "operator killed while it scales") as drills:
        for number in drills.rounds():
            for size in (5, 3):
                with drills.one():
                    scale(ring, size)
                    drills.idle(1 + 2 * (number % 3))
                    operator.kill()
                    ring.wait_size(size)
                operator.wait()
