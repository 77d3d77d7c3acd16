"""What both dashboards are made of: variables, annotations, panels with one look, queries with the same matchers."""

from collections.abc import Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import common, heatmap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as choices
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = model.DataSourceRef(type_val="prometheus", uid="$datasource")
RUN = 'job=~"$job", instance=~"$instance", run=~"$run"'
"""The matchers of every query."""
LATENCY_INTERVAL = "2m"
"""Latency comes in windows of a minute: a shorter rate would fall between two of them."""
STATES = (
    ("PASS", "green"), ("INCONCLUSIVE", "yellow"), ("INCOMPLETE", "blue"), ("INVALID", "purple"), ("FAIL", "red"),
)  # fmt: skip
"""From the best to the worst, with the colour of each; numbered from 1."""
WIDTH = 24
RUN_UID, ENGINE_UID = "soakd-run", "soakd-engine"

P = TypeVar("P", stat.Panel, table.Panel, timeseries.Panel, heatmap.Panel, statetimeline.Panel)
Panel = Builder[model.Panel]
Query = tuple[str, str]
"""PromQL and legend."""


def state_number(metric: str, matchers: str, by: str) -> str:
    """Make one number of the five series of a state: its place in STATES, from 1."""
    terms = (
        f'{place} * sum by ({by}) ({metric}{{{matchers}, state="{state}"}})'
        for place, (state, _) in enumerate(STATES, 1)
    )
    return " + ".join(terms)


def state_mapping() -> list[model.ValueMapping]:
    """Turn the numbers of `state_number` into words and colours."""
    options = {
        str(place): model.ValueMappingResult(text=state, color=colour, index=place)
        for place, (state, colour) in enumerate(STATES, 1)
    }
    return [model.ValueMap(options=options)]


def dress(
    panel: P, title: str, description: str, unit: str, queries: Sequence[Query], width: int, height: int,
    *, instant: bool = False,
) -> P:  # fmt: skip
    """Give a panel what every panel has: title, description, unit, data source, size and queries."""
    panel.title(title).description(description).unit(unit).datasource(SOURCE).span(width).height(height)
    for place, (expression, legend) in enumerate(queries):
        query = Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + place)).datasource(SOURCE)
        panel.with_target(query.instant() if instant else query.range())
    return panel


def number(
    title: str, description: str, unit: str, query: Query, width: int = 4, *,
    steps: Sequence[tuple[float | None, str]] = ((None, "text"),), decimals: int | None = None,
) -> stat.Panel:  # fmt: skip
    """Make a panel of one number, coloured by steps (value, colour)."""
    panel = dress(stat.Panel(), title, description, unit, [query], width, 4, instant=True)
    panel.thresholds(thresholds(steps)).color_mode(choices.BigValueColorMode.VALUE)
    panel.graph_mode(choices.BigValueGraphMode.NONE)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel if decimals is None else panel.decimals(decimals)


def verdict(title: str, description: str, query: Query, width: int = 4) -> stat.Panel:
    """Make a panel of one state, in its colour."""
    panel = number(title, description, "short", query, width)
    return panel.mappings(state_mapping()).color_mode(choices.BigValueColorMode.BACKGROUND)


def lines(
    title: str, description: str, unit: str, queries: Sequence[Query], width: int = 12, *, interval: str | None = None,
    zero: bool = True,
) -> timeseries.Panel:  # fmt: skip
    """Make a panel of lines; bounds are thin, limits red and dashed, whatever the query."""
    panel = dress(timeseries.Panel(), title, description, unit, queries, width, 8)
    panel.line_width(1).show_points(choices.VisibilityMode.NEVER).fill_opacity(0).span_nulls(False)
    panel.tooltip(common.VizTooltipOptions().mode(choices.TooltipDisplayMode.MULTI).sort(choices.SortOrder.DESCENDING))
    panel.legend(
        common.VizLegendOptions().display_mode(choices.LegendDisplayMode.LIST)
        .placement(choices.LegendPlacement.BOTTOM).show_legend(True)
    )  # fmt: skip
    if zero:
        panel.axis_soft_min(0)
    panel.override_by_regexp("/limit$/", [
        model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "red"}),
        model.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}),
    ])  # fmt: skip
    panel.override_by_regexp("/(low|high)$/", [
        model.DynamicConfigValue("custom.lineStyle", {"fill": "dot", "dash": [2, 4]}),
    ])  # fmt: skip
    return panel if interval is None else panel.interval(interval)


def states(title: str, description: str, query: Query, width: int = 12, height: int = 8) -> statetimeline.Panel:
    """Make a panel of states over time."""
    panel = dress(statetimeline.Panel(), title, description, "short", [query], width, height)
    panel.line_width(0).fill_opacity(70)
    return panel.mappings(state_mapping()).show_value(choices.VisibilityMode.NEVER).merge_values(True).row_height(0.8)


def spread(title: str, description: str, metric: str, matchers: str, width: int = 12) -> heatmap.Panel:
    """Make a heat map of a histogram in seconds."""
    query = f"sum by (le) (rate({metric}_bucket{{{matchers}}}[$__rate_interval]))"
    panel = dress(heatmap.Panel(), title, description, "s", [], width, 8)
    target = Dataquery().expr(query).legend_format("{{le}}").ref_id("A").datasource(SOURCE).range()
    panel.with_target(target.format(PromQueryFormat.HEATMAP)).interval(LATENCY_INTERVAL)
    panel.y_axis(heatmap.YAxisConfig().unit("s"))
    return panel.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))


def listing(title: str, description: str, unit: str, query: Query, hide: Sequence[str], width: int = 12) -> table.Panel:
    """Make a table of an instant query, without the labels in `hide`."""
    panel = (
        dress(table.Panel(), title, description, unit, [], width, 8)
        .align(choices.FieldTextAlignment.AUTO)
        .inspect(False)
    )
    target = Dataquery().expr(query[0]).legend_format(query[1]).ref_id("A").datasource(SOURCE).instant()
    panel.with_target(target.format(PromQueryFormat.TABLE))
    hidden = dict.fromkeys(("Time", "__name__", *hide), True)
    return panel.with_transformation(
        model.DataTransformerConfig(id_val="organize", options={"excludeByName": hidden, "renameByName": {}})
    )


def thresholds(steps: Sequence[tuple[float | None, str]]) -> build.ThresholdsConfig:
    """Say from which value on which colour is shown; the first step has no value."""
    made = [model.Threshold(value=value, color=colour) for value, colour in steps]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def variable(name: str, label: str, query: str, *, multi: bool, every: bool) -> build.QueryVariable:
    """Make a variable of the values of a label, read again when the time range changes."""
    made = build.QueryVariable(name).label(label).datasource(SOURCE).query(query).multi(multi)
    made.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)
    return made.include_all(True).all_value(".+") if every else made.include_all(False)


def begin(uid: str, title: str, description: str) -> build.Dashboard:
    """Make an empty dashboard with the variables and annotations that both have."""
    made = build.Dashboard(title).uid(uid).description(description).tags(["soakd"]).timezone("utc").readonly()
    made.tooltip(model.DashboardCursorSync.CROSSHAIR).refresh("30s").time("now-24h", "now")
    made.with_variable(build.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    made.with_variable(variable("job", "Job", "label_values(soakd_run_info, job)", multi=True, every=True))
    made.with_variable(
        variable("instance", "Instance", 'label_values(soakd_run_info{job=~"$job"}, instance)', multi=True, every=True)
    )
    made.with_variable(
        variable(
            "run", "Run", 'label_values(soakd_run_info{job=~"$job", instance=~"$instance"}, run)',
            multi=False, every=False,
        )
    )  # fmt: skip
    made.annotation(_annotation("Phases", f"soakd_run_phase{{{RUN}}} == 1", "blue"))
    made.annotation(_annotation("Incidents", f"increase(soakd_incidents_total{{{RUN}}}[1m]) > 0", "red"))
    made.annotation(_annotation("Restarts", f"increase(soakd_engine_restarts_total{{{RUN}}}[1m]) > 0", "orange"))
    return made.annotation(_annotation("Faults", f"increase(soakd_faults_total{{{RUN}}}[1m]) > 0", "purple"))


def add_row(dashboard: build.Dashboard, title: str, *panels: Panel) -> None:
    """Add a row with its panels below it."""
    dashboard.with_row(build.Row(title))
    for panel in panels:
        dashboard.with_panel(panel)


def link(title: str, uid: str, *variables: str) -> build.DashboardLink:
    """Link another dashboard, with the same time and variables."""
    path = "&".join(f"${{{name}:queryparam}}" for name in ("datasource", "job", "instance", "run", *variables))
    made = build.DashboardLink(title).type(model.DashboardLinkType.LINK).url(f"/d/{uid}?{path}")
    return made.keep_time(True).icon("dashboard").tooltip(title)


def _annotation(name: str, expression: str, colour: str) -> build.AnnotationQuery:
    return build.AnnotationQuery().name(name).datasource(SOURCE).expr(expression).icon_color(colour).enable(True)
