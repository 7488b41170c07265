"""Settings of the connection to the message bus."""

from typing import Any, Final, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from ari_proxy.protocol import ids

from .group import Group
from .urls import bus_urls

#: By bus: where it is if nobody says so.
_BUS_URLS: Final = {
    "NATS": ("nats://127.0.0.1:4222",),
    "RABBITMQ": ("amqp://127.0.0.1:5672",),
}


class BusSettings(Group):
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
