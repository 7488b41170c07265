"""The settings, group by group: meaning, unit, default and the default's reason.

Names are those of a configuration file; in the environment they are `ARI_PROXY_<GROUP>__<NAME>`.
"""

from typing import Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ari_proxy.protocol import ids

from .fields import (
    OptionalObjectName,
    OptionalWebUrl,
    Rule,
    WebsocketUrl,
    WebUrl,
    is_object_name,
)
from .urls import bus_urls

#: By bus: where it is if nobody says so.
_BUS_URLS: Final = {
    "NATS": ("nats://127.0.0.1:4222",),
    "RABBITMQ": ("amqp://127.0.0.1:5672",),
}


class _Group(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


class AriSettings(_Group):
    """Where Asterisk is, and as whom to talk to it."""

    websocket_url: WebsocketUrl = "ws://127.0.0.1:8088/ari/events"
    """Asterisk's events websocket. Default: Asterisk's own port on this machine."""

    rest_url: WebUrl = "http://127.0.0.1:8088/ari"
    """The root of Asterisk's REST interface."""

    user: str = "ari"
    """A user of ari.conf; it must not be read-only."""

    user_file: str = ""
    """A file with the user."""

    password: SecretStr = SecretStr("")
    """Its password; better `password_file`, which may change while running."""

    password_file: str = ""
    """A file with the password; read again whenever a connection is made."""

    origin: str = ""
    """The Origin header of the websocket; ari.conf's allowed_origins. Default: none is sent."""

    subscribe_all: bool = False
    """Ask for the events of all objects, also of those that no application owns."""

    ca_file: str = ""
    """Certificates of the authorities that vouch for Asterisk, for wss:// and https://. Default:
    the system's."""

    server_name: str = ""
    """The name that stands in Asterisk's certificate. Default: the host of the URL."""

    certificate_file: str = ""
    """Our certificate, if Asterisk wants one; certificates are read again when they change."""

    key_file: str = ""
    """Its key. Default: it stands in the certificate's file."""

    max_connections: int = Field(default=32, ge=1, le=1000)
    """Requests at once. http.conf's sessionlimit (100) counts websockets and other users too."""

    timeout_seconds: float = Field(default=10.0, gt=0, le=300)
    """Deadline of one request, the wait for a free connection included."""


class BusSettings(_Group):
    """The message bus."""

    kind: Literal["NATS", "RABBITMQ"] = "NATS"
    """Which bus."""

    urls: tuple[str, ...] = ("nats://127.0.0.1:4222",)
    """The servers of one cluster: nats://, tls://, ws:// or wss://; for RabbitMQ amqp:// or amqps://
    with a virtual host as path (default amqp://127.0.0.1:5672)."""

    url_file: str = ""
    """A file with URLs, separated by commas, instead of `urls`; with credentials where they have
    some. Read anew for each connection, as all files with secrets are."""

    queue: str = "ari-proxy"
    """The queue group of the command executors on NATS. Default: a group of our own."""

    user: str = ""
    """User at the bus, if it wants one."""

    user_file: str = ""
    """A file with the user."""

    password: SecretStr = SecretStr("")
    """Its password."""

    password_file: str = ""
    """A file with the password."""

    token: SecretStr = SecretStr("")
    """NATS's token authentication."""

    token_file: str = ""
    """A file with the token."""

    credentials_file: str = ""
    """A NATS credentials file: JWT and nkey seed."""

    nkey_seed_file: str = ""
    """A file with the seed of a NATS nkey. Secrets in files are read anew for each connection."""

    inbox_prefix: str = Field(default="_INBOX", pattern=r"^[^\s.*>]+(\.[^\s.*>]+)*$")
    """What the NATS subjects begin with on which replies come to us, `<inbox_prefix>.ari-proxy.>`;
    for accounts that may not use `_INBOX`."""

    tls_handshake_first: bool = False
    """NATS: TLS comes before the server says anything, as its `tls { handshake_first: true }` wants
    it."""

    ca_file: str = ""
    """Certificates of the authorities that vouch for the servers. Default: the system's."""

    server_name: str = ""
    """The name that stands in the servers' certificate. Default: the host of the URL."""

    certificate_file: str = ""
    """Our certificate, if the servers want one."""

    key_file: str = ""
    """Its key. Default: it stands in the certificate's file."""

    heartbeat_seconds: int = Field(default=10, ge=1, le=300)
    """RabbitMQ: a process that gives no sign of life for two to three times as long is dead, and
    others get its work; so is a server after twice as long. Default: longer than a process or a
    virtual machine stops now and then."""

    buffer_bytes: int = Field(default=64 * 1024 * 1024, ge=64 * 1024)
    """What may wait while the bus is away; beyond it the oldest events go."""

    dialog_ids: Literal["", "token", "uuid"] = ""
    """The form of new dialogs' ids: `token` is `<server_id>.<token>`, `uuid` is for clients that
    parse them, and for RabbitMQ only. Default: `uuid` on RabbitMQ, as the original's are."""

    @model_validator(mode="before")
    @classmethod
    def _default_urls(cls, values: Any) -> Any:
        """Look for RabbitMQ where it is by default, not where NATS is."""
        if isinstance(values, dict) and not values.get("urls") and "kind" in values:
            kind = values["kind"] if values["kind"] in ("NATS", "RABBITMQ") else "NATS"
            return values | {"urls": _BUS_URLS[kind]}
        return values

    @field_validator("dialog_ids")
    @classmethod
    def _check_dialog_ids(cls, form: str, info: ValidationInfo) -> str:
        """Refuse what no executor on NATS would hear of."""
        if form == "uuid" and info.data.get("kind") == "NATS":
            raise ValueError(
                "uuid needs RabbitMQ: on NATS the id has to begin with the server_id, so that the "
                "subjects of its commands can be subscribed to"
            )
        return form

    @property
    def dialog_form(self) -> ids.DialogForm:
        """The form of new dialogs' ids."""
        return self.dialog_ids or ("uuid" if self.kind == "RABBITMQ" else "token")

    @field_validator("urls")
    @classmethod
    def _read_urls(cls, urls: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Refuse the URL of another kind of bus."""
        kind: str = info.data.get("kind", "")
        return bus_urls(kind, urls) if kind else urls  # Another kind is refused already.


class IngestSettings(_Group):
    """How events become dialogs."""

    listener_seconds: float = Field(default=10.0, gt=0, le=600)
    """How long to look for an application that takes a new dialog. Default: a caller's patience."""

    no_listener: Literal["continue", "hangup", "keep"] = "continue"
    """What becomes of the call: on in the dialplan with ARI_PROXY_STATUS set, hung up, or kept."""

    silence_seconds: float = Field(default=60.0, ge=0, le=86400)
    """How long the application of an open dialog may be away before `no_listener` applies; 0 for
    ever. Default: longer than a restart takes."""

    grace_seconds: float = Field(default=10.0, ge=0, le=600)
    """How long after its last channel a dialog gets late events. Asterisk's come within 1 s."""

    queue_grace_seconds: float = Field(default=60.0, ge=0, le=86400)
    """How long after a dialog's end its RabbitMQ queues stay, for an application that is behind."""

    held_bytes: int = Field(default=1024 * 1024, ge=4096)
    """What may wait per dialog until its application has subscribed."""

    proof_seconds: float = Field(default=10.0, ge=0, le=3600)
    """How often Asterisk has to prove, by a user event that comes back, that the websocket delivers
    events; 0 for never. Default: as long as a dead socket takes to be found."""


class LeaseSettings(_Group):
    """Which of several ingests of a server is active; the others stand by."""

    kind: Literal["none", "file", "kubernetes"] = "none"
    """`none`: the last one that starts takes over. `file`: a lock file, on one machine.
    `kubernetes`: a Lease object."""

    file: str = ""
    """The lock file; all ingests of the server name the same one."""

    name: OptionalObjectName = ""
    """The Lease object's name; needed where `server_id` has other than lower-case letters, digits
    and `-`. Default: ari-proxy-<server_id>."""

    namespace: OptionalObjectName = ""
    """Its namespace. Default: the pod's own."""

    duration_seconds: int = Field(default=3, ge=1, le=60)
    """After how long without a sign of its holder the lease is over. Default: so that another one
    is active within 5 s."""

    api_url: OptionalWebUrl = ""
    """The Kubernetes API server. Default: as a pod finds it."""

    token_file: str = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105  a path
    """A file with the token to log in there with; read each time."""

    ca_file: str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
    """Certificates of the authorities that vouch for it."""

    @model_validator(mode="after")
    def _check_file(self) -> Self:
        if self.kind == "file" and not self.file:
            raise ValueError("a lease of the kind `file` needs lease.file")
        return self

    def check_server(self, server_id: str) -> None:
        """Refuse a server whose name can't be a part of a Lease's.

        Raises:
            ValueError: with what to write; two servers must never share one by a likeness of names.
        """
        if self.kind == "kubernetes" and not self.name and not is_object_name(server_id):
            raise ValueError(
                f"lease.name: must be given, since the server_id {server_id!r} can't be a part of "
                "it: a Lease's name has lower-case letters, digits and -"
            )


class PolicySettings(_Group):
    """What the dialogs of one application may do."""

    allow: tuple[Rule, ...] = ("* /**",)
    """Method and path. `*` in a path is one segment, `**` the rest."""

    deny: tuple[Rule, ...] = ("* /asterisk/modules/**", "* /asterisk/config/**")
    """What they may not do, though it is allowed."""


class CommandSettings(_Group):
    """How commands become requests."""

    max_pending: int = Field(default=10_000, ge=1)
    """Commands that wait or run; one more is answered with 503."""

    allow: tuple[Rule, ...] = ("* /**",)
    """What clients may do: method and path. `*` in a path is one segment, `**` the rest."""

    deny: tuple[Rule, ...] = ("* /asterisk/modules/**", "* /asterisk/config/**")
    """What they may not do, though it is allowed. Default: what changes Asterisk itself."""

    applications: dict[str, PolicySettings] = {}
    """By application: what its dialogs may do, instead of `allow` and `deny`; those hold for
    commands of dialogs that no ingest knows."""

    scope: Literal["server", "dialog"] = "server"
    """What commands may touch: all objects of the server, or those of their dialog only."""

    stored_recordings: Literal["all", "own", "none"] = "all"
    """Which stored recordings commands may read, play, copy and delete: `own` are those that the
    dialog has made itself."""


class AdminSettings(_Group):
    """The admin API: /livez, /readyz, /metrics, /dialogs, /dialogs/count."""

    enabled: bool = True
    """Serve it."""

    host: str = "127.0.0.1"
    """Address to listen on. Default: this machine only; 0.0.0.0 in containers."""

    port: int = Field(default=9797, ge=0, le=65535)
    """Port to listen on; 0 takes any and logs it."""

    console: bool = False
    """Serve ingest's console at /console: dialogs and ladders for whoever reaches this address.
    Default: calls are nobody else's business."""


class TracesSettings(_Group):
    """OpenTelemetry: a span per AppStart, command and request; needs `ari-proxy[traces]`."""

    enabled: bool = False
    """Trace, and send the spans by OTLP. Default: no trace, at no cost."""

    endpoint: OptionalWebUrl = ""
    """Where OTLP over HTTP is taken, like http://collector:4318; OTEL_EXPORTER_OTLP_ENDPOINT if
    left out."""

    ratio: float = Field(default=1.0, ge=0, le=1)
    """Which part of the dialogs is traced, unless the client's own trace says."""


class LogSettings(_Group):
    """Logs."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important that shows."""

    format: Literal["auto", "json", "console"] = "auto"
    """JSON lines, or text for people. Default: text on a terminal."""


class RuntimeSettings(_Group):
    """The process."""

    drain_seconds: float = Field(default=10.0, ge=0, le=3600)
    """After SIGTERM: how long commands and set-ups that have begun may take."""
