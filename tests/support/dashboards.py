"""Generates the chart's dashboards (`make chart`) from a table of panels."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from tests.support.chart import CHART

DIRECTORY: Final = CHART / "dashboards"
#: Grafana's grid has 24 columns.
_COLUMNS: Final = 24
_SCHEMA_VERSION: Final = 39
_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}

#: To the other dashboards, with the same variables and time.
_LINKS: Final = {
    "type": "dashboards",
    "title": "ari-proxy",
    "tags": ["ari-proxy"],
    "asDropdown": False,
    "includeVars": True,
    "keepTime": True,
}
#: Series of one panel, and rows of a table: of 500 servers nobody reads every line.
_TOP_SERIES, _TOP_ROWS = 25, 100
#: Kinds of panels that show a time range.
_OVER_TIME: Final = {"timeseries", "heatmap"}
#: Label selectors of queries; by default the variables match everything, a label that is not there
#: included.
N: Final = 'cluster=~"$cluster",namespace=~"$namespace"'
S: Final = f'{N},server_id=~"$server_id"'
R: Final = "$__rate_interval"


@dataclass(frozen=True)
class Panel:
    """One panel: its queries with their legends.

    A `value` shows a number, now, and a `count` one of what should not be; a `table` shows what is,
    now, the worst first; a `heatmap` how many were how slow.
    """

    title: str
    about: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: Literal["timeseries", "value", "count", "table", "heatmap"] = "timeseries"
    #: In columns and lines of the grid.
    width: int = 8
    height: int = 8
    #: A count is red from here on.
    red_from: float = 1


@dataclass(frozen=True)
class Row:
    """A row of panels; a collapsed one asks Prometheus for nothing until somebody opens it."""

    title: str
    panels: tuple[Panel, ...]
    #: Its metrics are others', and not there everywhere.
    collapsed: bool = False


@dataclass(frozen=True)
class Dashboard:
    """One dashboard."""

    uid: str
    title: str
    about: str
    rows: tuple[Row, ...]
    by_server: bool = True


def _rate(metric: str, by: str, *, where: str = S) -> str:
    return f"sum by ({by}) (rate({metric}{{{where}}}[{R}]))"


def _quantile(share: float, metric: str, by: str, *, where: str = S) -> str:
    inner = f"sum by ({by}, le) (rate({metric}_bucket{{{where}}}[{R}]))"
    return f"histogram_quantile({share}, {inner})"


def _latency(metric: str, by: str, legend: str, *, where: str = S) -> tuple[tuple[str, str], ...]:
    return tuple(
        (_quantile(share, metric, by, where=where), f"{legend} p{share * 100:g}")
        for share in (0.5, 0.99)
    )


def _absent(title: str, about: str, expression: str, *, width: int = 8, height: int = 8) -> Panel:
    """Return a panel that counts the series with the value 0."""
    queries = ((f"count({expression} == 0) or vector(0)", ""),)
    return Panel(title, about, "short", queries, kind="count", width=width, height=height)


def _lost(title: str, about: str, counter: str) -> Panel:
    """Return a small panel with what a counter of losses has counted in an hour."""
    queries = ((f"round(sum(increase({counter}[1h]))) or vector(0)", ""),)
    return Panel(title, about, "short", queries, kind="count", width=4, height=4)


def _distribution(title: str, about: str, metric: str, *, width: int = 8) -> Panel:
    """Return a panel that shows how many were how slow; it stays readable with any number of servers."""
    queries = ((f"sum by (le) (increase({metric}_bucket{{{S}}}[{R}]))", "{{le}}"),)
    return Panel(title, about, "s", queries, kind="heatmap", width=width)


def _pods(container: str) -> Row:
    """Return the row of a container's resources."""
    ours = f'and on (namespace, pod) ariproxy_build_info{{{N},component="{container}"}}'
    where = f'{N},container="{container}"'
    return Row(
        "Pods (metrics of the kubelet, and of kube-state-metrics)",
        (
            Panel(
                "CPU",
                "Cores that each pod uses.",
                "short",
                (
                    (
                        f"{_rate('container_cpu_usage_seconds_total', 'pod', where=where)} {ours}",
                        "{{pod}}",
                    ),
                ),
            ),
            Panel(
                "Memory",
                "Memory that counts against each pod's limit.",
                "bytes",
                (
                    (
                        f"sum by (pod) (container_memory_working_set_bytes{{{where}}}) {ours}",
                        "{{pod}}",
                    ),
                ),
            ),
            Panel(
                "Restarts",
                "Restarts of containers per hour.",
                "short",
                (
                    (
                        "sum by (pod) (increase("
                        f"kube_pod_container_status_restarts_total{{{where}}}[1h]))",
                        "{{pod}}",
                    ),
                ),
            ),
        ),
        collapsed=True,
    )


SERVER = "{{server_id}}"
#: Commands that Asterisk answered, and those that it did not.
_FAILURES = f"rate(ariproxy_command_request_failures_total{{{S}}}[{R}])"

OVERVIEW = Dashboard(
    "ari-proxy-overview",
    "ari-proxy: overview",
    "Are calls served, server by server?",
    (
        Row(
            "Calls",
            (
                _absent(
                    "Applications not served",
                    "Applications for which no ingest has the websocket, or which another client has taken.",
                    f"max by (server_id, application) (ariproxy_ingest_websocket_connected{{{S}}})",
                    width=4,
                    height=4,
                ),
                Panel(
                    "Calls now",
                    "Calls that are served now, including those in their grace period.",
                    "short",
                    ((f"sum(ariproxy_ingest_dialogs{{{S}}})", ""),),
                    kind="value",
                    width=4,
                    height=4,
                ),
                Panel(
                    "New calls",
                    "Calls that enter an application.",
                    "cps",
                    ((f"sum(rate(ariproxy_ingest_dialogs_started_total{{{S}}}[{R}]))", ""),),
                    kind="value",
                    width=4,
                    height=4,
                ),
                _lost(
                    "Unserved calls in 1 h",
                    "No application accepted them, or theirs was gone.",
                    f'ariproxy_ingest_app_starts_total{{{S},result="no_listener"}}',
                ),
                Panel(
                    "Failed commands",
                    "Share of all commands that Asterisk answered with 5xx or not at all.",
                    "percentunit",
                    (
                        (
                            f'(sum(rate(ariproxy_command_requests_total{{{S},code=~"5.."}}[{R}]) or {_FAILURES})'
                            f" / sum(rate(ariproxy_command_requests_total{{{S}}}[{R}]) or {_FAILURES})) >= 0"
                            " or vector(0)",
                            "",
                        ),
                    ),
                    kind="count",
                    width=4,
                    height=4,
                    red_from=0.05,
                ),
                _lost(
                    "Lost events in 1 h",
                    "Events of dialogs that no application has got.",
                    f"ariproxy_ingest_events_dropped_total{{{S}}}",
                ),
                Panel(
                    "Served applications",
                    "Whether an ingest has the websocket and no other client has taken over the application.",
                    "bool_yes_no",
                    (
                        (
                            "max by (server_id, application) "
                            f"(ariproxy_ingest_websocket_connected{{{S}}})",
                            "",
                        ),
                    ),
                    kind="table",
                ),
                Panel(
                    "Open dialogs",
                    "By server: calls that are served now, including those in their grace period.",
                    "short",
                    ((f"sum by (server_id) (ariproxy_ingest_dialogs{{{S}}})", SERVER),),
                ),
                Panel(
                    "Dialogs begun",
                    "New calls.",
                    "cps",
                    (
                        (
                            _rate(
                                "ariproxy_ingest_dialogs_started_total", "server_id, application"
                            ),
                            "{{server_id}} {{application}}",
                        ),
                    ),
                ),
                Panel(
                    "Calls without an application",
                    "No application accepted them, or theirs was gone; ingest.no_listener was applied.",
                    "cps",
                    (
                        (
                            "sum by (server_id, application) (rate(ariproxy_ingest_app_starts_total"
                            f'{{{S},result="no_listener"}}[{R}]))',
                            "{{server_id}} {{application}}",
                        ),
                    ),
                    width=6,
                ),
                Panel(
                    "Set-up time",
                    "From a dialog's first event until its application receives it.",
                    "s",
                    _latency("ariproxy_ingest_set_up_duration_seconds", "server_id", SERVER),
                    width=6,
                ),
                _distribution(
                    "Set-up time of all calls",
                    "How many calls waited how long for their application.",
                    "ariproxy_ingest_set_up_duration_seconds",
                    width=6,
                ),
                Panel(
                    "Events lost",
                    "Dropped events of dialogs, and messages that did not reach the bus.",
                    "cps",
                    (
                        (
                            _rate("ariproxy_ingest_events_dropped_total", "server_id, reason"),
                            "{{server_id}} {{reason}}",
                        ),
                        (
                            _rate("ariproxy_bus_dropped_messages_total", "pod", where=N),
                            "{{pod}} bus",
                        ),
                    ),
                    width=6,
                ),
            ),
        ),
        Row(
            "Commands",
            (
                Panel(
                    "Commands",
                    "Answered ARI requests.",
                    "reqps",
                    ((_rate("ariproxy_command_requests_total", "server_id"), SERVER),),
                ),
                Panel(
                    "Errors",
                    "Share of all commands that Asterisk answered with 5xx or not at all.",
                    "percentunit",
                    (
                        (
                            "sum by (server_id) (rate(ariproxy_command_requests_total"
                            f'{{{S},code=~"5.."}}[{R}]) or {_FAILURES})'
                            " / sum by (server_id) (rate(ariproxy_command_requests_total"
                            f"{{{S}}}[{R}]) or {_FAILURES})",
                            SERVER,
                        ),
                    ),
                ),
                Panel(
                    "Duration",
                    "From receiving a command until publishing its response.",
                    "s",
                    _latency("ariproxy_command_duration_seconds", "server_id", SERVER),
                ),
            ),
        ),
        Row(
            "Asterisk (metrics of res_prometheus, with server_id added by relabelling)",
            (
                Panel(
                    "Channels",
                    "All channels of Asterisk, including those outside ari-proxy.",
                    "short",
                    (
                        (
                            'sum by (server_id) (asterisk_channels_count{cluster=~"$cluster",server_id=~"$server_id"})',
                            SERVER,
                        ),
                    ),
                ),
                Panel(
                    "Calls",
                    "Calls that Asterisk has processed.",
                    "cps",
                    (
                        (
                            "sum by (server_id) (rate(asterisk_calls_sum"
                            f'{{cluster=~"$cluster",server_id=~"$server_id"}}[{R}]))',
                            SERVER,
                        ),
                    ),
                ),
                Panel(
                    "Uptime",
                    "Time since Asterisk was started.",
                    "s",
                    (
                        (
                            'max by (server_id) (asterisk_core_uptime_seconds{cluster=~"$cluster",server_id=~"$server_id"})',
                            SERVER,
                        ),
                    ),
                ),
            ),
            collapsed=True,
        ),
    ),
)

INGEST = Dashboard(
    "ari-proxy-ingest",
    "ari-proxy: ingest",
    "Events from Asterisk to the bus.",
    (
        Row(
            "Events",
            (
                Panel(
                    "Received by type",
                    "ARI events received on the websocket.",
                    "cps",
                    (
                        (
                            _rate("ariproxy_ingest_events_received_total", "type") + " > 0",
                            "{{type}}",
                        ),
                    ),
                ),
                Panel(
                    "Published",
                    "Events published on the topics of dialogs.",
                    "cps",
                    ((_rate("ariproxy_ingest_events_published_total", "server_id"), SERVER),),
                ),
                Panel(
                    "Without a dialog",
                    "Events that belong to no dialog, published on events_<server_id>.",
                    "cps",
                    ((_rate("ariproxy_ingest_events_unrouted_total", "server_id"), SERVER),),
                ),
                Panel(
                    "Bytes received",
                    "Payload of the websocket.",
                    "Bps",
                    ((_rate("ariproxy_ingest_received_bytes_total", "server_id"), SERVER),),
                ),
                Panel(
                    "Age of the last event",
                    "An idle Asterisk sends no events.",
                    "s",
                    (
                        (
                            "time() - max by (server_id) "
                            f"(ariproxy_ingest_last_event_timestamp_seconds{{{S}}} > 0)",
                            SERVER,
                        ),
                    ),
                ),
                Panel(
                    "Malformed frames",
                    "Websocket frames that could not be decoded.",
                    "cps",
                    ((_rate("ariproxy_ingest_malformed_frames_total", "server_id"), SERVER),),
                ),
            ),
        ),
        Row(
            "Websocket and active ingest",
            (
                _absent(
                    "No active ingest",
                    "Servers whose ingests all stand by.",
                    f"max by (server_id) (ariproxy_ingest_active{{{S}}})",
                    width=4,
                ),
                Panel(
                    "Ingests",
                    "Whether a pod is active, or stands by.",
                    "bool_yes_no",
                    ((f"max by (server_id, pod) (ariproxy_ingest_active{{{S}}})", ""),),
                    kind="table",
                ),
                Panel(
                    "Websocket lost",
                    "Lost connections per hour, by reason.",
                    "short",
                    (
                        (
                            "sum by (server_id, reason) (increase("
                            f"ariproxy_ingest_websocket_disconnects_total{{{S}}}[1h]))",
                            "{{server_id}} {{reason}}",
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    "Changes of the active ingest",
                    "How often per hour a process became active or stopped being active.",
                    "short",
                    (
                        (
                            "sum by (server_id) (increase("
                            f"ariproxy_ingest_lease_transitions_total{{{S}}}[1h]))",
                            SERVER,
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    "Recovered dialogs",
                    "Dialogs per hour that were kept (with a ProxyGap), adopted, ended or begun late after a reconnect.",
                    "short",
                    (
                        (
                            "sum by (server_id, action) (increase("
                            f"ariproxy_ingest_reconciled_dialogs_total{{{S}}}[1h]))",
                            "{{server_id}} {{action}}",
                        ),
                    ),
                    width=12,
                ),
            ),
        ),
        Row(
            "Dialogs",
            (
                Panel(
                    "Call duration",
                    "Until the last channel of the dialog is gone.",
                    "s",
                    _latency(
                        "ariproxy_ingest_dialog_duration_seconds", "application", "{{application}}"
                    ),
                    width=12,
                ),
                Panel(
                    "Objects of dialogs",
                    "Channels, bridges, playbacks and recordings that belong to open dialogs.",
                    "short",
                    (
                        (
                            f"sum by (server_id, kind) (ariproxy_ingest_bound_objects{{{S}}})",
                            "{{server_id}} {{kind}}",
                        ),
                    ),
                    width=12,
                ),
            ),
        ),
        Row(
            "Bus and process",
            (
                _absent(
                    "Pods without a bus",
                    "Pods that are not connected to their bus.",
                    f"min by (pod, bus) (ariproxy_bus_connected{{{N}}})",
                    width=4,
                ),
                Panel(
                    "Bus blocked or refusing",
                    "Whether RabbitMQ is low on memory or disk; number of refused subscriptions and permissions.",
                    "short",
                    (
                        (f"ariproxy_bus_blocked{{{N}}}", "{{pod}} {{server_id}} blocked"),
                        (
                            f"ariproxy_bus_refused{{{N}}}",
                            "{{pod}} {{server_id}} refused",
                        ),
                    ),
                    width=10,
                ),
                Panel(
                    "Buffer",
                    "Unconfirmed messages; beyond the capacity the oldest events are dropped.",
                    "bytes",
                    (
                        (f"ariproxy_bus_outbound_buffer_bytes{{{N}}}", "{{pod}} {{server_id}}"),
                        (
                            f"max(ariproxy_bus_outbound_buffer_capacity_bytes{{{N}}})",
                            "capacity",
                        ),
                    ),
                    width=10,
                ),
                Panel(
                    "Messages confirmed",
                    "Messages that the bus has confirmed.",
                    "cps",
                    ((_rate("ariproxy_bus_messages_published_total", "pod", where=N), "{{pod}}"),),
                    width=12,
                ),
                Panel(
                    "Event loop lag",
                    "Beyond 100 ms Asterisk may close the websocket.",
                    "s",
                    _latency("ariproxy_event_loop_lag_seconds", "pod", "{{pod}}", where=N),
                    width=12,
                ),
            ),
        ),
        _pods("ingest"),
    ),
)

COMMAND = Dashboard(
    "ari-proxy-command",
    "ari-proxy: command",
    "Commands from the bus to Asterisk.",
    (
        Row(
            "Requests",
            (
                Panel(
                    "By operation",
                    "Answered ARI requests.",
                    "reqps",
                    ((_rate("ariproxy_command_requests_total", "operation"), "{{operation}}"),),
                    width=12,
                ),
                Panel(
                    "By status",
                    "HTTP status of Asterisk's answers.",
                    "reqps",
                    ((_rate("ariproxy_command_requests_total", "code"), "{{code}}"),),
                    width=12,
                ),
                Panel(
                    "Not answered",
                    "Requests without an HTTP answer.",
                    "reqps",
                    (
                        (
                            _rate("ariproxy_command_request_failures_total", "server_id, reason"),
                            "{{server_id}} {{reason}}",
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    "Not sent",
                    "Refused commands: malformed, not allowed, or too many.",
                    "reqps",
                    (
                        (
                            _rate("ariproxy_command_rejected_total", "server_id, reason"),
                            "{{server_id}} {{reason}}",
                        ),
                    ),
                    width=12,
                ),
            ),
        ),
        Row(
            "Time",
            (
                Panel(
                    "ARI",
                    "Time until Asterisk's answer, including the wait for a free connection.",
                    "s",
                    _latency("ariproxy_command_request_duration_seconds", "method", "{{method}}"),
                    width=12,
                ),
                _distribution(
                    "Duration of commands",
                    "From receiving a command until publishing its response, of all servers.",
                    "ariproxy_command_duration_seconds",
                    width=12,
                ),
                Panel(
                    "In flight",
                    "Concurrent requests, and their limit.",
                    "short",
                    (
                        (f"sum by (server_id) (ariproxy_command_in_flight{{{S}}})", SERVER),
                        (
                            f"sum by (server_id) (ariproxy_command_in_flight_limit{{{S}}})",
                            "{{server_id}} limit",
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    "Pending",
                    "Commands that are queued or running.",
                    "short",
                    ((f"sum by (server_id) (ariproxy_command_pending{{{S}}})", SERVER),),
                    width=12,
                ),
            ),
        ),
        _pods("command"),
    ),
)

OPERATOR = Dashboard(
    "ari-proxy-operator",
    "ari-proxy: operator",
    "AriProxy resources and their operator.",
    (
        Row(
            "Resources",
            (
                _absent(
                    "Resources not ready",
                    "AriProxy resources of which a server is not served.",
                    f"max by (namespace, name) (ariproxy_operator_resource_ready{{{N}}})",
                    width=4,
                ),
                Panel(
                    "Ready",
                    "Whether all servers of the AriProxy are served.",
                    "bool_yes_no",
                    ((f"max by (namespace, name) (ariproxy_operator_resource_ready{{{N}}})", ""),),
                    kind="table",
                ),
                Panel(
                    "Servers",
                    "Asterisk servers by state.",
                    "short",
                    (
                        (
                            f"sum by (namespace, name, state) (ariproxy_operator_servers{{{N}}})",
                            "{{namespace}}/{{name}} {{state}}",
                        ),
                    ),
                    width=12,
                ),
            ),
        ),
        Row(
            "Reconciliation",
            (
                Panel(
                    "Reconciliations",
                    "Reconciliations of resources, by result.",
                    "ops",
                    (
                        (
                            'sum by (result) (rate(ariproxy_operator_reconciles_total{cluster=~"$cluster"}[$__rate_interval]))',
                            "{{result}}",
                        ),
                    ),
                ),
                Panel(
                    "Duration",
                    "Duration of a reconciliation.",
                    "s",
                    _latency(
                        "ariproxy_operator_reconcile_duration_seconds",
                        "pod",
                        "{{pod}}",
                        where='cluster=~"$cluster"',
                    ),
                ),
                Panel(
                    "Objects applied",
                    "By kind and result.",
                    "ops",
                    (
                        (
                            "sum by (kind, result) "
                            '(rate(ariproxy_operator_applies_total{cluster=~"$cluster"}[$__rate_interval]))',
                            "{{kind}} {{result}}",
                        ),
                    ),
                ),
            ),
        ),
        _pods("operator"),
    ),
    by_server=False,
)

DASHBOARDS = {"overview": OVERVIEW, "ingest": INGEST, "command": COMMAND, "operator": OPERATOR}


def expressions(dashboard: Dashboard) -> Iterator[tuple[Panel, str]]:
    """Yield each query with its panel."""
    for row in dashboard.rows:
        for panel in row.panels:
            for expression, _ in _queries(panel):
                yield panel, expression


def _queries(panel: Panel) -> Iterator[tuple[str, str]]:
    """Yield a panel's queries and legends: as many series as can be read, each of one namespace."""
    for expression, legend in panel.queries:
        found = re.sub(
            r"by \(((?:server_id|pod)[^)]*)\)", r"by (cluster, namespace, \1)", expression
        )
        if panel.kind == "table":
            found = f"bottomk({_TOP_ROWS}, {found})"
        elif "{{server_id}}" in legend or "{{pod}}" in legend or "{{name}}" in legend:
            found = f"topk({_TOP_SERIES}, {found})"
        yield found, legend.replace(SERVER, "{{namespace}}/{{server_id}}")


def text(name: str) -> str:
    """Return a dashboard in Grafana's JSON model."""
    dashboard = DASHBOARDS[name]
    model = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["ari-proxy"],
        "schemaVersion": _SCHEMA_VERSION,
        "links": [_LINKS],
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _variables(by_server=dashboard.by_server)},
        "panels": list(_panels(dashboard)),
    }
    return json.dumps(model, indent=1) + "\n"


def _variables(*, by_server: bool) -> list[dict[str, Any]]:
    """Return the variables; each offers what there is for those before it."""
    cluster, namespace = 'cluster=~"$cluster"', N
    series = "ariproxy_build_info" if by_server else "ariproxy_operator_resource_ready"
    sources = {
        "cluster": "ariproxy_build_info",
        "namespace": f"{series}{{{cluster}}}",
        **({"server_id": f"ariproxy_ingest_dialogs{{{namespace}}}"} if by_server else {}),
    }
    found: list[dict[str, Any]] = [
        {"name": "datasource", "type": "datasource", "query": "prometheus"}
    ]
    for name, source in sources.items():
        found.append(
            {
                "name": name,
                "type": "query",
                "datasource": _DATASOURCE,
                "query": f"label_values({source}, {name})",
                "includeAll": True,
                "multi": True,
                "allValue": ".*",
                "current": {"text": "All", "value": "$__all"},
                "refresh": 2,
            }
        )
    return found


def _panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    numbers, y = itertools.count(1), 0
    for row in dashboard.rows:
        number, place = next(numbers), {"h": 1, "w": _COLUMNS, "x": 0, "y": y}
        made = [_panel(panel, next(numbers), at) for panel, at in _places(row.panels, y + 1)]
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "gridPos": place,
            "collapsed": row.collapsed,
            "panels": made if row.collapsed else [],
        }
        y += 1
        if not row.collapsed:
            yield from made
            y = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in made)


def _places(panels: Iterable[Panel], y: int) -> Iterator[tuple[Panel, dict[str, int]]]:
    """Yield panels with their places, side by side in lines that are as high as their highest."""
    x = height = 0
    for panel in panels:
        if x + panel.width > _COLUMNS:
            x, y, height = 0, y + height, 0
        yield panel, {"h": panel.height, "w": panel.width, "x": x, "y": y}
        x, height = x + panel.width, max(height, panel.height)


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    # What is now, not the last value of the last hours: a pod that is gone is not "Yes".
    now = {} if panel.kind in _OVER_TIME else {"instant": True, "range": False}
    form = {"format": panel.kind} if panel.kind in {"table", "heatmap"} else {}
    targets = [
        {
            "refId": chr(ord("A") + index),
            "expr": expression,
            "legendFormat": legend,
            **now,
            **form,
        }
        for index, (expression, legend) in enumerate(_queries(panel))
    ]
    return {
        "id": number,
        "title": panel.title,
        "description": panel.about,
        "datasource": _DATASOURCE,
        "gridPos": place,
        "targets": targets,
        **_LOOKS[panel.kind](panel),
    }


def _time_series(panel: Panel) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "custom": {"fillOpacity": 10, "showPoints": "never"},
            },
            "overrides": [],
        },
        "options": {
            "legend": {
                "displayMode": "table",
                "placement": "bottom",
                "calcs": ["max"],
                "sortBy": "Max",
                "sortDesc": True,
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def _value(panel: Panel) -> dict[str, Any]:
    """Return the look of a number that may be anything."""
    steps: list[dict[str, Any]] = [{"color": "blue", "value": None}]
    return _stat(panel, steps, "value")


def _count(panel: Panel) -> dict[str, Any]:
    """Return the look of a number that should be 0."""
    steps: list[dict[str, Any]] = [
        {"color": "green", "value": None},
        {"color": "red", "value": panel.red_from},
    ]
    return _stat(panel, steps, "background")


def _stat(panel: Panel, steps: list[dict[str, Any]], color_mode: str) -> dict[str, Any]:
    thresholds = {"mode": "absolute", "steps": steps}
    defaults = {"unit": panel.unit, "thresholds": thresholds}
    return {
        "type": "stat",
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": color_mode,
            "graphMode": "none",
        },
    }


def _heat_map(panel: Panel) -> dict[str, Any]:
    """Return the look of a histogram over time; Prometheus has made its buckets."""
    return {
        "type": "heatmap",
        "fieldConfig": {"defaults": {"unit": "short"}, "overrides": []},
        "options": {
            "calculate": False,
            "yAxis": {"unit": panel.unit},
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
            "filterValues": {"le": 1e-9},
            "cellGap": 1,
        },
    }


def _table(panel: Panel) -> dict[str, Any]:
    """Return the look of a table whose values are 0 or 1."""
    steps = [{"color": "red", "value": None}, {"color": "green", "value": 1}]
    thresholds = {"mode": "absolute", "steps": steps}
    coloured = {"type": "color-background"}
    value = {
        "matcher": {"id": "byName", "options": "Value"},
        "properties": [
            {"id": "unit", "value": panel.unit},
            {"id": "thresholds", "value": thresholds},
            {"id": "custom.cellOptions", "value": coloured},
        ],
    }
    hidden = {"id": "organize", "options": {"excludeByName": {"Time": True}}}
    return {
        "type": "table",
        "fieldConfig": {"defaults": {"unit": "string"}, "overrides": [value]},
        "options": {"sortBy": [{"displayName": "Value", "desc": False}]},
        "transformations": [hidden],
    }


_LOOKS: Final = {
    "timeseries": _time_series,
    "value": _value,
    "count": _count,
    "table": _table,
    "heatmap": _heat_map,
}


def write() -> None:
    """Write all dashboards."""
    for name in DASHBOARDS:
        (DIRECTORY / f"{name}.json").write_text(text(name))


if __name__ == "__main__":
    write()
