"""The kind cluster of a session: made once, with the image of this very tree on its nodes."""

from __future__ import annotations

import json
import os
import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kubernetes import client, config
from urllib3.util import Retry

from tests.e2e.lanes import first, own
from tests.e2e.nodes import ControlPlane, Node
from tests.e2e.tools import attempt, run

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/bazaar"
NAME = own(os.environ.get("E2E_CLUSTER", "bazaar-e2e"))
KEEP = os.environ.get("E2E_KEEP", "") not in {"", "0"}
"""Use the cluster if it is there, and leave it: for work on the tests."""
REPOSITORY, TAG = "bazaar", "e2e"
IMAGE = f"{REPOSITORY}:{TAG}"
AWAY = Retry(connect=8, backoff_factor=0.25, backoff_max=8)
"""An API server that starts again is waited for, up to half a minute."""
GROUP, VERSION, PLURAL = "bazaar.dev", "v1alpha1", "bazaars"


class Cluster:
    """A running cluster; every program is given its kubeconfig, the user's own stays as it is."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.env = {"KUBECONFIG": str(kubeconfig)}
        names = run("kind", "get", "nodes", "--name", NAME).split()
        self.control_plane = ControlPlane(f"{NAME}-control-plane")
        self.workers = [Node(name) for name in sorted(names) if name != self.control_plane.name]
        configuration = client.Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=configuration)
        configuration.retries = AWAY
        self._api = client.ApiClient(configuration)
        self.core = client.CoreV1Api(self._api)
        self.custom = client.CustomObjectsApi(self._api)
        self.apps = client.AppsV1Api(self._api)

    def version(self) -> str:
        """Return the API server's version."""
        return str(client.VersionApi(self._api).get_code().git_version)

    @property
    def nodes(self) -> list[Node]:
        return [self.control_plane, *self.workers]

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def kubectl(self, *words: object, stdin: str | None = None, seconds: float = 120.0) -> str:
        return run("kubectl", *words, stdin=stdin, seconds=seconds, env=self.env)

    def refused(self, *words: object, stdin: str | None = None) -> str:
        """Run kubectl, which must be refused, and return what it says."""
        done = attempt("kubectl", *words, stdin=stdin, env=self.env)
        assert done.returncode != 0, f"kubectl {' '.join(map(str, words))} was not refused"
        return done.stderr

    def bazaar(self, namespace: str, name: str) -> dict[str, Any]:
        found = self.custom.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)
        assert isinstance(found, dict)
        return found

    def apply(self, *objects: dict[str, Any]) -> None:
        told = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.kubectl("apply", "-f", "-", stdin=told)

    def helm(self, *words: object, seconds: float = 240.0) -> str:
        return run("helm", *words, seconds=seconds, env=self.env)

    def install(self, release: str, namespace: str, *options: object) -> str:
        """Install the chart, or upgrade it, with the image of this tree."""
        image = ("--set", f"image.repository={REPOSITORY}", "--set", f"image.tag={TAG}")
        return self.helm("upgrade", "--install", release, CHART, "-n", namespace, *image, *options)


def make(kubeconfig: Path, shared: Path) -> Cluster:
    """Make the cluster, or take the one that was kept, and give its nodes the image.

    The image is built meanwhile, once for all lanes, which have a folder in common.
    """
    with ThreadPoolExecutor() as beside:
        image = beside.submit(_build_image, shared / "image")
        _make_cluster(kubeconfig)
        image.result()
    run("kind", "load", "docker-image", IMAGE, "--name", NAME, seconds=600)
    found = Cluster(kubeconfig)
    # kind waits for the control plane alone; a ring made before the others lies on one node, whole.
    found.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=180s", seconds=200)
    for node in found.nodes:
        node.keep_logs()
    return found


def _build_image(mark: Path) -> None:
    flags = shlex.split(os.environ.get("DOCKER_BUILD_FLAGS", ""))
    with first(mark) as alone:
        if alone and not os.environ.get("E2E_SKIP_BUILD"):
            run("docker", "build", *flags, "-t", IMAGE, ROOT, seconds=1200)


def _make_cluster(kubeconfig: Path) -> None:
    there = NAME in run("kind", "get", "clusters").split()
    if there and KEEP:
        run("kind", "export", "kubeconfig", "--name", NAME, "--kubeconfig", kubeconfig)
        return
    if there:
        run("kind", "delete", "cluster", "--name", NAME)
    node_image = os.environ.get("KIND_NODE_IMAGE", "")
    chosen = ("--image", node_image) if node_image else ()
    where = ("--kubeconfig", kubeconfig, "--config", Path(__file__).parent / "kind.yaml")
    create = ("kind", "create", "cluster", "--name", NAME, "--wait", "180s")
    run(*create, *chosen, *where, seconds=600)


def remove() -> None:
    if not KEEP:
        run("kind", "delete", "cluster", "--name", NAME)
