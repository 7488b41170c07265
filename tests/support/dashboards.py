"""Writes the chart's dashboards (`make chart`): panels as rows of a table, laid out by themselves."""

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

#: What a query selects by; the variables stand for all by default.
S: Final = 'namespace=~"$namespace",server_id=~"$server_id"'
N: Final = 'namespace=~"$namespace"'
R: Final = "$__rate_interval"


@dataclass(frozen=True)
class Panel:
    """One picture: its queries with the legends of their lines."""

    title: str
    about: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"


@dataclass(frozen=True)
class Row:
    """Panels under a heading."""

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
                    "1 where an ingest has the websocket and nobody else has taken the application.",
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
                    "Calls that are served now, those in their grace period included.",
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
                    "Nobody took them, or theirs was gone: they went where ingest.no_listener says.",
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
                    "Time until an application has a call",
                    "From a dialog's first event until its application has got it.",
                    "s",
                    _latency("ariproxy_ingest_set_up_duration_seconds", "server_id", SERVER),
                ),
                Panel(
                    "Events lost",
                    "Events of dialogs that were thrown away, and messages that the bus did not get.",
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
                    "ARI requests answered.",
                    "reqps",
                    ((_rate("ariproxy_command_requests_total", "server_id"), SERVER),),
                ),
                Panel(
                    "Errors",
                    "Share of commands that Asterisk answered with 5xx, or not at all.",
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
                    "From taking a command off the bus until its response.",
                    "s",
                    _latency("ariproxy_command_duration_seconds", "server_id", SERVER),
                ),
            ),
        ),
        Row(
            "Asterisk (its own res_prometheus, with server_id by relabelling)",
            (
                Panel(
                    "Channels",
                    "Channels of Asterisk, those outside of ari-proxy included.",
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
                    "Since Asterisk was started.",
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
                    "Received, by type",
                    "ARI events from the websocket.",
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
                    "Events given to the bus on dialogs' topics.",
                    "cps",
                    ((_rate("ariproxy_ingest_events_published_total", "server_id"), SERVER),),
                ),
                Panel(
                    "Of no dialog",
                    "Events that belong to no dialog; they go out on events_<server_id>.",
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
                    "A quiet Asterisk sends nothing.",
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
                    "Frames that are no event",
                    "What came on the websocket and could not be read.",
                    "cps",
                    ((_rate("ariproxy_ingest_malformed_frames_total", "server_id"), SERVER),),
                ),
            ),
        ),
        Row(
            "Websocket and turns",
            (
                Panel(
                    "Active ingest",
                    "The active pod.",
                    "bool_yes_no",
                    ((f"ariproxy_ingest_active{{{S}}}", "{{server_id}} {{pod}}"),),
                    kind="stat",
                ),
                Panel(
                    "Websocket lost",
                    "By reason, within an hour.",
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
                    "Changes of turn",
                    "Times a process became or ceased to be active, within an hour.",
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
                    "Dialogs after a connect",
                    "Kept (and told of a gap), adopted, ended or begun late, within an hour.",
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
                    "Length of calls",
                    "Until their last channel has gone.",
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
                    "Of each pod.",
                    "bool_yes_no",
                    ((f"ariproxy_bus_connected{{{N}}}", "{{pod}} {{bus}}"),),
                    kind="stat",
                ),
                Panel(
                    "Bus blocked or refusing",
                    "RabbitMQ low on memory or disk; how much the account may not do now.",
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
                    "What the bus has not confirmed; beyond its capacity the oldest events go.",
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
                    "By the bus.",
                    "cps",
                    ((_rate("ariproxy_bus_messages_published_total", "pod", where=N), "{{pod}}"),),
                ),
                Panel(
                    "Event loop's lag",
                    "Beyond 100 ms Asterisk may end the websocket.",
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
                    "ARI requests answered.",
                    "reqps",
                    ((_rate("ariproxy_command_requests_total", "operation"), "{{operation}}"),),
                ),
                Panel(
                    "By status",
                    "What Asterisk answered.",
                    "reqps",
                    ((_rate("ariproxy_command_requests_total", "code"), "{{code}}"),),
                ),
                Panel(
                    "Not answered",
                    "Requests that got no HTTP answer.",
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
                    "Commands that were refused: malformed, not allowed, too many.",
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
                    "Time until Asterisk answered, the wait for a free connection included.",
                    "s",
                    _latency("ariproxy_command_request_duration_seconds", "method", "{{method}}"),
                ),
                Panel(
                    "In flight",
                    "Requests under way, and most at once.",
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
                    "Commands that wait or run.",
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
    "AriProxy resources and who looks after them.",
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
            "Work",
            (
                Panel(
                    "Looks",
                    "Looks at resources, by result.",
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
                    "Of one look.",
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
    """Return a dashboard as Grafana reads it."""
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
