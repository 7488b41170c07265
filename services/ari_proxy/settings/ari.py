"""Settings of the connections to Asterisk."""

from pydantic import Field, SecretStr

from .fields import WebsocketUrl, WebUrl
from .group import Group


class AriSettings(Group):
    """The connections to Asterisk."""

    websocket_url: WebsocketUrl = "ws://127.0.0.1:8088/ari/events"
    """Asterisk's events websocket. Default: Asterisk's own port on this machine."""

    rest_url: WebUrl = "http://127.0.0.1:8088/ari"
    """The root of Asterisk's REST interface."""

    user: str = "ari"
    """A user of ari.conf that is not read-only."""

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
