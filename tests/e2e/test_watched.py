"""What a Prometheus of the cluster gets: targets, rules, a failover, and data for every panel.

The last file, so that no other test shares its machine with a Prometheus.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from string import Template

import pytest

from tests.e2e import prometheus
from tests.e2e.cluster import CHART, Cluster
from tests.e2e.conftest import MakeRing
from tests.e2e.load import Load
from tests.e2e.prometheus import Prometheus
from tests.e2e.release import Release
from tests.e2e.ring import Ring, now
from tests.e2e.tools import until

ON = (
    *("--set", "bazaar.create=false", "--set", "monitoring.podMonitors.enabled=true"),
    *("--set", "monitoring.rules.enabled=true", "--set", "monitoring.dashboard.enabled=true"),
    *("--set", "monitoring.podMonitors.interval=2s", "--wait"),
)
OFF = ("--set", "bazaar.create=false", "--wait")
WON = 'sum(bazaar_election_total{bazaar="shop",result="won"})'
ANNOTATIONS = {"Hand-overs", "Elections"}


@pytest.fixture
def watched(cluster: Cluster, operator: Release) -> Iterator[Prometheus]:
    """A Prometheus, and an operator whose release has monitors, rules and the dashboard."""
    if not prometheus.COMMAND:
        pytest.skip(prometheus.MISSING)
    made = Prometheus(cluster)
    operator.install(*ON)
    yield made
    operator.install(*OFF)


def test_failover_is_seen_by_prometheus_and_every_panel_has_data(
    watched: Prometheus, make_ring: MakeRing
) -> None:
    began = now()
    ring = make_ring(peers=3)
    load = Load(ring.cluster, ring.namespace, ring.name)
    load.start()
    until(lambda: watched.value('sum(up{bazaar="shop"})') == 3, "three targets are up", 180, 1.0)
    until(lambda: watched.query("bazaar_operator_build_info"), "the operator is a target", 60, 1.0)
    until(lambda: "BazaarNoTrader" in watched.alerts(), "the rules are loaded", 120, 1.0)
    until(lambda: watched.value(WON) >= 1, "the first election is seen", 60, 1.0)
    before = watched.value(WON)

    seat = ring.seat()
    ring.kubectl("delete", "pod", seat.pod, "--grace-period=0", "--force")
    ring.wait_reign(seat.epoch)
    ring.wait_settled()

    more = f"({WON}) > {before}"
    until(lambda: watched.query(more), "the election is counted", 60, 1.0)
    met = 'sum(bazaar_request_duration_seconds_count{bazaar="shop",phase="election"})'
    until(lambda: watched.value(met) >= 1, "requests that met it are seen", 60, 1.0)
    assert watched.value('sum(bazaar_is_trader{bazaar="shop"})') == 1
    assert watched.value('sum(bazaar_second_traders_refused_total{bazaar="shop"})') == 0
    drilled = load.stop()
    assert drilled["failed"] == 0
    empty = _without_data(watched, ring, began)
    assert len(empty) <= 1, f"no data: {empty}"
    assert set(empty) <= ANNOTATIONS, "a forced deletion is one of the two"


def _without_data(watched: Prometheus, ring: Ring, began: float) -> list[str]:
    """Return the panels of the dashboard, and its annotations, whose queries get nothing."""
    made = json.loads((CHART / "dashboards/bazaar.json").read_text())
    values = {"namespace": ring.namespace, "bazaar": ring.name, "__rate_interval": "30s"}
    asked: list[tuple[str, str]] = [
        (panel["title"], target["expr"])
        for panel in made["panels"]
        for target in panel.get("targets", [])
    ]
    asked += [(each["name"], each["expr"]) for each in made["annotations"]["list"]]
    ended = now()
    return [
        title
        for title, expr in asked
        if not watched.over(Template(expr).substitute(values), began, ended)
    ]
