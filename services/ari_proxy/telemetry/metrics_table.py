"""The table of all metrics. Labels are bounded: never a dialog, a channel or a URL."""

from dataclasses import dataclass
from typing import Final, Literal

_REST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_CALL_SECONDS: Final = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 14400)
_FAST_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric: a row of the table."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    #: True for a counter kept elsewhere, whose value is read at scrape time.
    is_read: bool = False


BUILD = Definition(
    "ariproxy_build_info", "gauge", ("version", "component"), "The running component; always 1."
)
TASKS = Definition("ariproxy_tasks", "gauge", (), "Tasks of the event loop.")
LOOP_LAG = Definition(
    "ariproxy_event_loop_lag_seconds",
    "histogram",
    (),
    "Delay of the event loop's timers.",
    _FAST_SECONDS,
)
SERVER_FAILURES = Definition(
    "ariproxy_server_failures_total",
    "counter",
    ("server_id",),
    "Failures that ended the services of one of several servers; they are started again.",
)
BUS_CONNECTED = Definition(
    "ariproxy_bus_connected",
    "gauge",
    ("server_id", "bus"),
    "1 while connected to the bus (NATS or RABBITMQ).",
)
BUS_BLOCKED = Definition(
    "ariproxy_bus_blocked",
    "gauge",
    ("server_id", "bus"),
    "1 while RabbitMQ blocks publishing, since it is low on memory or disk.",
)
BUS_REFUSED = Definition(
    "ariproxy_bus_refused",
    "gauge",
    ("server_id", "bus"),
    "Subscriptions and publish rights that the bus refuses at present.",
)
BUS_REFUSALS = Definition(
    "ariproxy_bus_refusals_total",
    "counter",
    ("server_id", "bus"),
    "Subscriptions and publish rights that the bus has refused.",
    is_read=True,
)
BUS_RECONNECTS = Definition(
    "ariproxy_bus_reconnects_total",
    "counter",
    ("server_id", "bus"),
    "Reconnections to the bus.",
    is_read=True,
)
BUS_PUBLISHED = Definition(
    "ariproxy_bus_messages_published_total",
    "counter",
    ("server_id", "bus"),
    "Messages confirmed by the bus.",
    is_read=True,
)
BUS_BUFFERED = Definition(
    "ariproxy_bus_outbound_buffer_bytes",
    "gauge",
    ("server_id", "bus"),
    "Bytes in the outbound buffer, not yet confirmed by the bus.",
)
BUS_BUFFER_CAPACITY = Definition(
    "ariproxy_bus_outbound_buffer_capacity_bytes",
    "gauge",
    ("server_id", "bus"),
    "Capacity of the outbound buffer; when it is full, the oldest events are dropped.",
)
BUS_DROPPED = Definition(
    "ariproxy_bus_dropped_messages_total",
    "counter",
    ("server_id", "bus"),
    "Messages lost: buffer full, refused by the bus, or sent to a queue that no longer exists.",
    is_read=True,
)
BUS_FAULTS = Definition(
    "ariproxy_bus_faults_total",
    "counter",
    ("server_id", "bus", "kind"),
    "Faults by kind: slow_consumer (a message was lost), handler_failed, recorded (a JetStream "
    "stream answered in place of a listener), login_refused (the account or a certificate was not "
    "accepted), unproven (a connection was lost as a message was acknowledged: it comes again, or "
    "nobody has it).",
    is_read=True,
)
RECORDED_CALLS = Definition(
    "ariproxy_recorder_calls",
    "gauge",
    ("server_id",),
    "Calls that the flight recorder keeps, open and ended.",
)
RECORDED_BYTES = Definition(
    "ariproxy_recorder_bytes",
    "gauge",
    ("server_id",),
    "Bytes that the flight recorder keeps.",
)
LISTENER_REFUSED = Definition(
    "ariproxy_ari_listener_refused_total",
    "counter",
    ("reason",),
    "Peers refused by the listener for Asterisk's websockets: credentials, path, unwanted (nobody "
    "waits at the path), handshake; not_accepted (an attempt failed: no file descriptor is left).",
)
ADMIN_REFUSED = Definition(
    "ariproxy_admin_refused_total",
    "counter",
    ("reason",),
    "Peers refused by the admin API: malformed (no HTTP request), too_many (the oldest of more "
    "than 128), not_accepted (an attempt failed: no file descriptor is left).",
)
WEBSOCKET_CONNECTED = Definition(
    "ariproxy_ingest_websocket_connected",
    "gauge",
    ("server_id", "application"),
    "1 while the application is served: the websocket is open and no other client has taken over.",
)
WEBSOCKET_CONNECTS = Definition(
    "ariproxy_ingest_websocket_connects_total",
    "counter",
    ("server_id",),
    "Connections of the events websocket.",
)
WEBSOCKET_DISCONNECTS = Definition(
    "ariproxy_ingest_websocket_disconnects_total",
    "counter",
    ("server_id", "reason"),
    "Disconnections of the events websocket: closed, lost, ping_timeout, silent, replaced.",
)
LAST_EVENT = Definition(
    "ariproxy_ingest_last_event_timestamp_seconds",
    "gauge",
    ("server_id",),
    "Unix time of the last ARI event; 0 before the first one.",
)
RECEIVED_BYTES = Definition(
    "ariproxy_ingest_received_bytes_total",
    "counter",
    ("server_id",),
    "Payload bytes received on the events websocket.",
    is_read=True,
)
EVENTS_PUBLISHED = Definition(
    "ariproxy_ingest_events_published_total",
    "counter",
    ("server_id",),
    "Events published on dialog topics.",
    is_read=True,
)
EVENTS_RECEIVED = Definition(
    "ariproxy_ingest_events_received_total",
    "counter",
    ("server_id", "type"),
    "ARI events received.",
    is_read=True,
)
EVENTS_UNROUTED = Definition(
    "ariproxy_ingest_events_unrouted_total",
    "counter",
    ("server_id",),
    "Events that belong to no dialog, published on events_<server_id>.",
)
EVENTS_DROPPED = Definition(
    "ariproxy_ingest_events_dropped_total",
    "counter",
    ("server_id", "reason"),
    "Events dropped instead of published.",
)
FRAMES_MALFORMED = Definition(
    "ariproxy_ingest_malformed_frames_total",
    "counter",
    ("server_id",),
    "Websocket frames that are not ARI events.",
)
DIALOGS = Definition(
    "ariproxy_ingest_dialogs",
    "gauge",
    ("server_id",),
    "Dialogs that are open or in their grace period.",
)
LEFT_BEHIND = Definition(
    "ariproxy_ingest_left_behind_dialogs",
    "gauge",
    ("server_id",),
    "Dialogs orphaned by a crashed ingest whose RabbitMQ queues still exist.",
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
DIALOG_SECONDS = Definition(
    "ariproxy_ingest_dialog_duration_seconds",
    "histogram",
    ("server_id", "application"),
    "Lifetime of dialogs, from the first event until the last channel has left.",
    _CALL_SECONDS,
)
BOUND_OBJECTS = Definition(
    "ariproxy_ingest_bound_objects",
    "gauge",
    ("server_id", "kind"),
    "ARI objects bound to dialogs: channel, bridge, playback, recording.",
)
APP_STARTS = Definition(
    "ariproxy_ingest_app_starts_total",
    "counter",
    ("server_id", "application", "result"),
    "AppStarts by result: accepted, no_listener; both if an instance took one and never listened.",
)
OFFERED_CALLS = Definition(
    "ariproxy_ingest_offered_calls_total",
    "counter",
    ("server_id", "application", "result"),
    "Calls of StasisBroadcast by result: claimed, claimed_elsewhere, offer_over, not_taken, "
    "disconnected, failed, dropped.",
)
RECONCILIATIONS = Definition(
    "ariproxy_ingest_reconciliations_total",
    "counter",
    ("server_id", "result"),
    "Reconciliations with Asterisk after a connect: same_asterisk, restarted_asterisk.",
)
RECONCILED_DIALOGS = Definition(
    "ariproxy_ingest_reconciled_dialogs_total",
    "counter",
    ("server_id", "action"),
    "Dialogs by outcome of reconciliation: kept (with a ProxyGap), adopted, ended, begun_late.",
)
ACTIVE = Definition(
    "ariproxy_ingest_active",
    "gauge",
    ("server_id",),
    "1 if this process is the active ingest.",
)
LEASE_TRANSITIONS = Definition(
    "ariproxy_ingest_lease_transitions_total",
    "counter",
    ("server_id",),
    "Times this process became active or stopped being active.",
)
APPLICATIONS_REPLACED = Definition(
    "ariproxy_ingest_applications_replaced",
    "gauge",
    ("server_id",),
    "Applications taken over by another ARI client.",
)
ADVISORIES = Definition(
    "ariproxy_ingest_asterisk_advisories",
    "gauge",
    ("server_id",),
    "Known ARI security advisories that affect this Asterisk version; the log names them.",
)
SET_UP_SECONDS = Definition(
    "ariproxy_ingest_set_up_duration_seconds",
    "histogram",
    ("server_id",),
    "Time from a dialog's first event until its application received it.",
    _FAST_SECONDS,
)
REQUESTS = Definition(
    "ariproxy_command_requests_total",
    "counter",
    ("server_id", "operation", "code"),
    "Commands answered, by ARI operation and status code.",
)
REQUEST_FAILURES = Definition(
    "ariproxy_command_request_failures_total",
    "counter",
    ("server_id", "reason"),
    "ARI requests without a usable response: unreachable, timeout, too_large, needs_http.",
)
REJECTED = Definition(
    "ariproxy_command_rejected_total",
    "counter",
    ("server_id", "reason"),
    "Commands rejected before they were sent to ARI.",
)
COMMAND_SECONDS = Definition(
    "ariproxy_command_duration_seconds",
    "histogram",
    ("server_id",),
    "Time from receiving a command until its response is published.",
    _REST_SECONDS,
)
REQUEST_SECONDS = Definition(
    "ariproxy_command_request_duration_seconds",
    "histogram",
    ("server_id", "method"),
    "Time until ARI responded, including the wait for a free connection.",
    _REST_SECONDS,
)
IN_FLIGHT = Definition(
    "ariproxy_command_in_flight", "gauge", ("server_id",), "ARI requests in flight."
)
IN_FLIGHT_LIMIT = Definition(
    "ariproxy_command_in_flight_limit",
    "gauge",
    ("server_id",),
    "Maximum number of ARI requests in flight.",
)
COMMAND_WEBSOCKETS = Definition(
    "ariproxy_command_websockets",
    "gauge",
    ("server_id",),
    "Open websockets that carry ARI requests; at 0 all go by HTTP, or wait where HTTP is not used.",
)
COMMANDS_PENDING = Definition(
    "ariproxy_command_pending", "gauge", ("server_id",), "Commands waiting or running."
)

RECONCILES = Definition(
    "ariproxy_operator_reconciles_total",
    "counter",
    ("result",),
    "Reconciliations of AriProxy resources: ok, failed.",
)
RECONCILE_SECONDS = Definition(
    "ariproxy_operator_reconcile_duration_seconds",
    "histogram",
    (),
    "Duration of one reconciliation.",
    _REST_SECONDS,
)
RECONCILED_AT = Definition(
    "ariproxy_operator_last_reconcile_timestamp_seconds",
    "gauge",
    (),
    "Unix time of the last successful reconciliation.",
)
OPERATOR_APPLIES = Definition(
    "ariproxy_operator_applies_total",
    "counter",
    ("kind", "result"),
    "Objects applied to the API server: applied, failed.",
)
OPERATOR_READY = Definition(
    "ariproxy_operator_resource_ready",
    "gauge",
    ("namespace", "name"),
    "1 while all servers of the AriProxy are served.",
)
OPERATOR_SERVERS = Definition(
    "ariproxy_operator_servers",
    "gauge",
    ("namespace", "name", "state"),
    "Asterisk servers of the AriProxy: ready, not_ready.",
)

#: Name prefixes of the metrics that every process has.
COMMON: Final = ("ariproxy_build", "ariproxy_tasks", "ariproxy_event_loop", "ariproxy_admin")
#: Those of every process that serves Asterisk servers.
SERVICES: Final = ("ariproxy_server", "ariproxy_bus", "ariproxy_ari", "ariproxy_recorder")

TABLE: Final = (
    BUILD,
    TASKS,
    LOOP_LAG,
    SERVER_FAILURES,
    BUS_CONNECTED,
    BUS_BLOCKED,
    BUS_REFUSED,
    BUS_REFUSALS,
    BUS_RECONNECTS,
    BUS_PUBLISHED,
    BUS_BUFFERED,
    BUS_BUFFER_CAPACITY,
    BUS_DROPPED,
    BUS_FAULTS,
    RECORDED_CALLS,
    RECORDED_BYTES,
    LISTENER_REFUSED,
    ADMIN_REFUSED,
    WEBSOCKET_CONNECTED,
    WEBSOCKET_CONNECTS,
    WEBSOCKET_DISCONNECTS,
    LAST_EVENT,
    RECEIVED_BYTES,
    EVENTS_PUBLISHED,
    EVENTS_RECEIVED,
    EVENTS_UNROUTED,
    EVENTS_DROPPED,
    FRAMES_MALFORMED,
    DIALOGS,
    LEFT_BEHIND,
    DIALOGS_STARTED,
    DIALOGS_ENDED,
    DIALOG_SECONDS,
    BOUND_OBJECTS,
    APP_STARTS,
    OFFERED_CALLS,
    RECONCILIATIONS,
    RECONCILED_DIALOGS,
    ACTIVE,
    LEASE_TRANSITIONS,
    APPLICATIONS_REPLACED,
    ADVISORIES,
    SET_UP_SECONDS,
    REQUESTS,
    REQUEST_FAILURES,
    REJECTED,
    COMMAND_SECONDS,
    REQUEST_SECONDS,
    IN_FLIGHT,
    IN_FLIGHT_LIMIT,
    COMMAND_WEBSOCKETS,
    COMMANDS_PENDING,
    RECONCILES,
    RECONCILE_SECONDS,
    RECONCILED_AT,
    OPERATOR_APPLIES,
    OPERATOR_READY,
    OPERATOR_SERVERS,
)
