"""The operator's own metrics, on :9090; labels are bounded, and all children begin at 0.

Only what is told of one Bazaar has no series before there is one, and none when it is gone.
"""

from __future__ import annotations

import platform
from importlib.metadata import version
from itertools import product

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
)
from prometheus_client.aiohttp import make_aiohttp_handler

from bazaar_operator import labels, manifests
from bazaar_operator.phases import PHASES

PREFIX = "bazaar_operator"
RESULTS = ("ok", "requeue", "error")
TRIGGERS = ("create", "update", "resume", "child", "timer")
CODES = ("none", "2xx", "3xx", "404", "409", "422", "4xx", "5xx")
"""Of the API server's answers: `none` came, 404 is an answer like others, 409 and 422 are
conflicts; the rest by class."""
WATCHED = (labels.KIND, "Pod", *manifests.KINDS)


class Metrics:
    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = of = CollectorRegistry()
        self.duration = Histogram(
            f"{PREFIX}_reconcile_duration_seconds", "One reconcile, by result and trigger",
            ["result", "trigger"], registry=of,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        )  # fmt: skip
        self.reconciles = Counter(
            f"{PREFIX}_reconcile", "Reconciles, by result and trigger",
            ["result", "trigger"], registry=of,
        )  # fmt: skip
        for parts in product(RESULTS, TRIGGERS):
            self.duration.labels(*parts)
            self.reconciles.labels(*parts)
        ring = ["namespace", "bazaar"]
        self.success = Gauge(
            f"{PREFIX}_reconcile_last_success_timestamp_seconds", "When one last succeeded",
            ring, registry=of,
        )  # fmt: skip
        self.phase = Gauge(
            f"{PREFIX}_cluster_phase", "1 for the phase it is in", [*ring, "phase"], registry=of
        )
        self.handover = Histogram(
            f"{PREFIX}_planned_handover_duration_seconds",
            "From the order to hand over until the successor says that it reigns", registry=of,
            buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )  # fmt: skip
        self.repairs = Counter(
            f"{PREFIX}_drift_repairs", "Objects put right after somebody changed them",
            ["kind"], registry=of,
        )  # fmt: skip
        self.requests = Counter(
            f"{PREFIX}_api_requests", "Calls of the API server, by status; none: no answer",
            ["code"], registry=of,
        )  # fmt: skip
        self.watched = Gauge(
            f"{PREFIX}_watch_last_event_timestamp_seconds", "When a watch last told something",
            ["kind"], registry=of,
        )  # fmt: skip
        for metric, values in (
            (self.repairs, manifests.KINDS), (self.requests, CODES), (self.watched, WATCHED),
        ):  # fmt: skip
            for value in values:
                metric.labels(value)
        build = Info(f"{PREFIX}_build", "What runs here", registry=of)
        build.info({"version": version("bazaar"), "python": platform.python_version()})

    def count_request(self, status: int) -> None:
        self.requests.labels(code_of(status)).inc()

    def told(self, kind: str) -> None:
        """A watch told something of an object of this kind."""
        if kind in WATCHED:
            self.watched.labels(kind).set_to_current_time()

    def show_phase(self, namespace: str, name: str, phase: str) -> None:
        for each in PHASES:
            self.phase.labels(namespace, name, each).set(each == phase)

    def forget(self, namespace: str, name: str) -> None:
        """Drop the series of a Bazaar that is gone."""
        self.success.remove_by_labels({"namespace": namespace, "bazaar": name})
        self.phase.remove_by_labels({"namespace": namespace, "bazaar": name})

    async def serve(self, port: int) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/metrics", make_aiohttp_handler(self.registry))
        runner = web.AppRunner(app, handle_signals=False)
        await runner.setup()
        await web.TCPSite(runner, port=port).start()
        return runner


def code_of(status: int) -> str:
    """Return one of `CODES`; 0 is no answer."""
    if not status:
        return "none"
    return str(status) if str(status) in CODES else f"{status // 100}xx"
