"""The AriProxy resource as Python types; k8s/crds/ariproxies.yaml is the contract. Sans-I/O.

A test compares the two: names, types, defaults and required fields. The API server validates every
object against the contract, so nothing is validated here again.
"""

from typing import Any, Final, Literal

import msgspec

from ari_proxy.settings.command import ALLOW, DENY

GROUP: Final = "ari-proxy.io"
VERSION: Final = "v1alpha1"
PLURAL: Final = "ariproxies"
KIND: Final = "AriProxy"
DRAIN_TIMEOUT_SECONDS: Final = 600


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of the resource; field names are the contract's in snake case."""


class LoginSecretRef(_Part, frozen=True):
    """A Secret with user name and password."""

    name: str
    username_key: str = "username"
    password_key: str = "password"  # noqa: S105  a key


class CaSecretRef(_Part, frozen=True):
    """A Secret with CA certificates."""

    name: str
    key: str = "ca.crt"


class CertificateSecretRef(_Part, frozen=True):
    """A Secret of the type kubernetes.io/tls."""

    name: str


class TlsSpec(_Part, frozen=True):
    """TLS of a connection."""

    ca_secret_ref: CaSecretRef | None = None
    client_certificate_secret_ref: CertificateSecretRef | None = None
    server_name: str = ""


class OutboundSpec(_Part, frozen=True):
    """What is known of an Asterisk that opens the websockets."""

    asterisk_version: str = "22.5.0"
    username: str = "ari"
    certificate_secret_ref: CertificateSecretRef | None = None
    client_ca_secret_ref: CaSecretRef | None = None


class AriSpec(_Part, frozen=True):
    """ARI of an Asterisk server."""

    credentials_secret_ref: LoginSecretRef
    connection: Literal["Inbound", "Outbound"] = "Inbound"
    outbound: OutboundSpec | None = None
    url: str = ""
    tls: TlsSpec | None = None


class ServerSpec(_Part, frozen=True):
    """A listed Asterisk server."""

    name: str
    ari: AriSpec
    applications: tuple[str, ...]
    server_id: str = ""
    subscribe_all: bool = False


class ServerSelector(_Part, frozen=True):
    """How to discover Asterisk pods."""

    match_labels: dict[str, str]
    credentials_secret_ref: LoginSecretRef
    applications: tuple[str, ...]
    scheme: Literal["Http", "Https"] = "Http"
    port: int = 8088
    path: str = "/ari"
    tls: TlsSpec | None = None
    subscribe_all: bool = False


class NatsUrlSecretRef(_Part, frozen=True):
    """A Secret with NATS URLs."""

    name: str
    key: str = "url"


class CredsSecretRef(_Part, frozen=True):
    """A Secret with a NATS credentials file."""

    name: str
    key: str = "user.creds"


class NkeySecretRef(_Part, frozen=True):
    """A Secret with the seed of an nkey."""

    name: str
    key: str = "user.nk"


class TokenSecretRef(_Part, frozen=True):
    """A Secret with a token."""

    name: str
    key: str = "token"


class NatsSpec(_Part, frozen=True):
    """The connection to NATS."""

    servers: tuple[str, ...] = ()
    url_secret_ref: NatsUrlSecretRef | None = None
    creds_secret_ref: CredsSecretRef | None = None
    nkey_secret_ref: NkeySecretRef | None = None
    user_secret_ref: LoginSecretRef | None = None
    token_secret_ref: TokenSecretRef | None = None
    tls: TlsSpec | None = None
    tls_handshake_first: bool = False
    queue_group: str = "ari-proxy"
    inbox_prefix: str = ""


class RabbitMqUrlSecretRef(_Part, frozen=True):
    """A Secret with a RabbitMQ URL."""

    name: str
    key: str = "connection_string"


class RabbitMqSpec(_Part, frozen=True):
    """The connection to RabbitMQ."""

    url_secret_ref: RabbitMqUrlSecretRef
    tls: TlsSpec | None = None
    dialog_ids: Literal["Uuid", "Token"] | None = None
    persistent: bool = False


class BusSpec(_Part, frozen=True):
    """The message bus: `type` names the member that is set."""

    type: Literal["NATS", "RabbitMQ"]
    nats: NatsSpec | None = None
    rabbitmq: RabbitMqSpec | None = None


class PodDisruptionBudgetSpec(_Part, frozen=True):
    """How many pods may be unavailable at once."""

    enabled: bool = True
    max_unavailable: int | str = 1


class PodTemplateSpec(_Part, frozen=True):
    """The user's overlay of the pod template."""

    metadata: dict[str, Any] = {}
    spec: dict[str, Any] = {}


class WorkloadSpec(_Part, frozen=True):
    """Fields that ingest and command share."""

    image: str = ""
    resources: dict[str, Any] | None = None
    termination_grace_period_seconds: int = 45
    min_ready_seconds: int = 0
    revision_history_limit: int = 3
    pod_disruption_budget: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    pod_template: PodTemplateSpec = PodTemplateSpec()


class IngestSpec(WorkloadSpec, frozen=True):
    """The ingest Deployment of each server."""

    replicas: int = 1
    lease_duration_seconds: int = 3
    listener_timeout_seconds: int = 10
    no_listener: Literal["Continue", "Hangup", "Keep"] = "Continue"
    silence_timeout_seconds: int = 60
    claim: bool = False
    console: bool = False


class AutoscalingSpec(_Part, frozen=True):
    """Limits and target of a HorizontalPodAutoscaler."""

    max_replicas: int
    min_replicas: int = 1
    target_cpu_utilization_percentage: int = msgspec.field(
        name="targetCPUUtilizationPercentage", default=70
    )
    behavior: dict[str, Any] = {}


class CommandPolicySpec(_Part, frozen=True):
    """Which commands are allowed."""

    allow: tuple[str, ...] = ALLOW
    deny: tuple[str, ...] = DENY
    scope: Literal["Server", "Dialog"] = "Server"
    stored_recordings: Literal["All", "Own", "None"] = "All"


class CommandSpec(WorkloadSpec, frozen=True):
    """The command Deployment of each server."""

    #: None: somebody else scales it.
    replicas: int | None = None
    autoscaling: AutoscalingSpec | None = None
    max_in_flight: int = 32
    transport: Literal["Auto", "Websocket", "Http"] = "Auto"
    websockets: int = 4
    request_timeout_seconds: int = 10
    policy: CommandPolicySpec = CommandPolicySpec()


class ImagePullSecret(_Part, frozen=True):
    """A Secret with registry credentials."""

    name: str


class PodMonitorSpec(_Part, frozen=True):
    """The PodMonitor for the Prometheus operator."""

    enabled: bool = False
    interval: str = "30s"
    scrape_timeout: str = ""
    labels: dict[str, str] = {}
    relabelings: tuple[dict[str, Any], ...] = ()
    metric_relabelings: tuple[dict[str, Any], ...] = ()


class TracesSpec(_Part, frozen=True):
    """Export of traces."""

    endpoint: str
    sampling_percentage: int = 100


class MonitoringSpec(_Part, frozen=True):
    """Metrics and traces of the pods."""

    pod_monitor: PodMonitorSpec = PodMonitorSpec()
    traces: TracesSpec | None = None


class LoggingSpec(_Part, frozen=True):
    """Logs of the pods."""

    level: Literal["Debug", "Info", "Warning", "Error"] = "Info"
    format: Literal["Json", "Console"] = "Json"


class RolloutSpec(_Part, frozen=True):
    """How a new pod template goes through the servers."""

    max_servers_at_once: int | str = "25%"


class AriProxySpec(_Part, frozen=True):
    """The desired state."""

    bus: BusSpec
    suspend: bool = False
    pods: Literal["PerServer", "Shared"] = "PerServer"
    servers_per_pod: int = 32
    servers: tuple[ServerSpec, ...] = ()
    server_selector: ServerSelector | None = None
    ingest: IngestSpec = IngestSpec()
    command: CommandSpec = CommandSpec()
    rollout: RolloutSpec = RolloutSpec()
    drain_timeout_seconds: int = DRAIN_TIMEOUT_SECONDS
    drain_on_deletion: bool = False
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[ImagePullSecret, ...] = ()
    monitoring: MonitoringSpec = MonitoringSpec()
    logging: LoggingSpec = LoggingSpec()


class Metadata(_Part, frozen=True):
    """The metadata that the operator uses."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    finalizers: tuple[str, ...] = ()


class AriProxy(_Part, frozen=True):
    """The resource. Its status stays untyped: a former version may have written it."""

    metadata: Metadata
    spec: AriProxySpec
    status: dict[str, Any] = {}


def parse(resource: dict[str, Any]) -> AriProxy:
    """Return a resource of the API as a typed value.

    Raises:
        msgspec.ValidationError: the resource does not have this version's form.
    """
    return msgspec.convert(resource, AriProxy)


def metadata_of(resource: dict[str, Any]) -> Metadata:
    """Return the metadata of a resource, whose spec may have another form.

    Raises:
        msgspec.ValidationError: it is none of Kubernetes' objects.
    """
    return msgspec.convert(resource["metadata"], Metadata)
