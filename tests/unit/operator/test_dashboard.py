"""The dashboard and the rules ask for what there is, in words that Prometheus understands."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bazaar_operator import labels
from bazaar_operator.metrics import Metrics
from bazaar_peer.telemetry.catalogue import Catalogue
from charts import dashboard, panels
from charts.generate import CHART
from tests.unit.operator.test_alerts import PROMTOOL, RUNBOOKS, alerts, groups, needs_promtool
from tests.unit.operator.test_chart import needs_helm, template

MADE: dict[str, Any] = json.loads((CHART / "dashboards/bazaar.json").read_text())
RATES, EITHER = {"cps", "ops", "reqps"}, {"percentunit"}
UNITS = RATES | EITHER | {"bytes", "s", "short"}
"""Grafana's; one of a name that it does not know would be written behind each number."""
STATES = {"Trader", "Epoch", "Who trades", "Phase"}
"""Panels whose numbers are names: nothing to add up, or to shorten."""
VARIABLES = {
    "$__rate_interval": "1m", "$namespace": "a", "$bazaar": "x", "$datasource": "y"
}  # fmt: skip


def queries() -> list[str]:
    """Every query of the dashboard, its annotations' and variables' included."""
    found = [target["expr"] for panel in MADE["panels"] for target in panel.get("targets", [])]
    found += [each["expr"] for each in MADE["annotations"]["list"]]
    return found


def named(expr: str) -> set[str]:
    return set(re.findall(r"\bbazaar_\w+|\bprocess_\w+", re.sub(r'"[^"]*"', "", expr)))


def samples() -> set[str]:
    """The names of all samples that peers and operator show."""
    peer, operator = Catalogue(), Metrics()
    found = {
        sample.name
        for registry in (peer.registry, operator.registry)
        for family in registry.collect()
        for sample in family.samples
    }
    labelled = {"bazaar_operator_cluster_phase"}  # has no series before there is a Bazaar
    return found | labelled


def test_every_query_names_metrics_that_are_there() -> None:
    asked = {name for expr in queries() for name in named(expr)}

    assert asked - samples() == set()
    assert len(asked) > 30


@needs_helm
def test_every_rule_names_metrics_that_are_there() -> None:
    asked = {name for group in groups() for rule in group["rules"] for name in named(rule["expr"])}

    assert asked - samples() == set()


@needs_promtool
def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    assert _checked(tmp_path, queries()).returncode == 0


@needs_promtool
def test_query_that_is_no_query_is_seen(tmp_path: Path) -> None:
    assert _checked(tmp_path, [*queries(), "sum(rate(x[1m])"]).returncode != 0


def reign(
    trades: str, epoch: str, unplanned: str, planned: str = "0x60", pod: str = "x-0"
) -> list[dict[str, str]]:
    """Return one peer's series, a value each 15 s."""
    of = f'namespace="a",bazaar="x",pod="{pod}"'
    won = f'bazaar_election_total{{{of},result="won"'
    return [
        {"series": f"bazaar_is_trader{{{of}}}", "values": trades},
        {"series": f"bazaar_epoch{{{of}}}", "values": epoch},
        {"series": f'{won},reason="unplanned"}}', "values": unplanned},
        {"series": f'{won},reason="planned"}}', "values": planned},
    ]


FOLLOWS = reign("0x60", "4x60", "0x60", pod="x-1")
REIGNS = {
    "nothing happens": (reign("1x60", "4x60", "3x60"), ""),
    "first seen": (reign("_x20 1x40", "_x20 4x40", "_x20 3x40"), ""),
    "won": (reign("0x20 1x40", "4x20 5x40", "3x20 4x40"), "Elections"),
    "handed over": (
        reign("0x20 1x40", "4x20 5x40", "3x60", "0x20 1x40"), "Hand-overs"
    ),
    "promised, and lost": (reign("0x60", "4x20 5x40", "3x60"), ""),
    "its process died, and it won again": (
        reign("1x20 1x40", "4x20 5x40", "1x20 1x40"), "Elections"
    ),
    "all pods were away for minutes": (
        reign("1x5 _x14 1x40", "4x5 _x14 5x40", "3x5 _x14 1x40"), "Elections"
    ),
}  # fmt: skip


@needs_promtool
@pytest.mark.parametrize("case", REIGNS)
def test_annotations_are_drawn_when_a_reign_began_and_never_else(case: str, tmp_path: Path) -> None:
    series, drawn = REIGNS[case]

    done = _drawn(tmp_path, [*series, *FOLLOWS], drawn)

    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_annotation_that_counts_alone_misses_a_reign(tmp_path: Path) -> None:
    """Planted: what was asked before; no counter of a process that just began has grown."""
    series, drawn = REIGNS["its process died, and it won again"]
    won = panels.WON % "unplanned"

    assert _drawn(tmp_path, series, drawn, {"Elections": won}).returncode != 0


def _drawn(
    folder: Path,
    series: list[dict[str, str]],
    drawn: str,
    asked: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Ask 20 s after the 20th value; what is drawn says so by having a value at all."""
    exprs = asked or {each["name"]: each["expr"] for each in MADE["annotations"]["list"]}
    tests = [
        {"expr": f"count({_filled(expr)})", "eval_time": at, "exp_samples": samples}
        for name, expr in exprs.items()
        for at, there in (("290s", False), ("320s", name == drawn), ("480s", False))
        for samples in ([{"value": 1}] if there else [],)
    ]
    case = {"interval": "15s", "input_series": series, "promql_expr_test": tests}
    path = folder / "annotations.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [], "tests": [case]}))
    return _promtool("test", path)


def _checked(folder: Path, exprs: list[str]) -> subprocess.CompletedProcess[str]:
    rules = [{"record": f"q:{n}", "expr": _filled(expr)} for n, expr in enumerate(exprs)]
    path = folder / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "q", "rules": rules}]}))
    return _promtool("check", path)


def _filled(expr: str) -> str:
    """Return a query with Grafana's variables filled in."""
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


def _promtool(does: str, path: Path) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL
    words = [PROMTOOL, does, "rules", str(path)]
    return subprocess.run(words, text=True, capture_output=True, check=False, timeout=60)


def test_every_panel_has_unit_and_says_what_is_good() -> None:
    drawn = [panel for panel in MADE["panels"] if panel["type"] != "row"]

    assert len(drawn) == sum(len(row.panels) for row in panels.ROWS)
    for panel in drawn:
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert 0 <= panel["gridPos"]["x"] <= 24 - panel["gridPos"]["w"]
    assert len({panel["id"] for panel in MADE["panels"]}) == len(MADE["panels"])


def wrong_unit(panel: panels.Panel) -> str:
    """Return what is wrong with a panel's unit; `increase` is a count, `rate` is none."""
    if panel.title in STATES:
        return "" if panel.unit == "none" else "a state has no unit"
    if panel.unit not in UNITS:
        return f"{panel.unit} is no unit"
    if panel.kind == "heatmap" or any("histogram_quantile" in q.expr for q in panel.queries):
        return ""
    rates = {bool(re.search(r"\brate\(", query.expr)) for query in panel.queries}
    if len(rates) > 1:
        return "rates and counts in one panel"
    return "" if (panel.unit in RATES) in rates or panel.unit in EITHER else "no unit of these"


def test_every_panel_has_the_unit_of_what_it_shows() -> None:
    every = [panel for row in panels.ROWS for panel in row.panels]

    assert {panel.title: wrong for panel in every if (wrong := wrong_unit(panel))} == {}
    assert {panel.title for panel in every} >= STATES


RATE, COUNT = panels.Query("sum(rate(x_total[1m]))"), panels.Query("sum(increase(x_total[1m]))")


@pytest.mark.parametrize(
    ("unit", "queries"),
    [
        ("none", (COUNT,)),
        ("cores", (RATE,)),
        ("short", (RATE,)),
        ("ops", (COUNT,)),
        ("ops", (RATE, COUNT)),
    ],
)
def test_unit_that_is_wrong_is_seen(unit: str, queries: tuple[panels.Query, ...]) -> None:
    """Planted."""
    assert wrong_unit(panels.Panel("Any", "lines", unit, "", queries))


@pytest.mark.parametrize("row", panels.ROWS, ids=lambda row: row.title)
def test_row_is_filled(row: panels.Row) -> None:
    assert sum(panel.width for panel in row.panels) % 24 == 0


def test_alert_that_a_panel_names_has_its_runbook() -> None:
    told = {alert for row in panels.ROWS for panel in row.panels for alert in panel.alerts}

    assert told <= {page.stem for page in RUNBOOKS.glob("*.md")}


def test_panel_with_alerts_links_to_their_runbooks() -> None:
    every = [panel for row in panels.ROWS for panel in row.panels]
    drawn = {panel["title"]: panel for panel in MADE["panels"] if panel["type"] != "row"}

    for panel in every:
        links = drawn[panel.title].get("links", [])
        assert [link["url"] for link in links] == [
            f"${{runbooks:raw}}/{alert}.md" for alert in panel.alerts
        ]
    assert sum(bool(panel.alerts) for panel in every) > 10


@needs_helm
def test_every_alert_is_linked_from_a_panel() -> None:
    linked = {alert for row in panels.ROWS for panel in row.panels for alert in panel.alerts}

    assert set(alerts()) - linked == set()


@needs_helm
@pytest.mark.parametrize("place", ["", "https://example.org/it?a=1&b=2"])
def test_chart_says_where_the_runbooks_are(place: str) -> None:
    on = ("--set", "monitoring.dashboard.enabled=true")
    found = template(*on, "--set", f"monitoring.rules.runbooks={place}")
    (made,) = (each for each in found if each["kind"] == "ConfigMap")
    variables = json.loads(made["data"]["bazaar.json"])["templating"]["list"]

    assert {each["name"]: each["query"] for each in variables}["runbooks"] == place
    assert [each["query"] for each in MADE["templating"]["list"]].count("") == 1


def test_volumes_are_found_by_the_names_that_claims_have() -> None:
    made = panels.CLAIMS.replace("$bazaar", "shop").replace("$namespace", "a")
    (name,) = re.findall('persistentvolumeclaim=~"(.*)"', made)

    assert re.fullmatch(name, labels.claim("shop", 11))
    assert not re.fullmatch(name, labels.claim("shop-2", 11))


def test_uid_is_fixed_and_namespace_and_bazaar_are_chosen() -> None:
    assert MADE["uid"] == dashboard.UID == "bazaar"
    chosen = [variable["name"] for variable in MADE["templating"]["list"]]
    assert chosen == ["datasource", "namespace", "bazaar", "runbooks"]


@needs_helm
def test_chart_carries_it_for_the_sidecar_when_asked_to() -> None:
    assert all(each["kind"] != "ConfigMap" for each in template())
    made = [
        each
        for each in template("--set", "monitoring.dashboard.enabled=true")
        if each["kind"] == "ConfigMap"
    ]

    assert [each["metadata"]["labels"]["grafana_dashboard"] for each in made] == ["1"]
    assert json.loads(made[0]["data"]["bazaar.json"]) == MADE
