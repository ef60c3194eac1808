"""The chart beyond a first install: one namespace only, and a definition that changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import yaml

from tests.e2e.cluster import CHART, REPOSITORY, TAG, Cluster
from tests.e2e.conftest import SYSTEM
from tests.e2e.release import Release
from tests.e2e.ring import PRICELESS, Ring
from tests.e2e.tools import until

CRD = "bazaars.bazaar.dev"


def test_operator_of_one_namespace_needs_no_right_on_the_cluster(
    cluster: Cluster, operator: Release, namespace: str
) -> None:
    """The operator of all namespaces is gone meanwhile, so that it cannot have done the work."""
    with operator.absent():
        release = Release(cluster, namespace, "shop")
        release.install("--set", "clusterWide=false", "--set", "peers=3")
        release.wait()
        ring = Ring(cluster, namespace, "shop")
        ring.wait("Available", 180)
        trader = ring.wait_settled()
        ring.kubectl("delete", "pod", f"shop-{trader['ordinal']}")
        ring.wait_reign(trader["epoch"])
        ring.wait_settled()
        granted = cluster.kubectl("get", "clusterrolebindings", "-o", "json")

        subjects = [
            subject
            for binding in json.loads(granted)["items"]
            for subject in binding.get("subjects") or []
            if subject.get("namespace") == namespace
        ]
        assert subjects == []
        release.kubectl("delete", "bazaar", "shop")
        cluster.helm("uninstall", "shop", "-n", namespace)


def test_reinstalled_release_gets_its_former_volumes_by_name_only(
    cluster: Cluster, operator: Release, namespace: str
) -> None:
    """R14: a new resource over old volumes is refused with the sentence that says how to adopt."""
    options = ("--set", "clusterWide=false", "--set", "peers=3")
    with operator.absent():
        release, ring = Release(cluster, namespace, "shop"), Ring(cluster, namespace, "shop")
        release.install(*options)
        ring.wait("Available", 180)
        ring.wait_settled()
        until(lambda: ring.status().get("history") or None, "the status knows of the history")
        former = ring.status()["ringId"]
        lot = ring.traded("sell", "salt", 7, "--price", PRICELESS)["lot"]

        cluster.helm("uninstall", "shop", "-n", namespace)
        until(lambda: not ring.pods() or None, "the pods are gone", 120)
        claims = ring.kubectl("get", "pvc", "-o", "name").split()
        release.install(*options)
        refused = until(lambda: how_to_adopt(ring), "the resource says how to adopt", 120)
        release.install(*options, "--set", f"bazaar.spec.storage.adoptRing={former}")
        ring.wait("Available", 180)
        ring.wait_settled()

        assert len(claims) == 3
        assert former in refused
        assert ring.status()["ringId"] == former
        assert ring.traded("withdraw", lot, 7)["outcome"] == "withdrawn"
        cluster.helm("uninstall", "shop", "-n", namespace)


def how_to_adopt(ring: Ring) -> str | None:
    told = (ring.condition(kind).get("message", "") for kind in ("Accepted", "Stalled"))
    return next((message for message in told if "adoptRing" in message), None)


def test_helm_upgrade_brings_a_changed_definition(
    cluster: Cluster, operator: Release, tmp_path: Path
) -> None:
    """Helm itself never upgrades a chart's definitions."""
    crd = json.loads(cluster.kubectl("get", "crd", CRD, "-o", "json"))
    column = {"name": "Planted", "type": "string", "jsonPath": ".metadata.name"}
    crd["spec"]["versions"][0]["additionalPrinterColumns"].append(column)
    cluster.kubectl("replace", "-f", "-", stdin=json.dumps(crd))
    assert "PLANTED" in columns(cluster)

    chart = Path(shutil.copytree(CHART, tmp_path / "bazaar"))
    described = yaml.safe_load((chart / "Chart.yaml").read_text())
    described["version"] = "99.0.0"
    (chart / "Chart.yaml").write_text(yaml.safe_dump(described))
    image = ("--set", f"image.repository={REPOSITORY}", "--set", f"image.tag={TAG}")
    values = ("--set", "bazaar.create=false", *image)
    cluster.helm("upgrade", operator.name, chart, "-n", SYSTEM, *values, "--wait")

    until(lambda: "PLANTED" not in columns(cluster), "the chart's definition is in force")
    operator.wait()


def columns(cluster: Cluster) -> list[str]:
    crd = json.loads(cluster.kubectl("get", "crd", CRD, "-o", "json"))
    version = crd["spec"]["versions"][0]
    return [str(column["name"]).upper() for column in version["additionalPrinterColumns"]]
