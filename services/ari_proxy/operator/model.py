"""The AriProxy resource as the operator reads it; k8s/crds/ariproxies.yaml is the contract.

A test compares the two: names, types, defaults, what is required. The API server has checked every
object against the contract, so that nothing is checked again here.
"""

from typing import Any, Final, Literal

import msgspec

from ari_proxy.settings.command import ALLOW, DENY

GROUP: Final = "ari-proxy.io"
VERSION: Final = "v1alpha1"
PLURAL: Final = "ariproxies"
KIND: Final = "AriProxy"


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of the resource; its fields are the contract's in Python's spelling."""


class LoginSecretRef(_Part, frozen=True):
    """A Secret with user name and password."""

    name: str
    username_key: str = "username"
    password_key: str = "password"  # noqa: S105  a key


class CaSecretRef(_Part, frozen=True):
    """A Secret with certificates of authorities."""

    name: str
    key: str = "ca.crt"


class CertificateSecretRef(_Part, frozen=True):
    """A Secret of the type kubernetes.io/tls."""

    name: str


class Tls(_Part, frozen=True):
    """Certificates for a connection."""

    ca_secret_ref: CaSecretRef | None = None
    client_certificate_secret_ref: CertificateSecretRef | None = None
    server_name: str = ""


class Ari(_Part, frozen=True):
    """Where an Asterisk is."""

    url: str
    credentials_secret_ref: LoginSecretRef
    tls: Tls | None = None


class Server(_Part, frozen=True):
    """An Asterisk of the list."""

    name: str
    ari: Ari
    applications: tuple[str, ...]
    server_id: str = ""
    subscribe_all: bool = False


class ServerSelector(_Part, frozen=True):
    """How to find Asterisk's pods."""

    match_labels: dict[str, str]
    credentials_secret_ref: LoginSecretRef
    applications: tuple[str, ...]
    scheme: Literal["Http", "Https"] = "Http"
    port: int = 8088
    path: str = "/ari"
    tls: Tls | None = None
    subscribe_all: bool = False


class NatsUrlSecretRef(_Part, frozen=True):
    """A Secret with URLs of NATS."""

    name: str
    key: str = "url"


class CredsSecretRef(_Part, frozen=True):
    """A Secret with a credentials file."""

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


class Nats(_Part, frozen=True):
    """How to reach NATS."""

    servers: tuple[str, ...] = ()
    url_secret_ref: NatsUrlSecretRef | None = None
    creds_secret_ref: CredsSecretRef | None = None
    nkey_secret_ref: NkeySecretRef | None = None
    user_secret_ref: LoginSecretRef | None = None
    token_secret_ref: TokenSecretRef | None = None
    tls: Tls | None = None
    tls_handshake_first: bool = False
    queue_group: str = "ari-proxy"
    inbox_prefix: str = ""


class RabbitMqUrlSecretRef(_Part, frozen=True):
    """A Secret with the URL of RabbitMQ."""

    name: str
    key: str = "connection_string"


class RabbitMq(_Part, frozen=True):
    """How to reach RabbitMQ."""

    url_secret_ref: RabbitMqUrlSecretRef
    tls: Tls | None = None
    dialog_ids: Literal["Uuid", "Token"] | None = None


class Bus(_Part, frozen=True):
    """The message bus: `type` names the member that is set."""

    type: Literal["NATS", "RabbitMQ"]
    nats: Nats | None = None
    rabbitmq: RabbitMq | None = None


class PodDisruptionBudget(_Part, frozen=True):
    """How many pods may be away at once."""

    enabled: bool = True
    max_unavailable: int | str = 1


class PodTemplate(_Part, frozen=True):
    """What is laid over the pods' template."""

    metadata: dict[str, Any] = {}
    spec: dict[str, Any] = {}


class Workload(_Part, frozen=True):
    """What ingest and command have in common."""

    image: str = ""
    replicas: int = 1
    resources: dict[str, Any] | None = None
    termination_grace_period_seconds: int = 45
    pod_disruption_budget: PodDisruptionBudget = PodDisruptionBudget()
    pod_template: PodTemplate = PodTemplate()


class Ingest(Workload, frozen=True):
    """The ingests of each server."""

    lease_duration_seconds: int = 3
    listener_timeout_seconds: int = 10
    no_listener: Literal["Continue", "Hangup", "Keep"] = "Continue"
    silence_timeout_seconds: int = 60
    console: bool = False


class Autoscaling(_Part, frozen=True):
    """How many pods a HorizontalPodAutoscaler may choose."""

    max_replicas: int
    min_replicas: int = 1
    target_cpu_utilization_percentage: int = msgspec.field(
        name="targetCPUUtilizationPercentage", default=70
    )


class Policy(_Part, frozen=True):
    """What commands may do."""

    allow: tuple[str, ...] = ALLOW
    deny: tuple[str, ...] = DENY
    scope: Literal["Server", "Dialog"] = "Server"
    stored_recordings: Literal["All", "Own", "None"] = "All"


class Command(Workload, frozen=True):
    """The executors of each server."""

    autoscaling: Autoscaling | None = None
    max_in_flight: int = 32
    request_timeout_seconds: int = 10
    policy: Policy = Policy()


class ImagePullSecret(_Part, frozen=True):
    """A Secret that opens a registry."""

    name: str


class PodMonitor(_Part, frozen=True):
    """Whether the Prometheus operator is told of the pods."""

    enabled: bool = False
    interval: str = "30s"
    labels: dict[str, str] = {}


class Traces(_Part, frozen=True):
    """Where traces go, and how many."""

    endpoint: str
    sampling_percentage: int = 100


class Monitoring(_Part, frozen=True):
    """What watches the pods."""

    pod_monitor: PodMonitor = PodMonitor()
    traces: Traces | None = None


class Logging(_Part, frozen=True):
    """Logs of the pods."""

    level: Literal["Debug", "Info", "Warning", "Error"] = "Info"
    format: Literal["Json", "Console"] = "Json"


class Spec(_Part, frozen=True):
    """What is wanted."""

    bus: Bus
    suspend: bool = False
    servers: tuple[Server, ...] = ()
    server_selector: ServerSelector | None = None
    ingest: Ingest = Ingest()
    command: Command = Command()
    drain_timeout_seconds: int = 600
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[ImagePullSecret, ...] = ()
    monitoring: Monitoring = Monitoring()
    logging: Logging = Logging()


class Metadata(_Part, frozen=True):
    """Who it is."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    creation_timestamp: str = ""
    deletion_timestamp: str = ""


class AriProxy(_Part, frozen=True):
    """The resource; its status is read apart from it, since it may be anything."""

    metadata: Metadata
    spec: Spec
    status: dict[str, Any] = {}


def parse(resource: dict[str, Any]) -> AriProxy:
    """Return what a resource of the API says.

    Raises:
        msgspec.ValidationError: it is not of this version's form.
    """
    return msgspec.convert(resource, AriProxy)
