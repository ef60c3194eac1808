"""A Bazaar in the cluster, asked as a user, an operator and its own peers see it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from kubernetes.client.exceptions import ApiException

from tests.e2e.cluster import GROUP, VERSION, Cluster
from tests.e2e.nodes import Node
from tests.e2e.tools import until

PRICELESS = 10**9
"""Nobody buys at such a price: the lot stays as it is."""
LAG_MAX = 500
"""Entries; so far behind the trader a peer has caught up, under a load."""


def manifest(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    """Return a Bazaar for drills: it keeps its journals, and trades little by itself."""
    spec.setdefault("peers", 3)
    spec.setdefault("checkpoint", {"keepJournal": True})
    spec.setdefault("market", {"ordersPerSecond": 2})
    # Room for many peers on few cores, and a share of them beside what else runs on a node.
    spec.setdefault("resources", {"requests": {"cpu": "200m", "memory": "64Mi"}})
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Bazaar",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


@dataclass(frozen=True)
class Seat:
    """Where the trader sits: fetched before it is hurt, so that the hurting takes no time."""

    pod: str
    ordinal: int
    epoch: int
    uid: str
    address: str
    node: Node
    pid: int


@dataclass
class Ring:
    """A Bazaar by namespace and name."""

    cluster: Cluster
    namespace: str
    name: str

    # ---- as a user sees it

    def apply(self, **spec: Any) -> None:
        self.cluster.apply(manifest(self.namespace, self.name, **spec))

    def wish(self, **spec: Any) -> None:
        """Change fields of the spec, as a user does."""
        change = json.dumps({"spec": spec})
        self.kubectl("patch", "bazaar", self.name, "--type=merge", "-p", change)

    def kubectl(self, *words: object, stdin: str | None = None, seconds: float = 120.0) -> str:
        return self.cluster.kubectl("-n", self.namespace, *words, stdin=stdin, seconds=seconds)

    def get(self) -> dict[str, Any]:
        return self.cluster.bazaar(self.namespace, self.name)

    def status(self) -> dict[str, Any]:
        found = self.get().get("status", {})
        assert isinstance(found, dict)
        return found

    def condition(self, kind: str) -> dict[str, Any]:
        found = {one["type"]: dict(one) for one in self.status().get("conditions", [])}
        return found.get(kind, {})

    def wait(self, condition: str = "Available", seconds: int = 120) -> None:
        what = f"--for=condition={condition}"
        self.kubectl(
            "wait", what, f"bazaar/{self.name}", f"--timeout={seconds}s", seconds=seconds + 30
        )

    def lose_volume(self, peer: int, life: int) -> None:
        """Delete a peer's claim and pod, and wait until it votes in a later life than that."""
        self.kubectl("delete", "pvc", f"data-{self.name}-{peer}", "--wait=false")
        self.kubectl("delete", "pod", f"{self.name}-{peer}")

        def anew() -> bool:
            told = self.peer(peer) or {}
            return told.get("incarnation", -1) > life and bool(told.get("voter"))

        until(anew, self.told, 180)

    def program(self, peer: int, text: str) -> str:
        """Run a Python program in a peer's container; return what it printed."""
        words = ("-c", "peer", "--", "python3", "-c", text)
        return self.kubectl("exec", f"{self.name}-{peer}", *words)

    def pods(self) -> list[Any]:
        """Return the peers' pods, sorted by ordinal."""
        selector = f"bazaar.dev/bazaar={self.name},app.kubernetes.io/component=peer"
        found = self.cluster.core.list_namespaced_pod(self.namespace, label_selector=selector)
        return sorted(found.items, key=lambda pod: int(pod.metadata.name.rpartition("-")[2]))

    def pod(self, ordinal: int) -> Any:
        return self.cluster.core.read_namespaced_pod(f"{self.name}-{ordinal}", self.namespace)

    def endpoints(self, service: str) -> set[str]:
        """Return the names of the pods behind a Service."""
        selector = f"kubernetes.io/service-name={self.name}-{service}"
        told = self.kubectl("get", "endpointslices", "-l", selector, "-o", "json")
        return {
            end["targetRef"]["name"]
            for piece in json.loads(told)["items"]
            for end in piece.get("endpoints") or []
            if end["conditions"].get("ready", True)
        }

    def traded(self, *words: object) -> dict[str, Any]:
        """Trade inside the first pod; return the outcome."""
        command = ("bazaar", *words, "--json", "--url", "http://127.0.0.1:8600")
        told = self.kubectl("exec", f"{self.name}-0", "-c", "peer", "--", *command)
        found = json.loads(told)
        assert isinstance(found, dict)
        return found

    # ---- as its peers see it

    def peer(self, ordinal: int) -> dict[str, Any] | None:
        """Return what a peer says of itself, through the API server; None: no answer."""
        try:
            told: Any = self.cluster.core.connect_get_namespaced_pod_proxy_with_path(
                f"{self.name}-{ordinal}:8600",
                self.namespace,
                "v1/peer",
                _preload_content=False,
                _request_timeout=5,
            )
            found = json.loads(told.data)
        except (ApiException, ValueError, OSError, ConnectionError) as error:
            if isinstance(error, ApiException) and error.status in {401, 403}:
                raise
            return None
        return found if isinstance(found, dict) else None

    def settled(self) -> dict[str, Any] | None:
        """Return the trader's own account once all peers of the spec vote, follow and keep up."""
        size = int(self.get()["spec"]["peers"])
        pods = self.pods()
        ready = [pod for pod in pods if _is_ready(pod)]
        if not len(pods) == len(ready) == size:
            return None
        peers = [self.peer(ordinal) for ordinal in range(size)]
        told = [peer for peer in peers if peer is not None and peer.get("state") == "serving"]
        trader = next((peer for peer in told if peer.get("role") == "trader"), None)
        if trader is None or len(told) != size:
            return None
        for one in told:
            if (one["trader"], one["epoch"]) != (trader["ordinal"], trader["epoch"]):
                return None
            if not one["voter"] or trader["commit_index"] - one["applied_index"] > LAG_MAX:
                return None
        return trader if len(trader["members"]) == size else None

    def wait_settled(self, seconds: float = 120.0) -> dict[str, Any]:
        return until(
            self.settled, lambda: f"a ring that has settled; it says {self.told()}", seconds, 0.5
        )

    def told(self) -> str:
        """Return what all peers say, for a message."""
        pods = [(pod.metadata.name, _is_ready(pod)) for pod in self.pods()]
        return json.dumps({"pods": pods, "peers": [self.peer(i) for i in range(len(pods))]})[:3000]

    def seat(self) -> Seat:
        """Wait until the ring has settled, and say where its trader sits."""
        trader = self.wait_settled()
        ordinal = int(trader["ordinal"])
        pod = self.pod(ordinal)
        node = self.cluster.node(pod.spec.node_name)
        return Seat(
            pod=pod.metadata.name,
            ordinal=ordinal,
            epoch=int(trader["epoch"]),
            uid=pod.metadata.uid,
            address=pod.status.pod_ip,
            node=node,
            pid=node.pid(pod.metadata.uid, "bazaar serve"),
        )

    def wait_reign(self, after: int, seconds: float = 60.0) -> int:
        """Wait until some peer knows of a trader of a later epoch; return that epoch."""

        def later() -> int | None:
            for pod in self.pods():
                told = self.peer(int(pod.metadata.name.rpartition("-")[2])) or {}
                if int(told.get("epoch", 0)) > after and int(told.get("trader", -1)) >= 0:
                    return int(told["epoch"])
            return None

        return until(later, f"a trader of an epoch after {after}; {self.told()}", seconds)

    def fresh_seat(self) -> Seat:
        """Return the trader's seat in a pod that has not crashed yet.

        One that crashes again is started later each time: it is made anew first.
        """
        while _restarts(self.pod((seat := self.seat()).ordinal)):
            self.kubectl("delete", "pod", seat.pod)
        return seat

    def pod_made_anew(self, seat: Seat) -> bool:
        """Tell whether another pod has the name of the one where the trader sat."""
        uids = [pod.metadata.uid for pod in self.pods() if pod.metadata.name == seat.pod]
        return uids not in ([], [seat.uid])

    def wait_rolled(self, before: set[str], seconds: float = 300.0) -> None:
        """Wait until none of these pods, by uid, is there, and others have settled."""

        def rolled() -> bool:
            uids = {pod.metadata.uid for pod in self.pods()}
            return not before & uids and self.settled() is not None

        until(rolled, lambda: f"all peers were rolled; {self.told()}", seconds, 1.0)

    def wait_size(self, size: int, seconds: float = 300.0) -> None:
        """Wait until the ring has so many pods, all of them members that have settled."""

        def sized() -> bool:
            return len(self.pods()) == size and self.settled() is not None

        until(sized, lambda: f"a ring of {size}; {self.told()}", seconds, 1.0)

    def wait_shown(self, pod: str) -> None:
        """Wait until label, Service and status name this pod as the trader's."""
        until(lambda: self.labelled() == {pod}, f"the label is on {pod} alone")
        until(lambda: self.endpoints("trader") == {pod}, f"the Service leads to {pod}")
        until(lambda: self.status().get("trader") == pod, f"the status names {pod}")

    def uids(self) -> set[str]:
        return {pod.metadata.uid for pod in self.pods()}

    def labelled(self) -> set[str]:
        """Return the pods that carry the trader's label."""
        return {
            pod.metadata.name
            for pod in self.pods()
            if (pod.metadata.labels or {}).get("bazaar.dev/trader") == "true"
        }


def _is_ready(pod: Any) -> bool:
    if pod.metadata.deletion_timestamp is not None:
        return False
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])


def _restarts(pod: Any) -> int:
    return sum(one.restart_count for one in pod.status.container_statuses or [])


def now() -> float:
    """Return the wall clock, which the nodes share with this process."""
    return time.time()
