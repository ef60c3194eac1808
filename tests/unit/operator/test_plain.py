"""The plain manifests, the cluster to try them on, and the image: read as files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bazaar_operator import labels
from bazaar_operator.__main__ import METRICS_PORT
from bazaar_operator.labels import UPDATE_TO
from bazaar_operator.phases import PHASES
from bazaar_operator.views import VOTELESS
from tests.unit.operator.resources import assert_restricted

ROOT = Path(__file__).parents[3]
K8S = ROOT / "k8s"
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def documents(path: Path) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(path.read_text()) if found]


def rules(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((ROOT / "charts/bazaar/files" / name).read_text())
    return found


def test_the_role_is_that_of_the_chart() -> None:
    roles = {each["kind"]: each for each in reversed(documents(K8S / "base/rbac.yaml"))}
    own = documents(K8S / "namespaced/rbac.yaml")[0]
    here, everywhere = rules("rules-namespaced.yaml"), rules("rules-cluster.yaml")

    assert roles["ClusterRole"]["rules"] == here + everywhere
    assert own["rules"] == here


def test_the_operators_pod_is_restricted_as_its_namespace_demands() -> None:
    deployment = documents(K8S / "base/operator.yaml")[0]
    namespace = documents(K8S / "base/namespace.yaml")[0]

    assert_restricted(deployment["spec"]["template"]["spec"])
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert deployment["metadata"]["namespace"] == namespace["metadata"]["name"]
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert deployment["spec"]["replicas"] == 1


@pytest.mark.parametrize("folder", ["", "base", "monitoring", "namespaced"])
def test_every_file_of_a_kustomization_is_there(folder: str) -> None:
    found = yaml.safe_load((K8S / folder / "kustomization.yaml").read_text())

    for resource in found["resources"]:
        assert (K8S / folder / resource).exists(), resource


def test_one_file_describes_the_cluster_to_try_it_on() -> None:
    roles = [node["role"] for node in yaml.safe_load((K8S / "kind.yaml").read_text())["nodes"]]

    assert roles == ["control-plane", "worker", "worker", "worker"]
    assert (ROOT / "tests/e2e/kind.yaml").resolve() == K8S / "kind.yaml"


def test_the_image_builds_with_the_classic_builder() -> None:
    """Which knows no mounts in RUN, no syntax line and no here-documents."""
    assert not re.search(r"--mount|^# *syntax|<<|--chmod|--link", DOCKERFILE, re.MULTILINE)


def test_the_image_runs_as_the_user_that_pods_demand() -> None:
    assert f"USER {labels.UID}:{labels.UID}" in DOCKERFILE
    assert "PYTHONSAFEPATH=1" in DOCKERFILE


def test_the_image_has_what_constraints_say_and_no_tools_of_developers() -> None:
    assert "PIP_CONSTRAINT=/src/constraints.txt" in DOCKERFILE
    assert "[operator]" in DOCKERFILE
    assert "dev]" not in DOCKERFILE
    assert not re.search(r"apt|gcc|build-essential", DOCKERFILE)


def test_the_last_stage_takes_nothing_from_the_build_but_the_environment() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]

    assert re.findall(r"^COPY .*", last, re.MULTILINE) == [
        "COPY --from=build /opt/bazaar /opt/bazaar"
    ]


def test_what_the_image_is_made_of_reaches_the_builder() -> None:
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
        for name in line.split()
    }

    assert copied == let_through
    for name in copied:
        assert (ROOT / name).exists()


def test_the_operator_reads_every_variable_it_is_given() -> None:
    container = documents(K8S / "base/operator.yaml")[0]["spec"]["template"]["spec"]["containers"][
        0
    ]
    given = {variable["name"] for variable in container["env"]}
    source = (ROOT / "operator/bazaar_operator/__main__.py").read_text()
    read = set(re.findall(r'environment\.get\("(\w+)"', source))

    assert given - {"OPERATOR_NAMESPACE"} == read
    assert f"0.0.0.0:{container['ports'][0]['containerPort']}/healthz" in source
    assert container["ports"][1]["containerPort"] == METRICS_PORT


def test_the_page_lists_every_phase_with_its_deadline() -> None:
    page = (ROOT / "docs/kubernetes.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE))
    words = {0.0: "at once", float("inf"): "never"}

    assert told == {
        name: words.get(phase.deadline_s, f"{phase.deadline_s:.0f} s")
        for name, phase in PHASES.items()
    }


def test_the_page_lists_every_event() -> None:
    page = (ROOT / "docs/kubernetes.md").read_text()
    table = page.partition("| event |")[2].partition("\n\n")[0]
    sources = (ROOT / "operator/bazaar_operator").glob("*.py")
    reason = re.compile(r'"(?:Normal|Warning)", "(\w+)"')
    told = {name for path in sources for name in reason.findall(path.read_text())}

    cells = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == told
    assert "HandOver" in told


def test_the_page_names_the_states_in_which_a_pod_is_restarted_without_a_majority() -> None:
    page = (ROOT / "docs/kubernetes.md").read_text()
    told = re.search(r"wait without a vote \(([^)]*)\)", page)

    assert told
    assert set(re.findall(r"`(\w+)`", told[1])) == VOTELESS


def test_the_page_says_how_an_image_is_let_in() -> None:
    assert f" {UPDATE_TO}=" in (ROOT / "docs/kubernetes.md").read_text()
    assert UPDATE_TO in (ROOT / "operator/bazaar_operator/crd.yaml").read_text()
