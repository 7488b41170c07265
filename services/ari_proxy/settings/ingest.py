"""Settings of ingest and of its lease."""

from typing import Literal, Self

from pydantic import Field, model_validator

from .fields import OptionalObjectName, OptionalWebUrl, is_object_name
from .group import Group


class IngestSettings(Group):
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


class LeaseSettings(Group):
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
