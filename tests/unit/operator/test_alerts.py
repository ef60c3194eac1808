"""The alerts of the chart: each fires, is silent when it should be, and has its runbook.

What fires is Prometheus' own business: promtool tests the rules as Helm renders them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts import generate
from tests.unit.operator.test_chart import helm, needs_helm, template

CASES = Path(__file__).parent / "alerts/alerts.yaml"
RUNBOOKS = generate.ROOT / "docs/runbooks"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None and not os.environ.get("CI"),
    reason="promtool is not on the PATH: it comes with Prometheus",
)
ON = ("--set", "monitoring.rules.enabled=true")


def groups(*options: str) -> list[dict[str, Any]]:
    found = template(*ON, *options)
    rules = [each for each in found if each["kind"] == "PrometheusRule"]
    assert len(rules) == 1
    told: list[dict[str, Any]] = rules[0]["spec"]["groups"]
    return told


def alerts(*options: str) -> dict[str, dict[str, Any]]:
    return {
        rule["alert"]: rule
        for group in groups(*options)
        for rule in group["rules"]
        if "alert" in rule
    }


def promtool(
    folder: Path, told: list[dict[str, Any]], cases: list[dict[str, Any]]
) -> subprocess.CompletedProcess[str]:
    """Test these rules with these cases."""
    assert PROMTOOL
    tests = yaml.safe_load(CASES.read_text()) | {"tests": cases}
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": told}))
    (folder / "tests.yaml").write_text(yaml.safe_dump(tests))
    words = [PROMTOOL, "test", "rules", str(folder / "tests.yaml")]
    return subprocess.run(words, text=True, capture_output=True, check=False, timeout=120)


def cases_of(name: str = "") -> list[dict[str, Any]]:
    """Return the cases of one alert, or all."""
    every: list[dict[str, Any]] = yaml.safe_load(CASES.read_text())["tests"]
    return [
        test for test in every if name in {"", *(c["alertname"] for c in test["alert_rule_test"])}
    ]


TESTED = {case["alertname"] for test in cases_of() for case in test["alert_rule_test"]}


@needs_helm
@needs_promtool
def test_alerts_fire_when_they_should_and_are_silent_when_they_should_not(tmp_path: Path) -> None:
    done = promtool(tmp_path, groups(), cases_of())

    assert done.returncode == 0, done.stdout + done.stderr


@needs_helm
@needs_promtool
@pytest.mark.parametrize("name", sorted(TESTED))
@pytest.mark.parametrize("planted", ["vector(1) > 2", "vector(1)"], ids=["never", "always"])
def test_alert_that_is_wrong_is_seen(tmp_path: Path, name: str, planted: str) -> None:
    """Planted, alert by alert: one that never fires, and one that always does."""
    told = yaml.safe_load(yaml.safe_dump(groups()))
    for group in told:
        for rule in group["rules"]:
            if rule.get("alert") == name:
                rule["expr"] = planted

    done = promtool(tmp_path, told, cases_of(name))

    assert done.returncode != 0
    assert name in done.stdout + done.stderr


@needs_helm
def test_every_alert_is_tested_and_has_its_runbook() -> None:
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}

    assert set(alerts()) == TESTED == pages


@needs_helm
def test_alert_leads_to_its_runbook_where_there_is_a_place_for_them() -> None:
    assert all("runbook_url" not in rule["annotations"] for rule in alerts().values())
    place = "https://example.org/runbooks"

    told = alerts("--set", f"monitoring.rules.runbooks={place}")

    for name, rule in told.items():
        assert rule["annotations"]["runbook_url"] == f"{place}/{name}.md"


@needs_helm
def test_threshold_is_a_value_and_one_that_cannot_be_is_refused() -> None:
    changed = alerts("--set", "monitoring.rules.noTraderFor=2m,monitoring.rules.objective=0.999")

    assert changed["BazaarNoTrader"]["for"] == "2m"
    assert "14.4 * 0.001 " in changed["BazaarLatencyBudgetBurns"]["expr"]
    for wrong in ("slowSeconds=0.3", "objective=1", "noTraderFor=soon", "runbooks=docs"):
        said = helm("template", "bazaar", str(generate.CHART), *ON,
                    "--set", f"monitoring.rules.{wrong}")  # fmt: skip
        assert said.returncode != 0
        assert wrong.split("=")[0] in said.stderr


@needs_helm
def test_operator_that_is_not_of_this_release_is_not_missed() -> None:
    assert "BazaarOperatorDown" not in alerts("--set", "operator.enabled=false")
    names = [
        each["metadata"]["name"]
        for each in template("--set", "operator.enabled=false,monitoring.podMonitors.enabled=true")
        if each["kind"] == "PodMonitor"
    ]
    assert names == ["bazaar-peers"]


@needs_helm
@pytest.mark.parametrize(("wide", "selector"), [
    ("true", {"any": True}), ("false", {"matchNames": ["bazaar-system"]}),
])  # fmt: skip
def test_monitor_looks_where_the_operator_looks(wide: str, selector: object) -> None:
    found = template("--set", f"clusterWide={wide},monitoring.podMonitors.enabled=true")
    monitors = {
        each["metadata"]["name"]: each["spec"] for each in found if each["kind"] == "PodMonitor"
    }

    assert monitors["bazaar-peers"]["namespaceSelector"] == selector
    assert "namespaceSelector" not in monitors["bazaar-operator"]
