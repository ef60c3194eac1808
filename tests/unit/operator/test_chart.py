"""The chart: values that are told and checked, least rights, restricted pods, and golden output.

What needs the program `helm` is skipped where it is missing; all else reads the chart's files.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.main import get_command

from bazaar_operator import labels, manifests
from bazaar_peer import __version__
from bazaar_peer.command.app import app
from charts import generate
from tests.unit.operator.conftest import Golden
from tests.unit.operator.resources import EVERYTHING, assert_restricted, bazaar

CHART = generate.CHART
K8S = generate.K8S
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
HELM = shutil.which("helm")
needs_helm = pytest.mark.skipif(HELM is None, reason="helm is not on the PATH")


def documents(path: Path) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(path.read_text()) if found]


def helm(*words: str) -> subprocess.CompletedProcess[str]:
    assert HELM
    return subprocess.run(
        [HELM, *words, "--kube-version", generate.KUBERNETES],
        text=True,
        capture_output=True,
        check=False,
    )


@cache
def template(*options: str) -> list[dict[str, Any]]:
    said = helm("template", "bazaar", str(CHART), "--namespace", "bazaar-system", *options)
    assert said.returncode == 0, said.stderr
    return [found for found in yaml.safe_load_all(said.stdout) if found]


def rules(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((CHART / "files" / name).read_text())
    return found


def allowed(group: str, resource: str) -> set[str]:
    every = rules("rules-namespaced.yaml")
    return {
        verb
        for rule in every
        if group in rule["apiGroups"] and resource in rule["resources"]
        for verb in rule["verbs"]
    }


def without_checksums(node: Any) -> Any:
    """An object whose golden file does not change with every word of the definition."""
    if isinstance(node, list):
        return [without_checksums(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: "…" if key.startswith("checksum/") else without_checksums(value)
        for key, value in node.items()
    }


def named(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return {f"{each['kind']}/{each['metadata']['name']}": generate.bare(each) for each in objects}


@pytest.mark.parametrize("path", generate.made(), ids=lambda path: path.name)
def test_what_is_made_from_other_files_is_current(path: Path) -> None:
    """If it is not: `make manifests`."""
    assert path.read_text() == generate.made()[path]


def test_every_value_is_told() -> None:
    told = {value.path for value in generate.values()}

    def leaves(tree: dict[str, Any], above: str = "") -> set[str]:
        found = set[str]()
        for name, value in tree.items():
            path = f"{above}{name}"
            inner = isinstance(value, dict) and value and path not in told
            found |= leaves(value, f"{path}.") if inner else {path}
        return found

    assert leaves(yaml.safe_load((CHART / "values.yaml").read_text())) == told


def test_every_value_that_is_told_is_used() -> None:
    templates = "".join(path.read_text() for path in (CHART / "templates").rglob("*.*"))
    scoped = {"bazaar.labels": ".labels", "bazaar.annotations": ".annotations"}
    for value in generate.values():
        spelt = scoped.get(value.path, f".Values.{value.path}")
        inside = f".Values.{value.path.rpartition('.')[0]}"
        last = f".{value.path.rpartition('.')[2]}"
        assert spelt in templates or (inside in templates and last in templates), value.path


def test_the_chart_is_of_this_release_and_of_this_definition() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    told = yaml.safe_load(chart["annotations"]["artifacthub.io/crds"])[0]
    example = yaml.safe_load(chart["annotations"]["artifacthub.io/crdsExamples"])[0]

    assert chart["appVersion"] == __version__
    assert (told["name"], told["kind"], told["version"]) == (
        labels.CRD_NAME,
        labels.KIND,
        labels.VERSION,
    )
    assert example["apiVersion"] == labels.API_VERSION


@pytest.mark.parametrize("path", [CHART / "values.yaml", *VALUES], ids=lambda path: path.stem)
def test_the_schema_takes_what_is_right(path: Path) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text()), generate.schema())


@pytest.mark.parametrize(
    "values",
    [
        {"peers": 0},
        {"peers": 25},
        {"per": 6},
        {"bazaar": {"spec": {"peers": 3}}},
        {"bazaar": {"spec": {"storage": {"sise": "1Gi"}}}},
        {"bazaar": {"name": "x" * 41}},
        {"bazaar": {"annotations": {"bazaar.dev/deletion-protection": True}}},
        {"image": {"digest": "latest"}},
        {"operator": {"logLevel": "LOUD"}},
        {"clusterWide": "yes"},
    ],
    ids=str,
)
def test_the_schema_refuses_what_is_wrong(values: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, generate.schema())


def test_the_schema_takes_every_field_of_the_resource() -> None:
    spec = {key: value for key, value in EVERYTHING.items() if key != "peers"}

    jsonschema.validate({"peers": None, "bazaar": {"spec": spec}}, generate.schema())


def test_the_operator_may_apply_what_it_builds() -> None:
    built = [
        *manifests.build(bazaar(EVERYTHING), replicas=9),
        manifests.admin_secret(bazaar(), "t"),
    ]
    plurals = {"NetworkPolicy": "networkpolicies"}
    for manifest in built:
        group = manifest["apiVersion"].rpartition("/")[0]
        resource = plurals.get(manifest["kind"], f"{manifest['kind'].lower()}s")
        assert {"get", "create", "patch"} <= allowed(group, resource), manifest["kind"]
    for version, kind in manifests.OPTIONAL:
        group = version.rpartition("/")[0]
        assert "delete" in allowed(group, plurals.get(kind, f"{kind.lower()}s"))


def test_the_operator_may_do_no_more_than_it_needs() -> None:
    every = rules("rules-namespaced.yaml") + rules("rules-cluster.yaml")
    words = {word for rule in every for part in rule.values() for word in part}

    assert not words & {"*", "deletecollection", "update", "impersonate", "bind", "escalate"}
    assert allowed("bazaar.dev", "bazaars") == {"get", "list", "watch", "patch"}
    assert allowed("bazaar.dev", "bazaars/status") == {"patch"}
    assert allowed("", "secrets") == {"get", "create", "patch"}
    assert "create" not in allowed("", "pods") | allowed("", "persistentvolumeclaims")
    for rule in rules("rules-cluster.yaml"):
        assert set(rule["verbs"]) <= {"get", "list", "watch"}


def test_the_script_of_the_helm_test_uses_commands_that_exist() -> None:
    group: Any = get_command(app)
    script = (CHART / "templates/tests/buys.yaml").read_text()
    lines = re.findall(r"(?<![\w/.-])bazaar ([a-z]+) (--.*|\".*)", script)

    assert {command for command, _ in lines} == {"sell", "buy", "stock", "withdraw", "selftest"}
    for command, rest in lines:
        options = {name for each in group.commands[command].params for name in each.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options


@needs_helm
@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_helm_finds_nothing_wrong(path: Path) -> None:
    said = helm("lint", str(CHART), "--strict", "--values", str(path))

    assert said.returncode == 0, said.stdout + said.stderr


@needs_helm
@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_helm_makes_the_golden_objects(golden: Golden, path: Path) -> None:
    made = [without_checksums(each) for each in template("--values", str(path))]

    golden(f"chart-{path.stem.removesuffix('-values')}", made)


@needs_helm
def test_another_definition_or_role_restarts_the_operator() -> None:
    """It looks both up when it starts."""
    deployment = next(each for each in template() if each["kind"] == "Deployment")
    found = deployment["spec"]["template"]["metadata"]["annotations"]
    definition = (CHART / "crds/bazaar.yaml").read_bytes()

    assert found["checksum/crd"] == hashlib.sha256(definition).hexdigest()
    assert re.fullmatch("[0-9a-f]{64}", found["checksum/rbac"])


@needs_helm
@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_every_pod_of_the_chart_is_restricted(path: Path) -> None:
    for found in template("--values", str(path)):
        if found["kind"] == "Pod":
            assert_restricted(found["spec"])
        elif found["kind"] in {"Deployment", "Job"}:
            assert_restricted(found["spec"]["template"]["spec"])


@needs_helm
def test_the_chart_and_the_plain_manifests_agree() -> None:
    plain = documents(K8S / "base/rbac.yaml") + documents(K8S / "base/operator.yaml")
    plain += documents(K8S / "deletion-protection.yaml")
    for path in generate.PLAIN.values():
        plain += documents(path)
    on = (*generate.ON, "policy.validatingAdmissionPolicy.enabled")
    made = named(template("--set", ",".join(f"{name}=true" for name in on)))
    hooks_and_ring = {key for key in made if re.search(r"-crd$|-test$|^Bazaar/", key)}

    assert {key: made[key] for key in made.keys() - hooks_and_ring} == named(plain)


@needs_helm
def test_the_plain_manifests_of_optional_objects_are_current() -> None:
    """If they are not: `make manifests`, with helm on the PATH."""
    assert HELM
    for path, text in generate.plain(HELM).items():
        assert path.read_text() == text


@needs_helm
def test_the_namespaced_chart_and_the_plain_manifests_agree() -> None:
    plain = named(documents(K8S / "namespaced/rbac.yaml"))
    made = named(template("--set", "clusterWide=false"))

    roles = {key: made[key] for key in made if key.startswith("Role") and "-test" not in key}
    assert plain == roles
    assert not any("Cluster" in key for key in made)


@needs_helm
def test_the_drill_of_the_helm_test_may_delete_pods_of_its_ring_and_nothing_else() -> None:
    made = template()
    (role,) = (found for found in made if found["kind"] == "Role")
    (rule,) = role["rules"]

    assert (rule["resources"], rule["verbs"]) == (["pods"], ["delete", "get"])
    assert rule["resourceNames"] == [f"bazaar-{ordinal}" for ordinal in range(24)]
    assert role["metadata"]["annotations"]["helm.sh/hook"] == "test"


@needs_helm
def test_an_ingress_is_made_when_asked_for_and_wants_a_host() -> None:
    host = ("--set", "ingress.enabled=true", "--set", "ingress.host=souk.example.org")
    (found,) = (each for each in template(*host) if each["kind"] == "Ingress")
    (rule,) = found["spec"]["rules"]
    (path,) = rule["http"]["paths"]

    assert rule["host"] == "souk.example.org"
    assert path["backend"]["service"] == {"name": "bazaar-client", "port": {"number": 8600}}
    assert not any(each["kind"] == "Ingress" for each in template())
    refused = helm("template", "bazaar", str(CHART), "--set", "ingress.enabled=true")
    assert refused.returncode != 0
    assert "ingress.enabled wants ingress.host" in refused.stderr


@needs_helm
@pytest.mark.parametrize("value", ["tests.drill=false", "rbac.create=false"])
def test_without_the_drill_the_helm_test_has_no_rights(value: str) -> None:
    made = template("--set", value)
    (pod,) = (found for found in made if found["kind"] == "Pod")

    assert not any(found["kind"] == "Role" for found in made)
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert "selftest" not in json.dumps(pod)


@needs_helm
@pytest.mark.parametrize(
    "values",
    [
        "clusterWide=false",
        "crds.upgrade.enabled=false",
        "rbac.create=false",
        "operator.enabled=false",
    ],
)
def test_the_definition_is_upgraded_by_who_may_only(values: str) -> None:
    assert any(found["kind"] == "Job" for found in template())
    assert not any(found["kind"] == "Job" for found in template("--set", values))


@needs_helm
def test_the_bazaar_is_named_like_the_release_and_has_the_peers() -> None:
    ring = next(each for each in template("--set", "peers=9") if each["kind"] == labels.KIND)
    free = next(each for each in template("--set", "peers=null") if each["kind"] == labels.KIND)

    assert ring["metadata"]["name"] == "bazaar"
    assert ring["spec"] == {"peers": 9}
    assert free["spec"] == {}


@needs_helm
def test_a_release_whose_name_cannot_name_a_ring_is_refused_with_the_way_out() -> None:
    said = helm("template", "1st", str(CHART))

    assert said.returncode != 0
    assert "or set bazaar.name" in said.stderr


@needs_helm
def test_operator_and_peers_are_never_taken_for_each_other() -> None:
    deployment = next(each for each in template() if each["kind"] == "Deployment")
    operator = deployment["spec"]["template"]["metadata"]["labels"]
    chosen = deployment["spec"]["selector"]["matchLabels"]

    assert not labels.selector("bazaar").items() <= operator.items()
    assert not chosen.items() <= labels.labels("bazaar").items()
    assert operator[labels.MANAGED_BY] != labels.FIELD_MANAGER


def test_the_notes_are_the_next_three_commands() -> None:
    notes = (CHART / "templates/NOTES.txt").read_text()
    with_ring, _, without = notes.partition("{{- else -}}")

    assert re.findall(r"^    (\w+ .*)", with_ring, re.MULTILINE) == [
        "kubectl -n {{ $ns }} wait --for=condition=Available bazaar/{{ $ring }} --timeout=120s",
        "kubectl -n {{ $ns }} get bz {{ $ring }}",
        "helm -n {{ .Release.Namespace }} test {{ .Release.Name }}",
    ]
    assert len(re.findall(r"^    \w+ ", without, re.MULTILINE)) == 3


def test_golden_files_belong_to_somebody() -> None:
    folder = Path(__file__).parent / "golden"
    mine = {f"chart-{path.stem.removesuffix('-values')}" for path in VALUES}

    assert {path.stem for path in folder.glob("*.yaml")} == mine | {
        "defaults", "everything", "one-peer", "tls",
    }  # fmt: skip
