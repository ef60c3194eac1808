"""The trader goes, in every way that there is, under load: nothing lost, nothing done twice."""

from __future__ import annotations

from functools import partial

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import MakeRing
from tests.e2e.drills import Drills, drilling
from tests.e2e.figures import Figures
from tests.e2e.release import Release
from tests.e2e.ring import Ring
from tests.e2e.tools import until

CRASH_GAP_MS = 1500.0
HAND_OVER_MS = 100.0
API_STOPPED_S, API_STOPPED_LONG_S = 15, 60


def crash(ring: Ring, drills: Drills) -> None:
    """Kill the trader's process on its node: a forced deletion would still send SIGTERM."""
    seat = ring.fresh_seat()
    with drills.one():
        seat.node.kill(seat.pid)
        ring.wait_reign(seat.epoch)


def test_graceful_deletion_fails_no_request(make_ring: MakeRing, figures: Figures) -> None:
    ring = make_ring(peers=3)
    with drilling(ring, figures, "graceful deletion", peers_p99_ms=HAND_OVER_MS) as drills:
        for _ in drills.rounds():
            seat = ring.seat()
            with drills.one():
                ring.kubectl("delete", "pod", seat.pod)
                ring.wait_reign(seat.epoch)


def test_crash_costs_a_second_and_a_half_at_most(make_ring: MakeRing, figures: Figures) -> None:
    ring = make_ring(peers=3)
    with drilling(ring, figures, "crash", gap_p99_ms=CRASH_GAP_MS) as drills:
        for _ in drills.rounds():
            crash(ring, drills)


def test_crash_of_one_of_six(make_ring: MakeRing, figures: Figures) -> None:
    ring = make_ring(peers=6)
    with drilling(ring, figures, "crash, of six", gap_p99_ms=CRASH_GAP_MS) as drills:
        for _ in drills.rounds():
            crash(ring, drills)


def test_forced_deletion_leaves_two_processes_and_one_volume(
    make_ring: MakeRing, figures: Figures
) -> None:
    """The old process may live on while the new pod starts: the lock on the volume decides."""
    ring = make_ring(peers=3)
    with drilling(ring, figures, "forced deletion") as drills:
        for _ in drills.rounds():
            seat = ring.seat()
            with drills.one():
                ring.kubectl("delete", "pod", seat.pod, "--grace-period=0", "--force")
                until(partial(ring.pod_made_anew, seat), "the StatefulSet makes the pod again")
                ring.wait_reign(seat.epoch)


def test_crash_without_the_operator(
    make_ring: MakeRing, figures: Figures, operator: Release
) -> None:
    ring = make_ring(peers=3)
    with (
        drilling(ring, figures, "crash, no operator", gap_p99_ms=CRASH_GAP_MS) as drills,
        operator.absent(),
    ):
        for _ in drills.rounds():
            crash(ring, drills)


def test_crash_without_the_api_server(
    make_ring: MakeRing, figures: Figures, cluster: Cluster
) -> None:
    ring = make_ring(peers=3)
    bound = CRASH_GAP_MS
    with drilling(ring, figures, "crash, no API server", gap_p99_ms=bound) as drills:
        for number in drills.rounds():
            seat = ring.fresh_seat()
            with drills.one(), cluster.control_plane.api_stopped():
                seat.node.kill(seat.pid)
                drills.idle(API_STOPPED_S if number % 10 else API_STOPPED_LONG_S)
