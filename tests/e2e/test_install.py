"""What a user sees first: the chart installed, a ring that trades, and a resource that tells so."""

from __future__ import annotations

import json

from tests.e2e.cluster import IMAGE, NAME, ROOT, Cluster
from tests.e2e.conftest import MakeRing
from tests.e2e.release import Release
from tests.e2e.ring import Ring
from tests.e2e.tools import OWN_PATH, attempt, run, until

README = (ROOT / "README.md").read_text()
MADE_ALREADY = ("make image", "kind create cluster --name bazaar --config k8s/kind.yaml")


def test_the_readme_s_own_commands_are_all_that_a_user_needs(
    cluster: Cluster, operator: Release
) -> None:
    """Word by word, with the release's own operator: only the cluster has another name here."""
    text = README.partition("## On Kubernetes")[2].partition("\n## ")[0]
    commands = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    assert tuple(commands[:2]) == MADE_ALREADY
    run("docker", "tag", IMAGE, "bazaar:dev")
    home = Release(cluster, "default", "bazaar")
    env = cluster.env | {"PATH": OWN_PATH}
    with operator.absent():
        try:
            said = {
                words: run(*words.split(), seconds=240, env=env, folder=ROOT)
                for words in (c.replace("--name bazaar", f"--name {NAME}") for c in commands[2:])
            }
            name, peers, _, trader, *_ = said["kubectl get bz"].splitlines()[1].split()
            assert (name, peers) == ("bazaar", "6")
            assert trader.startswith("bazaar-"), "available: a majority has a trader"
            # In its first second a ring may have no salt yet: that is an answer, too.
            assert "journal index" in said["bazaar buy salt 3 --url kube:default/bazaar"]
            ring = Ring(cluster, "default", "bazaar")
            until(lambda: ring.status().get("ready") == 6, "the others are ready, too", 60)
        finally:
            attempt("helm", "uninstall", "bazaar", env=cluster.env)
            until(lambda: not Ring(cluster, "default", "bazaar").pods() or None, "no pod", 120)
            home.kubectl("delete", "pvc", "--all")


def test_chart_gives_a_ring_that_is_available_and_tells_so(
    cluster: Cluster, operator: Release, namespace: str
) -> None:
    """`helm install`, `kubectl wait`, `kubectl get bz`, `helm test`: all that a user needs."""
    notes = cluster.install(
        "shop", namespace, "--set", "peers=6", "--set", "operator.enabled=false"
    )
    cluster.kubectl(
        *("wait", "-n", namespace, "--for=condition=Available", "bazaar/shop", "--timeout=120s")
    )
    ring = Ring(cluster, namespace, "shop")
    trader = ring.wait_settled()
    until(lambda: ring.status().get("trader") == f"shop-{trader['ordinal']}", "status.trader")
    until(lambda: ring.status().get("ready") == 6, "all six are ready by the status, too")

    head, line = ring.kubectl("get", "bz").splitlines()
    epoch = ring.wait_settled()["epoch"]
    tested = cluster.helm("test", "shop", "-n", namespace, "--logs")

    assert head.split() == ["NAME", "PEERS", "READY", "TRADER", "EPOCH", "PHASE", "AGE"]
    assert line.split()[:4] == ["shop", "6", "6", f"shop-{trader['ordinal']}"]
    assert "Succeeded" in tested
    assert "each executed once" in " ".join(tested.split())
    assert f"shop-{trader['ordinal']} handed over to shop-" in tested
    assert ring.wait_settled()["epoch"] > epoch
    roles = cluster.kubectl("get", "-n", namespace, "roles,serviceaccounts", "-o", "name").split()
    assert not [name for name in roles if name.endswith("/shop-test")]
    assert "kubectl" in notes
    wanted = {"Ready": "True", "Available": "True", "TraderElected": "True", "Accepted": "True"}
    wanted |= {"Reconciling": "False", "Stalled": "False", "Degraded": "False"}
    # The operator looks at a ring whose pod came back a moment ago within its next pass.
    until(
        lambda: {name: ring.condition(name).get("status") for name in wanted} == wanted,
        lambda: f"the conditions of a ring that runs; they are {ring.status()['conditions']}",
        30,
    )
    status = ring.status()
    assert status["observedGeneration"] == ring.get()["metadata"]["generation"]
    assert {one["observedGeneration"] for one in status["conditions"]} == {
        status["observedGeneration"]
    }


def test_label_and_service_follow_the_trader(make_ring: MakeRing) -> None:
    ring = make_ring(peers=3)

    for _ in range(3):
        before = ring.seat()
        ring.wait_shown(before.pod)
        ring.kubectl("delete", "pod", before.pod)
        ring.wait_reign(before.epoch)
        ring.wait_shown(ring.seat().pod)


def test_two_rings_of_one_namespace_do_not_know_each_other(make_ring: MakeRing) -> None:
    one, other = make_ring("one", peers=3), make_ring("other", peers=3)

    seat, epoch = one.seat(), other.seat().epoch
    one.kubectl("delete", "pod", seat.pod)
    one.wait_reign(seat.epoch)
    one.wait_settled()

    assert other.wait_settled()["epoch"] == epoch
    assert one.status()["ringId"] != other.status()["ringId"]
    assert other.endpoints("client") == {f"other-{i}" for i in range(3)}


def test_objects_that_were_changed_or_deleted_come_back(make_ring: MakeRing) -> None:
    ring = make_ring(peers=3)

    ring.kubectl("delete", "service/shop-client", "pdb/shop", "configmap/shop")
    ring.kubectl("annotate", "statefulset/shop", "kept=yes")
    ring.kubectl("patch", "statefulset/shop", "--type=merge", "-p", '{"spec":{"replicas":1}}')

    def back() -> bool:
        told = ring.kubectl("get", "service,pdb,configmap", "-o", "name").split()
        sets = json.loads(ring.kubectl("get", "statefulset/shop", "-o", "json"))
        wanted = {"service/shop-client", "poddisruptionbudget.policy/shop", "configmap/shop"}
        return wanted <= set(told) and sets["spec"]["replicas"] == 3

    until(back, "what was deleted is made again", 120)
    ring.wait_settled()
