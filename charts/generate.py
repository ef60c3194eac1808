"""Write anew what is made from other files: `make manifests`. Tests prove that it was done.

- The copies of the definition in the chart and in k8s/, from the operator's.
- The table of values in the chart's README, from the comments in values.yaml.
- The dashboard, from panels.py.
- What is plain in k8s/ and optional in the chart, as Helm makes it, where Helm is on the PATH.
- values.schema.json, from values.yaml and the definition: a value that is misspelt or out of bounds
  is refused by Helm, before anything reaches a cluster.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from charts.dashboard import dashboard

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts/bazaar"
K8S = ROOT / "k8s"
KUBERNETES = "1.34.0"
"""Whatever the chart supports: Helm alone knows no cluster that would have a version."""
HELMS_OWN = frozenset({
    "helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "checksum/rbac",
    "checksum/crd",
})  # fmt: skip
"""What only a release can say, so that plain manifests do not have it."""
PLAIN = {
    "PodMonitor": K8S / "monitoring/monitors.yaml",
    "PrometheusRule": K8S / "monitoring/rules.yaml",
    "ConfigMap": K8S / "monitoring/dashboard.yaml",
    "NetworkPolicy": K8S / "network-policy.yaml",
}
"""Where an optional kind of the chart lies as a plain manifest."""
ON = (
    "monitoring.podMonitors.enabled", "monitoring.rules.enabled", "monitoring.dashboard.enabled",
    "networkPolicy.enabled",
)  # fmt: skip
MADE = "# Made of charts/bazaar by `make manifests`, with helm on the PATH.\n"
DEFINITION = ROOT / "operator/bazaar_operator/crd.yaml"
BEGIN, END = "<!-- values: made by `make manifests` -->\n", "<!-- end of values -->\n"

COMMENT = re.compile(r" *# (-- )?(.*)")
KEY = re.compile(r"( *)(\w+):(.*)")

STRINGS = (
    "bazaar.labels", "bazaar.annotations", "operator.podLabels", "operator.podAnnotations",
    "operator.nodeSelector", "serviceAccount.annotations", "commonLabels", "commonAnnotations",
    "monitoring.podMonitors.labels", "monitoring.rules.labels", "monitoring.dashboard.labels",
    "monitoring.dashboard.annotations",
)  # fmt: skip
TYPES: dict[type, str | list[str]] = {
    bool: "boolean", int: "integer", str: "string", list: "array", dict: "object",
    float: ["number", "string"],
}  # fmt: skip
"""Helm's --set makes a string of a fraction."""
DURATION = {"pattern": "^([0-9]+(ms|s|m|h|d))+$"}
DURATIONS = (
    "podMonitors.interval", "rules.noTraderFor", "rules.degradedFor", "rules.stuckFor",
    "rules.absentFor",
)  # fmt: skip
FRACTION = {"type": TYPES[float], "exclusiveMinimum": 0}
ABOVE_0 = {**FRACTION, "pattern": "^[0-9]*[.]?[0-9]*[1-9][0-9]*$"}
SHARE = {**FRACTION, "exclusiveMaximum": 1, "pattern": "^0?[.][0-9]*[1-9][0-9]*$"}
SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)
NARROWER: dict[str, dict[str, Any]] = {
    "bazaar.name": {"maxLength": 40, "pattern": "^([a-z]([-a-z0-9]*[a-z0-9])?)?$"},
    "image.repository": {"minLength": 1},
    "image.tag": {"minLength": 1},
    "image.digest": {"pattern": "^(sha256:[0-9a-f]{64})?$"},
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "imagePullSecrets": {"items": {"type": "object", "required": ["name"]}},
    "operator.logLevel": {"enum": ["DEBUG", "INFO", "WARNING", "ERROR"]},
    "operator.env": {"items": {"type": "object", "required": ["name"]}},
    "operator.tolerations": {"items": {"type": "object"}},
    "monitoring.rules.runbooks": {"pattern": "^(https?://.*[^/])?$"},
    "monitoring.rules.slowSeconds": {"enum": [*SLOW, *map(str, SLOW)]},
    "monitoring.rules.changesIn10m": {"minimum": 1},
    "monitoring.rules.objective": SHARE,
    "monitoring.rules.failedShare": SHARE,
    **{
        f"monitoring.rules.{name}": ABOVE_0
        for name in ("interregnumSeconds", "checkpointSeconds", "syncSeconds")
    },
    **{f"monitoring.{path}": DURATION for path in DURATIONS},
    **{path: {"additionalProperties": {"type": "string"}} for path in STRINGS},
}
"""What a value's type does not say."""


class Value(NamedTuple):
    """One value that a user may set."""

    path: str
    told: str
    default: Any


def values() -> list[Value]:
    """The values that are told about, in the order of the file."""
    text = (CHART / "values.yaml").read_text()
    defaults = yaml.safe_load(text)
    found, told = list[Value](), ""
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        if comment := COMMENT.fullmatch(line):
            begins, words = comment[1], comment[2]
            told = words if begins else f"{told} {words}" if told else ""
        elif key := KEY.match(line):
            above = [each for each in above if each[0] < len(key[1])]
            above.append((len(key[1]), key[2]))
            if told:
                path = ".".join(name for _, name in above)
                found.append(Value(path, told, _at(defaults, path)))
            told = ""
        else:
            told = ""
    return found


def _at(tree: Any, path: str) -> Any:
    for name in path.split("."):
        tree = tree[name]
    return tree


def table() -> str:
    """The values as a table."""
    rows = [f"| `{v.path}` | `{json.dumps(v.default)}` | {v.told} |" for v in values()]
    return "\n".join(["| value | default | what it is |", "|---|---|---|", *rows]) + "\n"


def readme() -> str:
    """The chart's README with its table made anew; the prose around it is kept."""
    before, _, rest = (CHART / "README.md").read_text().partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def schema() -> dict[str, Any]:
    """The JSON schema of the values: closed, but for what Kubernetes or the user defines."""
    told = {value.path: value for value in values()}
    spec = stripped(spec_schema())
    peers = spec["properties"].pop("peers")
    spec["description"] = told["bazaar.spec"].told
    tree = _schema("", yaml.safe_load((CHART / "values.yaml").read_text()), told)
    tree["properties"]["peers"] = {**peers, "type": ["integer", "null"]}
    tree["properties"]["peers"]["description"] = told["peers"].told
    tree["properties"]["bazaar"]["properties"]["spec"] = spec
    # Helm hands it to every chart that is part of another one.
    tree["properties"]["global"] = {"type": "object"}
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "bazaar", **tree}


def _schema(path: str, default: Any, told: dict[str, Value]) -> dict[str, Any]:
    if isinstance(default, dict) and path not in told:
        inner = {
            name: _schema(f"{path}.{name}".lstrip("."), value, told)
            for name, value in default.items()
        }
        return {"type": "object", "additionalProperties": False, "properties": inner}
    return {
        "type": TYPES[type(default)],
        "description": told[path].told,
        **NARROWER.get(path, {}),
    }


def spec_schema() -> dict[str, Any]:
    """The schema of a Bazaar's spec, as the definition has it."""
    version = yaml.safe_load(DEFINITION.read_text())["spec"]["versions"][0]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def stripped(node: Any) -> Any:
    """Without what only the API server understands, and closed where it would drop a field."""
    if isinstance(node, list):
        return [stripped(each) for each in node]
    if not isinstance(node, dict):
        return node
    inner = {
        key: stripped(value)
        for key, value in node.items()
        if not key.startswith("x-kubernetes-") and key not in {"default", "format"}
    }
    if "properties" in node:
        inner["properties"] = {name: stripped(value) for name, value in node["properties"].items()}
        inner["additionalProperties"] = False
    return inner


def bare(node: Any) -> Any:
    """An object without what only a release can say, and without maps that are empty then."""
    if isinstance(node, list):
        return [bare(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {key: bare(value) for key, value in node.items() if key not in HELMS_OWN}
    return {key: value for key, value in found.items() if key != "annotations" or value}


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block, as a person would."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def plain(helm: str) -> dict[Path, str]:
    """The optional objects of the chart as plain manifests."""
    words = [helm, "template", "bazaar", str(CHART), "--namespace", "bazaar-system"]
    words += ["--kube-version", KUBERNETES, "--set", ",".join(f"{name}=true" for name in ON)]
    said = subprocess.run(words, text=True, capture_output=True, check=True)  # noqa: S603 - helm
    objects = [found for found in yaml.safe_load_all(said.stdout) if found]
    return {
        path: MADE
        + yaml.dump_all(
            [bare(each) for each in objects if each["kind"] == kind],
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            width=10_000,
        )
        for kind, path in PLAIN.items()
    }


def made() -> dict[Path, str]:
    """Every file that this module makes, with what it should hold."""
    definition = DEFINITION.read_text()
    return {
        CHART / "crds/bazaar.yaml": definition,
        K8S / "base/crd.yaml": definition,
        CHART / "README.md": readme(),
        CHART / "dashboards/bazaar.json": dashboard(),
        CHART / "values.schema.json": json.dumps(schema(), indent=2) + "\n",
    }


def main() -> None:
    """Write them; what Helm makes comes last, since it is made of the others."""
    _write(made())
    if helm := shutil.which("helm"):
        _write(plain(helm))


def _write(files: dict[Path, str]) -> None:
    for path, text in files.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
