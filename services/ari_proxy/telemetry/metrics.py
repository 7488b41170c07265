"""The table of all metrics. Labels are bounded: never a dialog, a channel or a URL."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_REST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_FAST_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


@dataclass(frozen=True, slots=True)
class Definition:
    """One row of the table."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


BUILD = Definition(
    "ariproxy_build_info", "gauge", ("version", "component"), "The running component; always 1."
)
TASKS = Definition("ariproxy_tasks", "gauge", (), "Tasks of the event loop.")
BUS_CONNECTED = Definition("ariproxy_bus_connected", "gauge", (), "1 while connected to the bus.")
BUS_RECONNECTS = Definition(
    "ariproxy_bus_reconnects", "gauge", (), "Connections to the bus since the start but the first."
)
BUS_BUFFERED = Definition(
    "ariproxy_bus_outbound_buffer_bytes", "gauge", (), "Bytes that the bus has not confirmed yet."
)
BUS_DROPPED = Definition(
    "ariproxy_bus_dropped_messages",
    "gauge",
    (),
    "Messages lost: buffer full, refused by the bus, or for a queue that is gone.",
)
WEBSOCKET_CONNECTED = Definition(
    "ariproxy_ingest_websocket_connected",
    "gauge",
    ("server_id",),
    "1 while the events websocket is open.",
)
WEBSOCKET_CONNECTS = Definition(
    "ariproxy_ingest_websocket_connects_total",
    "counter",
    ("server_id",),
    "Times the events websocket was opened.",
)
EVENTS_RECEIVED = Definition(
    "ariproxy_ingest_events_received_total",
    "counter",
    ("server_id", "type"),
    "ARI events received.",
)
EVENTS_UNROUTED = Definition(
    "ariproxy_ingest_events_unrouted_total",
    "counter",
    ("server_id",),
    "Events of no dialog, published on events_<server_id>.",
)
EVENTS_DROPPED = Definition(
    "ariproxy_ingest_events_dropped_total",
    "counter",
    ("server_id", "reason"),
    "Events lost that should have been published.",
)
FRAMES_MALFORMED = Definition(
    "ariproxy_ingest_malformed_frames_total",
    "counter",
    ("server_id",),
    "Websocket frames that are no ARI event.",
)
DIALOGS = Definition(
    "ariproxy_ingest_dialogs", "gauge", ("server_id",), "Dialogs open or in their grace period."
)
LEFT_BEHIND = Definition(
    "ariproxy_ingest_left_behind_dialogs",
    "gauge",
    ("server_id",),
    "Dialogs of a crashed ingest whose queues on RabbitMQ are still there.",
)
DIALOGS_STARTED = Definition(
    "ariproxy_ingest_dialogs_started_total",
    "counter",
    ("server_id", "application"),
    "Dialogs started.",
)
DIALOGS_ENDED = Definition(
    "ariproxy_ingest_dialogs_ended_total", "counter", ("server_id", "application"), "Dialogs ended."
)
APP_STARTS = Definition(
    "ariproxy_ingest_app_starts_total",
    "counter",
    ("server_id", "application", "result"),
    "Announcements of dialogs: accepted, no_listener; both if one was taken and nobody came.",
)
RECONCILIATIONS = Definition(
    "ariproxy_ingest_reconciliations_total",
    "counter",
    ("server_id", "result"),
    "Comparisons with what Asterisk has after a connect: same_asterisk, restarted_asterisk.",
)
RECONCILED_DIALOGS = Definition(
    "ariproxy_ingest_reconciled_dialogs_total",
    "counter",
    ("server_id", "action"),
    "Dialogs kept (and told of a gap), adopted, ended or begun late by a reconciliation.",
)
ACTIVE = Definition(
    "ariproxy_ingest_active",
    "gauge",
    ("server_id",),
    "1 in the process whose turn it is to take the events.",
)
LEASE_TRANSITIONS = Definition(
    "ariproxy_ingest_lease_transitions_total",
    "counter",
    ("server_id",),
    "Times this process became or ceased to be active.",
)
APPLICATIONS_REPLACED = Definition(
    "ariproxy_ingest_applications_replaced",
    "gauge",
    ("server_id",),
    "Applications that another client has taken from this process.",
)
ADVISORIES = Definition(
    "ariproxy_ingest_asterisk_advisories",
    "gauge",
    ("server_id",),
    "Known security advisories of ARI that concern Asterisk's version; the log names them.",
)
SET_UP_SECONDS = Definition(
    "ariproxy_ingest_set_up_duration_seconds",
    "histogram",
    ("server_id",),
    "From a dialog's first event until its application had it.",
    _FAST_SECONDS,
)
REQUESTS = Definition(
    "ariproxy_command_requests_total",
    "counter",
    ("server_id", "operation", "code"),
    "Commands answered, by ARI operation and status.",
)
REQUEST_FAILURES = Definition(
    "ariproxy_command_request_failures_total",
    "counter",
    ("server_id", "reason"),
    "ARI requests that got no HTTP answer.",
)
REJECTED = Definition(
    "ariproxy_command_rejected_total",
    "counter",
    ("server_id", "reason"),
    "Commands not sent to ARI.",
)
COMMAND_SECONDS = Definition(
    "ariproxy_command_duration_seconds",
    "histogram",
    ("server_id",),
    "From taking a command off the bus until its response.",
    _REST_SECONDS,
)
COMMANDS_PENDING = Definition(
    "ariproxy_command_pending", "gauge", ("server_id",), "Commands that wait or run."
)

TABLE: Final = tuple(value for value in tuple(globals().values()) if isinstance(value, Definition))


_Metric = Counter | Gauge | Histogram


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._metrics: dict[str, _Metric] = {}
        self._children: dict[tuple[str, ...], _Metric] = {}
        for row in TABLE:
            self._metrics[row.name] = self._make(row)

    def _make(self, row: Definition) -> _Metric:
        if row.kind == "counter":
            return Counter(row.name, row.help, row.labels, registry=self._registry)
        if row.kind == "gauge":
            return Gauge(row.name, row.help, row.labels, registry=self._registry)
        return Histogram(
            row.name, row.help, row.labels, registry=self._registry, buckets=row.buckets
        )

    def counter(self, row: Definition, *labels: str) -> Counter:
        """Return the counter with these labels."""
        metric = self._child(row, labels)
        assert isinstance(metric, Counter)  # noqa: S101  the table says so
        return metric

    def gauge(self, row: Definition, *labels: str) -> Gauge:
        """Return the gauge with these labels."""
        metric = self._child(row, labels)
        assert isinstance(metric, Gauge)  # noqa: S101  the table says so
        return metric

    def histogram(self, row: Definition, *labels: str) -> Histogram:
        """Return the histogram with these labels."""
        metric = self._child(row, labels)
        assert isinstance(metric, Histogram)  # noqa: S101  the table says so
        return metric

    def _child(self, row: Definition, labels: tuple[str, ...]) -> _Metric:
        key = (row.name, *labels)
        child = self._children.get(key)
        if child is None:
            metric = self._metrics[row.name]
            # prometheus-client's own look-up takes a lock and is ten times slower.
            child = self._children[key] = metric.labels(*labels) if labels else metric
        return child

    def read(self, row: Definition, function: Callable[[], float], *labels: str) -> None:
        """Take a gauge's value from `function` whenever it is scraped."""
        self.gauge(row, *labels).set_function(function)

    def text(self) -> bytes:
        """Return all in Prometheus's text format."""
        return generate_latest(self._registry)
