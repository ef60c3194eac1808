"""Nodes that are drained, stopped and cut off, under load."""

from __future__ import annotations

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import MakeRing
from tests.e2e.drills import drilling
from tests.e2e.figures import Figures
from tests.e2e.ring import Ring

PAUSED_S = 30
CUT_S = 10
UNLUCKY = 2
"""A client fails whose ten attempts, of a second each, all meet the one endpoint of three that is
silent and not known to be away yet: one of 59,000, and nothing that the ring does helps it."""


def one_a_node(make_ring: MakeRing) -> Ring:
    """Make a ring of three on three nodes: what is done to a node is not done to the whole ring."""
    ring = make_ring(peers=3, scheduling={"whenUnsatisfiable": "DoNotSchedule"})
    nodes = [pod.spec.node_name for pod in ring.pods()]
    assert len(set(nodes)) == len(nodes), f"the peers lie on {nodes}"
    return ring


def test_drain_of_the_traders_node_fails_no_request(
    make_ring: MakeRing, figures: Figures, cluster: Cluster
) -> None:
    ring = one_a_node(make_ring)
    with drilling(ring, figures, "drain of the trader's node") as drills:
        for _ in drills.rounds():
            seat = ring.seat()
            with drills.one():
                flags = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")
                try:
                    cluster.kubectl("drain", seat.node.name, *flags, seconds=150)
                    ring.wait_reign(seat.epoch)
                finally:
                    cluster.kubectl("uncordon", seat.node.name)


def test_node_that_stops_for_a_while_comes_back(make_ring: MakeRing, figures: Figures) -> None:
    ring = one_a_node(make_ring)
    kind = "node of the trader stopped for 30 s"
    with drilling(ring, figures, kind, failed_max=UNLUCKY) as drills:
        for _ in drills.rounds():
            seat = ring.seat()
            with drills.one(settle_s=180):
                with seat.node.paused():
                    drills.idle(PAUSED_S)
                ring.wait_reign(seat.epoch)


def test_trader_cut_off_from_a_minority_trades_on(make_ring: MakeRing, figures: Figures) -> None:
    ring = make_ring(peers=5)
    kind = "trader cut off from a minority"
    with drilling(ring, figures, kind, failed_max=UNLUCKY) as drills:
        for _ in drills.rounds():
            seat = ring.seat()
            others = [p.status.pod_ip for p in ring.pods() if p.metadata.name != seat.pod]
            with drills.one(), seat.node.cut(seat.pid, others[:2]):
                drills.idle(CUT_S)


def test_trader_cut_off_from_a_majority_is_replaced(make_ring: MakeRing, figures: Figures) -> None:
    ring = make_ring(peers=5)
    kind = "trader cut off from a majority"
    with drilling(ring, figures, kind, failed_max=UNLUCKY) as drills:
        for _ in drills.rounds():
            seat = ring.seat()
            others = [p.status.pod_ip for p in ring.pods() if p.metadata.name != seat.pod]
            with drills.one():
                with seat.node.cut(seat.pid, others[:3]):
                    drills.idle(CUT_S)
                ring.wait_reign(seat.epoch)
