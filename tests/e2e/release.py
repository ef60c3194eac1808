"""A release of the chart, and its operator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.e2e.cluster import Cluster
from tests.e2e.tools import until


@dataclass(frozen=True)
class Release:
    """An installed chart, by its namespace and name."""

    cluster: Cluster
    namespace: str
    name: str

    @property
    def deployment(self) -> str:
        return f"{self.name}-operator"

    def install(self, *options: object) -> str:
        return self.cluster.install(self.name, self.namespace, *options)

    def kubectl(self, *words: object) -> str:
        return self.cluster.kubectl("-n", self.namespace, *words)

    def wait(self) -> None:
        """Wait until the operator works, in a pod that was never started again.

        One that was killed several times would be started later and later.
        """
        for pod in self.pods():
            if any(one.restart_count for one in pod.status.container_statuses or []):
                self.kubectl("delete", "pod", pod.metadata.name, "--now")
        self.kubectl("rollout", "status", f"deployment/{self.deployment}", "--timeout=100s")

    def pods(self) -> list[Any]:
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=operator"
        found = self.cluster.core.list_namespaced_pod(self.namespace, label_selector=selector)
        return list(found.items)

    def kill(self) -> None:
        """Kill the operator's process on its node; its container is started again."""
        running = [pod for pod in self.pods() if pod.status.phase == "Running"]
        assert running, "the operator runs nowhere"
        node = self.cluster.node(running[0].spec.node_name)
        node.kill(node.pid(running[0].metadata.uid, "bazaar_operator"))

    @contextlib.contextmanager
    def absent(self) -> Iterator[None]:
        """Have no operator for a while."""
        scale = ("scale", f"deployment/{self.deployment}")
        self.kubectl(*scale, "--replicas=0")
        try:
            until(lambda: not self.pods() or None, "the operator is gone", 60)
            yield
        finally:
            self.kubectl(*scale, "--replicas=1")
            self.wait()
