"""Settings of the connections to Asterisk."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from .fields import ListenAddress, WebsocketUrl, WebUrl
from .group import Group


class AriSettings(Group):
    """The connections to Asterisk."""

    connection: Literal["inbound", "outbound"] = "inbound"
    """Who opens the websockets: we connect to Asterisk (`inbound`), or Asterisk connects to us by
    its outbound websockets (22.5 and newer), and keeps the events until it is connected again
    (`outbound`)."""

    websocket_url: WebsocketUrl = "ws://127.0.0.1:8088/ari/events"
    """Asterisk's events websocket. Default: Asterisk's own port on this machine."""

    rest_url: WebUrl = "http://127.0.0.1:8088/ari"
    """The root of Asterisk's REST interface."""

    listen: ListenAddress = "[::]:8089"
    """Where to wait for Asterisk's outbound websockets, as HOST:PORT: they come to
    /<server_id>/events and /<server_id>/commands. Default: every address, of IPv4 and IPv6."""

    listen_certificate_file: str = ""
    """Our certificate for them. Default: no TLS."""

    listen_key_file: str = ""
    """Its private key. Default: in the certificate's file."""

    listen_client_ca_file: str = ""
    """CA certificates of Asterisk's client certificate, which is then required."""

    user: str = "ari"
    """A user of ari.conf that is not read-only; Asterisk's outbound websockets present it, too."""

    user_file: str = ""
    """A file with the user."""

    password: SecretStr = SecretStr("")
    """Its password; prefer `password_file`, which may change at run time."""

    password_file: str = ""
    """A file with the password; read again whenever a connection is made."""

    origin: str = ""
    """The Origin header of the websocket; ari.conf's allowed_origins. Default: none is sent."""

    subscribe_all: bool = False
    """Subscribe to the events of all objects, including those that no application owns."""

    ca_file: str = ""
    """CA certificates for Asterisk's wss:// and https://. Default: the system's."""

    server_name: str = ""
    """The name in Asterisk's certificate. Default: the host of the URL."""

    certificate_file: str = ""
    """A client certificate, if Asterisk requires one; certificates are read again when they
    change."""

    key_file: str = ""
    """Its private key. Default: in the certificate's file."""

    max_connections: int = Field(default=32, ge=1, le=1000)
    """Maximum number of concurrent requests. http.conf's sessionlimit (100) also counts websockets
    and other users."""

    timeout_seconds: float = Field(default=10.0, gt=0, le=300)
    """Deadline of one request, the wait for a free connection included."""

    @model_validator(mode="after")
    def _check_listening(self) -> Self:
        """Refuse outbound websockets that anybody could open, and a key for no certificate."""
        if self.connection == "outbound" and not (
            self.password.get_secret_value() or self.password_file
        ):
            raise ValueError(
                "outbound websockets need ari.password or ari.password_file: the password that "
                "Asterisk presents (websocket_client.conf: password)"
            )
        for name in ("listen_key_file", "listen_client_ca_file"):
            if getattr(self, name) and not self.listen_certificate_file:
                raise ValueError(
                    f"ari.{name} needs ari.listen_certificate_file: without it, no TLS"
                )
        return self
