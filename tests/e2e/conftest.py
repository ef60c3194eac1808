"""One cluster for each lane of the session, one namespace a test; skipped unless asked for.

    make e2e         three drills of a kind, on two clusters at once; on one: make e2e LANES=1
    make e2e-full    a hundred, on one

E2E_CLUSTER names the cluster (lanes add theirs); with E2E_KEEP=1 it is used if it is there, and
stays. E2E_DRILLS is the number of drills, E2E_RATE the orders a second, E2E_ARTIFACTS the folder of
figures and of what failed tests leave; DOCKER_BUILD_FLAGS goes to `docker build`, KIND_NODE_IMAGE
to `kind create`. With E2E_ADD=1 the figures are added to those that the folder has: the full set
takes ten hours, and can be run kind by kind (`make e2e-full K=graceful E2E_ADD=1`). E2E_PROMETHEUS
brings a Prometheus (prometheus.py); without it that test is skipped.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import artifacts, lanes
from tests.e2e import cluster as clusters
from tests.e2e.cluster import Cluster
from tests.e2e.figures import Figures
from tests.e2e.release import Release
from tests.e2e.ring import Ring
from tests.e2e.tools import attempt, missing

SYSTEM = "bazaar-system"
TEST_S = 6 * 3600 if os.environ.get("E2E_FULL") else 2700
FAILED = pytest.StashKey[bool]()
FIGURES = Figures()
FIRST = "test_watched.py"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    own = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    if not own:
        return
    # What takes longest comes first, or one lane would have it at the end, alone.
    items.sort(key=lambda item: item in own and item.path.name != FIRST)
    why = missing() if config.getoption("--e2e") else "`make e2e` runs the end-to-end tests"
    for item in own:
        item.add_marker(pytest.mark.e2e)
        item.add_marker(pytest.mark.timeout(TEST_S))
        if why:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Give what this lane's drills came to to whoever sums up."""
    if lanes.LANE:
        session.config.workeroutput["figures"] = FIGURES.told()  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the same from a lane that has ended; from one that died there is nothing."""
    FIGURES.take(getattr(node, "workeroutput", {}).get("figures", []))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if FIGURES.runs:
        if os.environ.get("E2E_ADD"):
            FIGURES.read(artifacts.FOLDER)
        FIGURES.write(artifacts.FOLDER)
        terminalreporter.section("drills")
        for line in FIGURES.table():
            terminalreporter.write_line(line)
        terminalreporter.write_line(f"figures in {artifacts.FOLDER}")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.getbasetemp()
    kubeconfig = tmp_path_factory.mktemp("e2e") / "kubeconfig"
    try:
        yield clusters.make(kubeconfig, folder.parent if lanes.LANE else folder)
    finally:
        clusters.remove()


@pytest.fixture(scope="session")
def figures() -> Figures:
    return FIGURES


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of this test's own, that keeps pods to the restricted standard."""
    with _namespace(cluster, request) as name:
        yield name


@contextlib.contextmanager
def _namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    short = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    name = f"e2e-{short[:40].strip('-')}"
    old = ("kubectl", "delete", "namespace", name, "--ignore-not-found")
    attempt(*old, env=cluster.env, seconds=200)
    for node in cluster.nodes:
        node.drop_logs(name)
    cluster.kubectl("create", "namespace", name)
    enforce = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", name, enforce)
    yield name
    if request.node.stash.get(FAILED, False):
        left = artifacts.leave(cluster, request.node.name, name, SYSTEM)
        request.node.add_report_section("teardown", "artifacts", f"left in {left}")
        # Whoever reads the report alone sees whether Kubernetes itself was whole.
        told = artifacts.restarts(cluster)
        request.node.add_report_section("teardown", "of Kubernetes", told)
    attempt("helm", "uninstall", "-n", name, "shop", env=cluster.env)
    # A whole ring that is deleted has nobody to hand over to: nobody waits for its grace period.
    here = ("kubectl", "-n", name, "delete", "--all")
    for kind in ("bazaars", "statefulsets"):
        attempt(*here, kind, "--cascade=orphan", env=cluster.env)
    attempt(*here, "pods", "--grace-period=1", "--wait=false", env=cluster.env)
    attempt("kubectl", "delete", "namespace", name, "--wait=false", env=cluster.env)


@pytest.fixture(scope="session")
def operator(cluster: Cluster) -> Release:
    """The operator of all namespaces, without a Bazaar of its own."""
    attempt("kubectl", "create", "namespace", SYSTEM, env=cluster.env)
    release = Release(cluster, SYSTEM, "bazaar")
    release.install("--set", "bazaar.create=false", "--wait")
    return release


MakeRing = Callable[..., Ring]


@pytest.fixture
def make_ring(cluster: Cluster, operator: Release, namespace: str) -> MakeRing:
    """Apply a Bazaar and wait until it is available and has settled."""
    operator.wait()

    def make(name: str = "shop", **spec: Any) -> Ring:
        ring = Ring(cluster, namespace, name)
        ring.apply(**spec)
        ring.wait("Available", 180)
        ring.wait_settled()
        return ring

    return make
