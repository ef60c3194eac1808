"""What a Prometheus of the cluster gets: targets, rules, a failover, and data for every panel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from string import Template

import pytest

from tests.e2e import prometheus
from tests.e2e.cluster import CHART, Cluster
from tests.e2e.conftest import MakeRing
from tests.e2e.load import Load
from tests.e2e.prometheus import Prometheus
from tests.e2e.release import Release
from tests.e2e.ring import Ring, Seat, now
from tests.e2e.tools import until

ON = (
    *("--set", "bazaar.create=false", "--set", "monitoring.podMonitors.enabled=true"),
    *("--set", "monitoring.rules.enabled=true", "--set", "monitoring.dashboard.enabled=true"),
    *("--set", "monitoring.podMonitors.interval=2s", "--wait"),
)
OFF = ("--set", "bazaar.create=false", "--wait")
WON = 'sum(bazaar_election_total{{bazaar="shop",result="won",{}}})'
SEEN = 'count(count_over_time(bazaar_is_trader{{bazaar="shop",instance=~"({}):.*"}}[10s]) >= 2)'
ANNOTATIONS = {"unplanned": "Elections", "planned": "Hand-overs"}
MAY_BE_EMPTY = {"Volumes used"}
"""Panels for what this Prometheus does not scrape: kubelets."""


@pytest.fixture
def watched(cluster: Cluster, operator: Release) -> Iterator[Prometheus]:
    """A Prometheus, and an operator whose release has monitors, rules and the dashboard.

    It goes with this test: no other one shares its cluster with a Prometheus.
    """
    if not prometheus.COMMAND:
        pytest.skip(prometheus.MISSING)
    made = Prometheus(cluster)
    operator.install(*ON)
    yield made
    operator.install(*OFF)
    made.remove()


def test_failover_is_seen_by_prometheus_and_every_panel_has_data(
    watched: Prometheus, make_ring: MakeRing
) -> None:
    began = now()
    ring = make_ring(peers=3, tls={"enabled": True})
    load = Load(ring.cluster, ring.namespace, ring.name)
    load.start()
    until(lambda: watched.value('sum(up{bazaar="shop"})') == 3, "three targets are up", 180, 1.0)
    until(lambda: watched.query("bazaar_operator_build_info"), "the operator is a target", 60, 1.0)
    until(lambda: "BazaarNoTrader" in watched.alerts(), "the rules are loaded", 120, 1.0)
    first = WON.format("")
    until(lambda: watched.value(first) >= 1, "the first election is seen", 60, 1.0)

    for name, reason in (("forced", ""), ("crash", "unplanned"), ("graceful", "planned")):
        seat = ring.seat()
        until(partial(scraped, watched, ring), "all three have been scraped twice", 60, 1.0)
        hurt(ring, seat, name)
        ring.wait_reign(seat.epoch)
        won = WON.format(f'pod="{ring.seat().pod}"' + (f',reason="{reason}"' if reason else ""))
        until(partial(watched.value, won), f"the election after {name} is counted", 60, 1.0)
        if reason:
            drawn = partial(watched.query, annotation(ring, ANNOTATIONS[reason]))
            until(drawn, f"the annotation of the {reason} one has data", 60, 1.0)

    met = 'sum(bazaar_request_duration_seconds_count{bazaar="shop",phase="election"})'
    until(lambda: watched.value(met) >= 1, "requests that met it are seen", 60, 1.0)
    assert watched.value('sum(bazaar_is_trader{bazaar="shop"})') == 1
    assert watched.value('sum(bazaar_second_traders_refused_total{bazaar="shop"})') == 0
    drilled = load.stop()
    assert drilled["failed"] == 0
    empty = set(_without_data(watched, ring, began))
    assert empty <= MAY_BE_EMPTY, f"no data: {empty - MAY_BE_EMPTY}"


def scraped(watched: Prometheus, ring: Ring) -> bool:
    """Tell whether each peer was scraped twice: a counter that is first seen at 1 has never grown.

    By address: a pod that was just deleted still counts, and its successor may be the next trader.
    """
    pods = "|".join(str(pod.status.pod_ip) for pod in ring.pods())
    return watched.value(SEEN.format(pods)) == 3


def hurt(ring: Ring, seat: Seat, name: str) -> None:
    """Take the trader away; a pod that is deleted by force still hands over, if it has the time."""
    if name == "crash":
        seat.node.kill(seat.pid)
    else:
        force = ("--grace-period=0", "--force") if name == "forced" else ()
        ring.kubectl("delete", "pod", seat.pod, *force)


def annotation(ring: Ring, name: str) -> str:
    """Return the query of one of the dashboard's annotations."""
    made = json.loads((CHART / "dashboards/bazaar.json").read_text())
    [expr] = [one["expr"] for one in made["annotations"]["list"] if one["name"] == name]
    return Template(expr).substitute(namespace=ring.namespace, bazaar=ring.name)


def _without_data(watched: Prometheus, ring: Ring, began: float) -> list[str]:
    """Return the panels of the dashboard whose queries got nothing meanwhile."""
    made = json.loads((CHART / "dashboards/bazaar.json").read_text())
    values = {"namespace": ring.namespace, "bazaar": ring.name, "__rate_interval": "30s"}
    asked: list[tuple[str, str]] = [
        (panel["title"], target["expr"])
        for panel in made["panels"]
        for target in panel.get("targets", [])
    ]
    ended = now()
    return [
        title
        for title, expr in asked
        if not watched.over(Template(expr).substitute(values), began, ended)
    ]
