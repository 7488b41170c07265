"""Settings of the connections to Asterisk."""

from pydantic import Field, SecretStr

from .fields import WebsocketUrl, WebUrl
from .group import Group


class AriSettings(Group):
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
