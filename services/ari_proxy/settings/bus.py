"""Settings of the connection to the message bus."""

from typing import Any, Final, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from ari_proxy.protocol import ids

from .group import Group
from .urls import bus_urls

#: Kind of bus → default URLs.
_BUS_URLS: Final = {
    "NATS": ("nats://127.0.0.1:4222",),
    "RABBITMQ": ("amqp://127.0.0.1:5672",),
}


class BusSettings(Group):
    """The message bus."""

    kind: Literal["NATS", "RABBITMQ"] = "NATS"
    """Which bus."""

    urls: tuple[str, ...] = ("nats://127.0.0.1:4222",)
    """The servers of one cluster: nats://, tls://, ws:// or wss://; for RabbitMQ amqp:// or
    amqps:// with a virtual host as path (default amqp://127.0.0.1:5672)."""

    url_file: str = ""
    """A file with URLs, separated by commas, instead of `urls`; they may hold credentials. Read
    again for each connection, like all files with secrets."""

    queue: str = "ari-proxy"
    """The queue group of the command executors on NATS. Default: ari-proxy's own group."""

    user: str = ""
    """The user at the bus, if it requires one."""

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
    """A file with the seed of a NATS nkey. Files with secrets are read again for each
    connection."""

    inbox_prefix: str = Field(default="_INBOX", pattern=r"^[^\s.*>]+(\.[^\s.*>]+)*$")
    """Prefix of the NATS subjects of replies, `<inbox_prefix>.ari-proxy.>`; for accounts that may
    not use `_INBOX`."""

    tls_handshake_first: bool = False
    """NATS: start TLS before the server's INFO, as its `tls { handshake_first: true }` requires."""

    ca_file: str = ""
    """CA certificates for the servers. Default: the system's."""

    server_name: str = ""
    """The name in the servers' certificates. Default: the host of the URL."""

    certificate_file: str = ""
    """A client certificate, if the servers require one. If no user is set, it is also the account
    on RabbitMQ, where that offers EXTERNAL."""

    key_file: str = ""
    """Its private key. Default: in the certificate's file."""

    heartbeat_seconds: int = Field(default=10, ge=1, le=300)
    """RabbitMQ: a process silent for two to three times as long is considered dead, and others get
    its work; a server after twice as long. Default: longer than the usual pauses of a process or a
    virtual machine."""

    buffer_bytes: int = Field(default=64 * 1024 * 1024, ge=64 * 1024)
    """Size of the outbound buffer while the bus is unreachable; when it is full, the oldest events
    are dropped."""

    dialog_ids: Literal["", "token", "uuid"] = ""
    """The form of new dialogs' ids: `token` is `<server_id>.<token>`, `uuid` is for clients that
    parse them, and for RabbitMQ only. Default: `uuid` on RabbitMQ, as the original's are."""

    persistent: bool = False
    """RabbitMQ: publish messages as persistent, so that they outlive a restart of RabbitMQ in the
    queues of dialogs and applications. Default: as the original does."""

    @model_validator(mode="before")
    @classmethod
    def _default_urls(cls, values: Any) -> Any:
        """Default to the URL of the chosen kind: RabbitMQ's is not that of NATS."""
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
