"""Makes Grafana's dashboard of panels.py, with Grafana's own library for it: `make manifests`."""

from __future__ import annotations

from itertools import count
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import (
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as styles
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from charts import panels

UID = "bazaar"
"""Fixed, so that links and a later release find it."""
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
HEIGHTS = {"stat": 4}
RUNBOOKS = "runbooks"
"""The variable that says where they are; the chart writes `monitoring.rules.runbooks` into it."""


def dashboard() -> str:
    """Return the dashboard as JSON text."""
    made = (
        grafana.Dashboard("Bazaar")
        .uid(UID)
        .description("A ring of peers that elects its own trader: one Bazaar at a time.")
        .tags(["bazaar"])
        .refresh("10s")
        .time("now-30m", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(grafana.DatasourceVariable("datasource").type("prometheus"))
        .with_variable(_variable("namespace", "label_values(bazaar_epoch, namespace)"))
        .with_variable(
            _variable("bazaar", 'label_values(bazaar_epoch{namespace="$namespace"}, bazaar)')
        )
    )
    made.with_variable(
        grafana.TextBoxVariable(RUNBOOKS)
        .label("Runbooks at")
        .description("The URL of docs/runbooks, without a slash at its end: panels link there.")
        .default_value("")
    )
    for name, colour, expr in panels.ANNOTATIONS:
        made.annotation(_annotation(name, colour, expr))
    number = count(1).__next__
    for row in panels.ROWS:
        made.with_row(grafana.Row(row.title).id(number()))
        for panel in row.panels:
            made.with_panel(_panel(panel).id(number()))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _variable(name: str, query: str) -> grafana.QueryVariable:
    refresh = models.VariableRefresh.ON_TIME_RANGE_CHANGED
    return grafana.QueryVariable(name).datasource(SOURCE).query(query).refresh(refresh)


def _annotation(name: str, colour: str, expr: str) -> grafana.AnnotationQuery:
    made = grafana.AnnotationQuery().name(name).datasource(SOURCE).enable(True)
    return made.expr(expr).step("15s").title_format(name).icon_color(colour)


def _panel(panel: panels.Panel) -> Any:
    told = [panel.good]
    if panel.alerts:
        told.append(f"Alerts on this: {', '.join(panel.alerts)}.")
    made: Any = MAKERS[panel.kind](panel)
    if panel.alerts:
        made.links([_runbook(alert) for alert in panel.alerts])
    made.title(panel.title).description(" ".join(told)).unit(panel.unit).datasource(SOURCE)
    made.span(panel.width).height(HEIGHTS.get(panel.kind, 8))
    for name, query in zip(ascii_uppercase, panel.queries, strict=False):
        asked = prometheus.Dataquery().ref_id(name).expr(query.expr).legend_format(query.legend)
        if panel.kind == "heatmap":
            asked.format(PromQueryFormat.HEATMAP)
        made.with_target(asked.instant() if panel.kind == "stat" else asked.range())
    return made


def _runbook(alert: str) -> grafana.DashboardLink:
    """Link to an alert's page; `raw`, or Grafana would escape the slashes of its address."""
    link = grafana.DashboardLink(f"Runbook: {alert}").type(models.DashboardLinkType.LINK)
    return link.url(f"${{{RUNBOOKS}:raw}}/{alert}.md").target_blank(True)


def _stat(panel: panels.Panel) -> Any:
    steps = [models.Threshold(color="green", value=None)]
    if panel.bad_from is not None:
        steps.append(models.Threshold(color="red", value=panel.bad_from))
    thresholds = grafana.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)
    reduce = common.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().thresholds(thresholds).reduce_options(reduce)


def _lines(_panel: panels.Panel) -> Any:
    return timeseries.Panel().fill_opacity(8).show_points(styles.VisibilityMode.NEVER)


def _bars(_panel: panels.Panel) -> Any:
    stacking = common.StackingConfig().mode(styles.StackingMode.NORMAL)
    bars = timeseries.Panel().draw_style(styles.GraphDrawStyle.BARS).fill_opacity(60)
    return bars.stacking(stacking)


def _heatmap(_panel: panels.Panel) -> Any:
    return heatmap.Panel()


def _states(_panel: panels.Panel) -> Any:
    return statetimeline.Panel().merge_values(True)


MAKERS = {
    "stat": _stat,
    "lines": _lines,
    "bars": _bars,
    "heatmap": _heatmap,
    "states": _states,
}
