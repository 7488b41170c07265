"""Generates the chart's dashboards (`make chart`) from a table of panels."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.support.chart import CHART

DIRECTORY: Final = CHART / "dashboards"
#: Grafana's grid has 24 columns.
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 24
_SCHEMA_VERSION: Final = 39
_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}

#: Label selectors of queries; by default the variables match everything.
S: Final = 'namespace=~"$namespace",server_id=~"$server_id"'
N: Final = 'namespace=~"$namespace"'
R: Final = "$__rate_interval"


@dataclass(frozen=True)
class Panel:
    """One panel: its queries with their legends."""

    title: str
    about: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"


@dataclass(frozen=True)
class Row:
    """A row of panels."""

    title: str
    panels: tuple[Panel, ...]


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


SERVER = "{{server_id}}"

OVERVIEW = Dashboard(
    "ari-proxy-overview",
    "ari-proxy: overview",
    "Are calls served, server by server?",
    (
        Row(
            "Calls",
            (
                Panel(
                    "Served applications",
                    "1 if an ingest has the websocket and no other client has taken over the application.",
                    "bool_yes_no",
                    (
                        (
                            "max by (server_id, application) "
                            f"(ariproxy_ingest_websocket_connected{{{S}}})",
                            "{{server_id}} {{application}}",
                        ),
                    ),
                    kind="stat",
                ),
                Panel(
                    "Open dialogs",
                    "Calls that are served now, including those in their grace period.",
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
                ),
                Panel(
                    "Set-up time",
                    "From a dialog's first event until its application receives it.",
                    "s",
                    _latency("ariproxy_ingest_set_up_duration_seconds", "server_id", SERVER),
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
                    "Share of commands that Asterisk answered with 5xx or not at all.",
                    "percentunit",
                    (
                        (
                            "sum by (server_id) (rate(ariproxy_command_requests_total"
                            f'{{{S},code=~"5.."}}[{R}])'
                            f" or rate(ariproxy_command_request_failures_total{{{S}}}[{R}]))"
                            f" / {_rate('ariproxy_command_requests_total', 'server_id')}",
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
                            'sum by (server_id) (asterisk_channels_count{server_id=~"$server_id"})',
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
                            f'{{server_id=~"$server_id"}}[{R}]))',
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
                            'max by (server_id) (asterisk_core_uptime_seconds{server_id=~"$server_id"})',
                            SERVER,
                        ),
                    ),
                ),
            ),
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
                Panel(
                    "Active ingest",
                    "The pod that is active.",
                    "bool_yes_no",
                    ((f"ariproxy_ingest_active{{{S}}}", "{{server_id}} {{pod}}"),),
                    kind="stat",
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
                ),
            ),
        ),
        Row(
            "Bus and process",
            (
                Panel(
                    "Bus connected",
                    "By pod.",
                    "bool_yes_no",
                    ((f"ariproxy_bus_connected{{{N}}}", "{{pod}} {{bus}}"),),
                    kind="stat",
                ),
                Panel(
                    "Bus blocked or refusing",
                    "Whether RabbitMQ is low on memory or disk; number of refused subscriptions and permissions.",
                    "short",
                    (
                        (f"ariproxy_bus_blocked{{{N}}}", "{{pod}} blocked"),
                        (
                            f"ariproxy_bus_refused{{{N}}}",
                            "{{pod}} refused",
                        ),
                    ),
                ),
                Panel(
                    "Buffer",
                    "Unconfirmed messages; beyond the capacity the oldest events are dropped.",
                    "bytes",
                    (
                        (f"ariproxy_bus_outbound_buffer_bytes{{{N}}}", "{{pod}}"),
                        (
                            f"max(ariproxy_bus_outbound_buffer_capacity_bytes{{{N}}})",
                            "capacity",
                        ),
                    ),
                ),
                Panel(
                    "Messages confirmed",
                    "Messages that the bus has confirmed.",
                    "cps",
                    ((_rate("ariproxy_bus_messages_published_total", "pod", where=N), "{{pod}}"),),
                ),
                Panel(
                    "Event loop lag",
                    "Beyond 100 ms Asterisk may close the websocket.",
                    "s",
                    _latency("ariproxy_event_loop_lag_seconds", "pod", "{{pod}}", where=N),
                ),
            ),
        ),
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
                ),
                Panel(
                    "By status",
                    "HTTP status of Asterisk's answers.",
                    "reqps",
                    ((_rate("ariproxy_command_requests_total", "code"), "{{code}}"),),
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
                ),
                Panel(
                    "Pending",
                    "Commands that are queued or running.",
                    "short",
                    ((f"sum by (server_id) (ariproxy_command_pending{{{S}}})", SERVER),),
                ),
            ),
        ),
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
                Panel(
                    "Ready",
                    "1 while all servers of the AriProxy are served.",
                    "bool_yes_no",
                    ((f"ariproxy_operator_resource_ready{{{N}}}", "{{namespace}}/{{name}}"),),
                    kind="stat",
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
                            "sum by (result) (rate(ariproxy_operator_reconciles_total[$__rate_interval]))",
                            "{{result}}",
                        ),
                    ),
                ),
                Panel(
                    "Duration",
                    "Duration of a reconciliation.",
                    "s",
                    _latency(
                        "ariproxy_operator_reconcile_duration_seconds", "pod", "{{pod}}", where=""
                    ),
                ),
                Panel(
                    "Objects applied",
                    "By kind and result.",
                    "ops",
                    (
                        (
                            "sum by (kind, result) "
                            "(rate(ariproxy_operator_applies_total[$__rate_interval]))",
                            "{{kind}} {{result}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
    by_server=False,
)

DASHBOARDS = {"overview": OVERVIEW, "ingest": INGEST, "command": COMMAND, "operator": OPERATOR}


def expressions(dashboard: Dashboard) -> Iterator[tuple[Panel, str]]:
    """Yield each query with its panel."""
    for row in dashboard.rows:
        for panel in row.panels:
            for expression, _ in panel.queries:
                yield panel, expression


def text(name: str) -> str:
    """Return a dashboard in Grafana's JSON model."""
    dashboard = DASHBOARDS[name]
    model = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["ari-proxy"],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _variables(by_server=dashboard.by_server)},
        "panels": list(_panels(dashboard)),
    }
    return json.dumps(model, indent=1) + "\n"


def _variables(*, by_server: bool) -> list[dict[str, Any]]:
    names = ["namespace", *(["server_id"] if by_server else [])]
    found: list[dict[str, Any]] = [
        {"name": "datasource", "type": "datasource", "query": "prometheus"}
    ]
    for name in names:
        source = "ariproxy_build_info" if name == "namespace" else "ariproxy_ingest_dialogs"
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
    number, y = 0, 0
    for row in dashboard.rows:
        number += 1
        place = {"h": 1, "w": _COLUMNS, "x": 0, "y": y}
        yield {"id": number, "type": "row", "title": row.title, "gridPos": place, "panels": []}
        y += 1
        for index, panel in enumerate(row.panels):
            number += 1
            yield _panel(panel, number, x=index * _WIDTH % _COLUMNS, y=y + index // 3 * _HEIGHT)
        y += -(-len(row.panels) // 3) * _HEIGHT


def _panel(panel: Panel, number: int, *, x: int, y: int) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + index), "expr": expression, "legendFormat": legend}
        for index, (expression, legend) in enumerate(panel.queries)
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _DATASOURCE,
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": targets,
    }


def write() -> None:
    """Write all dashboards."""
    for name in DASHBOARDS:
        (DIRECTORY / f"{name}.json").write_text(text(name))


if __name__ == "__main__":
    write()
