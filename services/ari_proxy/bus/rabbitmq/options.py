"""How to reach RabbitMQ."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import unquote, urlsplit

from ari_proxy.bus.options import BusOptions

from .connection import Login

_PORTS: Final = {"amqp": 5672, "amqps": 5671}
#: RabbitMQ's own default account, which works from its own machine only.
_DEFAULT_ACCOUNT: Final = "guest"


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitMqOptions(BusOptions):
    """How to reach the nodes, `amqp://host:port/virtual-host` or `amqps://…`."""

    kind: ClassVar[str] = "RABBITMQ"

    #: Interval of heartbeats; RabbitMQ closes the connection after two to three silent ones.
    heartbeat_seconds: int = 10
    #: Whether `tls` presents a client certificate, which is the account if no user is set.
    has_certificate: bool = False
    #: Whether messages outlive a restart of RabbitMQ in durable queues.
    persistent: bool = False
    #: The queue that records queues declared with a note; '' for no records.
    registry: str = ""

    def logins(self) -> Iterator[Login]:
        """Yield the login for each node."""
        for url in self.urls:
            parts = urlsplit(url)
            is_secure = parts.scheme == "amqps"
            yield Login(
                host=parts.hostname or "",
                port=parts.port or _PORTS[parts.scheme],
                user=self.user or _DEFAULT_ACCOUNT,
                password=self.password if self.user else _DEFAULT_ACCOUNT,
                by_certificate=is_secure and self.has_certificate and not self.user,
                virtual_host=unquote(parts.path[1:]) or "/",
                name=self.name,
                tls=(self.tls or ssl.create_default_context()) if is_secure else None,
                server_name=self.server_name,
                heartbeat_seconds=self.heartbeat_seconds,
            )
