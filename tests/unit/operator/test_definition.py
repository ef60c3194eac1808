"""The definition says what the code says: fields, defaults, bounds, rules; samples keep it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from bazaar_operator import crd, labels
from bazaar_operator.spec import InvalidSpec, Spec, Status, parse
from charts.generate import stripped
from tests.unit.operator.resources import EVERYTHING, bazaar

ROOT = Path(__file__).parents[3]
SAMPLES = sorted((ROOT / "k8s/samples").glob("*.yaml"))

VERSION: dict[str, Any] = crd.manifest()["spec"]["versions"][0]
SCHEMA: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]
SPEC: dict[str, Any] = SCHEMA["properties"]["spec"]
STATUS: dict[str, Any] = SCHEMA["properties"]["status"]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from nodes(schema[word], f"{path}[]")


def defaulted(schema: dict[str, Any], given: Any) -> Any:
    """Do as the API server: what is missing gets its default, then what is inside gets its own."""
    if not isinstance(given, dict) or "properties" not in schema:
        return given
    found = dict(given)
    for name, inner in schema["properties"].items():
        if name not in found and "default" in inner:
            found[name] = inner["default"]
        if name in found:
            found[name] = defaulted(inner, found[name])
    return found


def code_schema(kind: type[Any]) -> dict[str, Any]:
    """The JSON schema of a struct, with its references put in place."""
    found = msgspec.json.schema(kind)

    def placed(node: Any) -> Any:
        if isinstance(node, list):
            return [placed(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return placed(found["$defs"][node["$ref"].rpartition("/")[2]])
        options = [each for each in node.get("anyOf", []) if each != {"type": "null"}]
        if len(options) == 1:
            return placed(options[0])
        return {key: placed(value) for key, value in node.items()}

    return placed(found)  # type: ignore[no-any-return]


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(each) for key, each in value.items() if each is not None}
    return [without_none(each) for each in value] if isinstance(value, list | tuple) else value


def norm(bound: Any) -> Any:
    return sorted(bound) if isinstance(bound, list) else bound


def test_the_defaults_of_the_definition_are_those_of_the_code() -> None:
    assert SPEC["default"] == {}
    assert defaulted(SPEC, {}) == without_none(msgspec.to_builtins(Spec()))


def test_defaults_are_the_same_where_a_part_is_given() -> None:
    for given in ({"storage": {"size": "2Gi"}}, {"heartbeat": {"timeoutMs": 900}}, EVERYTHING):
        read = msgspec.to_builtins(bazaar(given).spec)
        assert without_none(read) == without_none(defaulted(SPEC, given))


def test_a_default_in_full_is_that_of_its_fields() -> None:
    """Where a parent has rules its default is written out, and must not differ."""
    for path, node in nodes(SPEC):
        if "properties" in node and path:
            assert "default" in node or path.endswith("[]"), f"{path} would stay empty"
            if "default" in node:
                assert defaulted(node, node["default"]) == defaulted(node, {}), path


@pytest.mark.parametrize(
    ("schema", "kind"), [(SPEC, Spec), (STATUS, Status)], ids=["spec", "status"]
)
def test_definition_and_code_have_the_same_fields(schema: dict[str, Any], kind: type[Any]) -> None:
    """A status field that is not in the definition is dropped by the API server without a word."""
    there = {path for path, _ in nodes(schema)}
    coded = {path for path, _ in nodes(code_schema(kind))}

    assert there == coded


def test_bounds_and_choices_are_the_same() -> None:
    words = ("minimum", "maximum", "enum", "minItems", "maxItems")
    coded = dict(nodes(code_schema(Spec)))
    compared = 0
    for path, node in nodes(SPEC):
        if path == ".scheduling.tolerations":
            continue  # its bound is the API server's need, for the cost of rules
        for word in words:
            if word in node:
                assert norm(node[word]) == norm(coded[path].get(word)), path
                compared += 1

    assert compared >= 25


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("market.roles", "roles"),
        ("market.items", "items"),
        ("storage.size", "size"),
    ],
)
def test_patterns_of_rules_take_what_the_code_takes(path: str, key: str) -> None:
    """CEL's expressions and ours are two spellings; the same words pass both."""
    words = [
        "both", "random", "buyers=3,sellers=3", "buyers=,sellers=1", "buyers=100,sellers=1", "salt",
        "x" * 32, "x" * 33, "-a", "a-", "A", "", "1Gi", "1.5Gi", "100m", "1GB", "Gi", "1 Gi", "9E",
    ]  # fmt: skip
    node = dict(nodes(SPEC))[f".{path}"]
    node = node.get("items", node)
    rule = node["x-kubernetes-validations"][0]["rule"]
    expression = re.search(r"self\.matches\('(.+?)'\)", rule)

    assert expression
    for word in words:
        value: Any = [word] if key == "items" else word
        outer = path.partition(".")[0]
        try:
            bazaar({outer: {key: value}})
            read = True
        except InvalidSpec:
            read = False
        passes = bool(re.search(expression[1], word)) and len(word) <= node["maxLength"]
        assert passes == read, word


def test_it_is_structural_and_closed() -> None:
    for path, node in nodes(SCHEMA):
        assert "x-kubernetes-preserve-unknown-fields" not in node, path
        typed = "type" in node or node.get("x-kubernetes-int-or-string")
        assert typed, f"{path} has no type"


def test_every_rule_says_what_to_do() -> None:
    rules = [rule for _, node in nodes(SCHEMA) for rule in node.get("x-kubernetes-validations", [])]

    assert len(rules) >= 10
    for rule in rules:
        assert len(rule["message"].split()) >= 8, rule
        assert "\n" not in rule["message"]


def test_every_field_of_the_spec_is_told() -> None:
    untold = {path for path, node in nodes(SPEC) if "description" not in node}

    assert {path for path in untold if not re.search(r"tolerations\[\]|\[\]$", path)} <= {
        ".networkPolicy.enabled",
        ".resources.requests",
        ".resources.limits",
    }


def test_the_status_begins_unobserved() -> None:
    """So that kstatus and `kubectl wait` are right before the operator has seen the resource."""
    assert STATUS["default"] == {"observedGeneration": -1}


def test_columns_and_scale_point_at_fields() -> None:
    there = {f".spec{path}" for path, _ in nodes(SPEC)} | {f".status{p}" for p, _ in nodes(STATUS)}
    columns = {each["name"]: each["jsonPath"] for each in VERSION["additionalPrinterColumns"]}
    scale = VERSION["subresources"]["scale"]

    shown = [
        each["name"] for each in VERSION["additionalPrinterColumns"] if not each.get("priority")
    ]
    assert shown == ["Peers", "Ready", "Trader", "Epoch", "Phase", "Age"]
    assert set(columns.values()) - {".metadata.creationTimestamp"} <= there
    assert set(scale.values()) <= there
    assert scale["labelSelectorPath"] == ".status.selector"


def test_conditions_are_kept_by_type() -> None:
    conditions = STATUS["properties"]["conditions"]

    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_names_are_those_of_the_code() -> None:
    found = crd.manifest()

    assert found["metadata"]["name"] == labels.CRD_NAME
    assert found["spec"]["group"] == labels.GROUP
    assert found["spec"]["names"]["kind"] == labels.KIND
    assert found["spec"]["names"]["plural"] == labels.PLURAL
    assert found["spec"]["names"]["shortNames"] == ["bz"]
    assert VERSION["name"] == labels.VERSION


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_samples_keep_the_schema(sample: Path) -> None:
    resource = yaml.safe_load(sample.read_text())
    resource["metadata"] |= {"namespace": "market", "uid": "u"}

    jsonschema.validate(resource.get("spec", {}), stripped(SPEC))
    assert parse(resource).name == resource["metadata"]["name"]


def test_a_misspelt_sample_would_be_found() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"storage": {"sise": "1Gi"}}, stripped(SPEC))
