"""What a failed test leaves for whoever looks for the reason: journals, too, if one is in doubt."""

from __future__ import annotations

import os
from pathlib import Path

from tests.e2e.cluster import Cluster
from tests.e2e.tools import attempt

FOLDER = Path(os.environ.get("E2E_ARTIFACTS", "e2e-artifacts"))
ASKED = {
    "bazaars.yaml": ("get", "bazaars", "-o", "yaml"),
    "events.txt": ("get", "events", "--sort-by=.lastTimestamp"),
    "objects.txt": ("get", "all,configmaps,endpointslices,pvc,pdb,leases", "-o", "wide"),
    "pods.txt": ("describe", "pods"),
}


def leave(cluster: Cluster, name: str, *namespaces: str) -> Path:
    """Write what these namespaces have into a folder of the test's own."""
    folder = FOLDER / name
    for namespace in namespaces:
        place = folder / namespace
        place.mkdir(parents=True, exist_ok=True)
        for file, words in ASKED.items():
            done = attempt("kubectl", "-n", namespace, *words, env=cluster.env, seconds=60)
            (place / file).write_text(done.stdout + done.stderr)
        listed = ("kubectl", "-n", namespace, "exec", "load", "--", "cat", "/load/acknowledged")
        if (done := attempt(*listed, env=cluster.env)).returncode == 0:
            (place / "acknowledged").write_text(done.stdout)
        for node in cluster.nodes:
            node.keep_volumes(namespace, place / f"{node.name}.tgz")
            try:
                logs = node.kept_logs(namespace)
            except AssertionError as silent:  # the node may be what failed
                logs = {f"{node.name}.log": str(silent)}
            for file, log in logs.items():
                (place / file).write_text(log)
    done = attempt("kubectl", "get", "nodes,pv", "-o", "wide", env=cluster.env, seconds=60)
    (folder / "cluster.txt").write_text(done.stdout + done.stderr)
    for node in cluster.nodes:
        (folder / f"{node.name}.journal").write_text(node.journal())
    return folder


def restarts(cluster: Cluster) -> str:
    """Return what began or ended of Kubernetes itself since the nodes began, and when."""
    system = ("kubectl", "-n", "kube-system", "get", "pods", "-o", "wide")
    pods = attempt(*system, env=cluster.env, seconds=60)
    lines = [f"{node.name}: {line}" for node in cluster.nodes for line in node.changes()]
    return "\n".join([*lines, pods.stdout + pods.stderr])
