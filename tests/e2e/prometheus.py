"""A Prometheus of the cluster, asked through the API server.

E2E_PROMETHEUS is a command that brings Prometheus Operator and a Prometheus that takes every
monitor and rule (Service monitoring/prometheus-operated, port 9090); the cluster's name is added.
"""

from __future__ import annotations

import json
import os
import shlex
from typing import Any
from urllib.parse import quote

from tests.e2e.cluster import KEEP, NAME, Cluster
from tests.e2e.tools import attempt, run

COMMAND = os.environ.get("E2E_PROMETHEUS", "")
MISSING = "E2E_PROMETHEUS names no command that brings a Prometheus to the cluster"
PLACE = "monitoring"
PROXY = f"/api/v1/namespaces/{PLACE}/services/prometheus-operated:9090/proxy/api/v1"


class Prometheus:
    """Installed when it is first made."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        there = ("kubectl", "get", "namespace", PLACE)
        if attempt(*there, env=cluster.env).returncode != 0:
            run(*shlex.split(COMMAND), NAME, seconds=1500, env=cluster.env)

    def remove(self) -> None:
        """Let it go, unless the cluster is kept: it would be made anew each time."""
        if not KEEP:
            self.cluster.kubectl("delete", "namespace", PLACE, "--wait=false")

    def get(self, path: str) -> Any:
        told = json.loads(self.cluster.kubectl("get", "--raw", f"{PROXY}/{path}"))
        assert told["status"] == "success", told
        return told["data"]

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the series of an instant query."""
        found: list[dict[str, Any]] = self.get(f"query?query={quote(expr)}")["result"]
        return found

    def over(self, expr: str, began: float, ended: float) -> list[dict[str, Any]]:
        """Return the series of a query over a time."""
        span = f"start={began:.0f}&end={ended:.0f}&step=2"
        found: list[dict[str, Any]] = self.get(f"query_range?query={quote(expr)}&{span}")["result"]
        return found

    def value(self, expr: str) -> float:
        """Return the one value of a query; 0 without a series."""
        found = self.query(expr)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else 0.0

    def alerts(self) -> set[str]:
        """Return the names of all alerts that are loaded."""
        groups = self.get("rules?type=alert")["groups"]
        return {rule["name"] for group in groups for rule in group["rules"]}
