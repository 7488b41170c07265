"""Settings of ingest and of its lease."""

from typing import Literal, Self

from pydantic import Field, model_validator

from .fields import OptionalObjectName, OptionalWebUrl, is_object_name
from .group import Group


class IngestSettings(Group):
    """Events and dialogs."""

    listener_seconds: float = Field(default=10.0, gt=0, le=600)
    """How long to offer a new dialog to applications. Default: a caller's patience."""

    no_listener: Literal["continue", "hangup", "keep"] = "continue"
    """What to do with a call that no application serves: continue in the dialplan with
    ARI_PROXY_STATUS set, hang up, or keep it."""

    silence_seconds: float = Field(default=60.0, ge=0, le=86400)
    """How long the application of an open dialog may be absent before `no_listener` applies; 0
    means no limit. Default: longer than a restart."""

    grace_seconds: float = Field(default=10.0, ge=0, le=600)
    """How long a dialog receives late events after its last channel has left. Asterisk's come
    within 1 s."""

    queue_grace_seconds: float = Field(default=60.0, ge=0, le=86400)
    """How long a dialog's RabbitMQ queues stay after its end, for a slow application."""

    held_bytes: int = Field(default=1024 * 1024, ge=4096)
    """Bytes of events held per dialog until its application has subscribed."""

    claim: bool = False
    """Offer calls of StasisBroadcast (Asterisk 22.10, 20.20, 23.4) to applications, and claim
    those that one takes."""

    final: bool = False
    """No other ingest goes on with this one's dialogs. When it stops, and none has asked for them
    within 10 s, it ends them: their applications are told, and `no_listener` applies to their
    calls."""

    proof_seconds: float = Field(default=10.0, ge=0, le=3600)
    """Longest interval of a user event sent through Asterisk to check that the websocket delivers
    events, more often at first; 0 disables it. Default: the time it takes to detect a dead
    socket."""


class LeaseSettings(Group):
    """Leader election: which of several ingests of a server is active; the others stand by."""

    kind: Literal["none", "file", "kubernetes"] = "none"
    """`none`: the last one that starts takes over. `file`: a lock file, on one machine.
    `kubernetes`: a Lease object."""

    file: str = ""
    """The lock file; all ingests of the server name the same one."""

    name: OptionalObjectName = ""
    """The Lease object's name; required if `server_id` has characters other than lower-case
    letters, digits and `-`. Default: ari-proxy-<server_id>."""

    namespace: OptionalObjectName = ""
    """Its namespace. Default: the pod's own."""

    duration_seconds: int = Field(default=3, ge=1, le=60)
    """How long the lease is valid after its holder's last renewal. Default: short enough for a
    standby to be active within 5 s."""

    api_url: OptionalWebUrl = ""
    """The Kubernetes API server. Default: the pod's own cluster."""

    token_file: str = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105  a path
    """A file with a bearer token for it; read for each request."""

    ca_file: str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
    """CA certificates for it."""

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
