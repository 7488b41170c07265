"""Where external media goes: what Asterisk is asked for. Sans-I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypedDict
from urllib.parse import quote
from uuid import UUID, uuid4

#: How audio travels.
Kind = Literal["rtp", "audiosocket", "websocket"]
#: In place of a connection: your program connects to Asterisk.
INCOMING: Final = "INCOMING"
#: Older versions of Asterisk have 8 kHz only on an AudioSocket.
_FORMATS: Final[dict[Kind, str]] = {
    "rtp": "slin16",
    "audiosocket": "slin",
    "websocket": "slin16",
}
#: chan_websocket: control messages as JSON, since 22.8; older ones ignore it.
_JSON: Final = "f(json)"


class MediaRequest(TypedDict):
    """Parameters of the operation `channels.external_media`."""

    format: str
    external_host: str
    encapsulation: Literal["rtp", "audiosocket", "none"]
    transport: Literal["udp", "tcp", "websocket"]
    connection_type: Literal["client", "server"] | None
    data: str | None
    transport_data: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaTarget:
    """The other end of external media."""

    kind: Kind
    #: Of RTP and AudioSocket: like `127.0.0.1:9092`.
    host: str = ""
    #: Of a websocket: the name of a section in websocket_client.conf, or INCOMING.
    connection: str = ""
    #: Asterisk's name of the format; '' for the kind's own.
    format: str = ""
    #: Of a websocket that Asterisk opens: parameters that are added to its URI.
    params: Mapping[str, str] = field(default_factory=dict)
    #: By which the other end of an AudioSocket knows it.
    uuid: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        if self.kind not in _FORMATS:
            raise ValueError(f"kind is {self.kind!r}, none of {', '.join(_FORMATS)}")
        if self.kind == "websocket":
            self._check_websocket()
        elif not self.host or self.connection or self.params:
            raise ValueError(f"{self.kind} needs a host, and takes no connection and no params")

    def _check_websocket(self) -> None:
        if not self.connection or self.host:
            raise ValueError("a websocket needs a connection, or INCOMING, and takes no host")
        if self.is_incoming and self.params:
            raise ValueError("params are for a websocket that Asterisk opens")

    def __str__(self) -> str:
        return f"{self.kind} {self.connection or self.host}"

    @property
    def is_incoming(self) -> bool:
        """Whether Asterisk waits for the other end."""
        return self.connection == INCOMING

    def request(self) -> MediaRequest:
        """Return what Asterisk is asked for."""
        name = self.format or _FORMATS[self.kind]
        asked = MediaRequest(
            format=name,
            external_host=self.host,
            encapsulation="rtp",
            transport="udp",
            connection_type=None,
            data=None,
            transport_data=None,
        )
        match self.kind:
            case "audiosocket":
                asked |= {"encapsulation": "audiosocket", "transport": "tcp"}
                asked["data"] = str(self.uuid)
            case "websocket":
                asked |= {"encapsulation": "none", "transport": "websocket"}
                asked["external_host"] = self.connection
                asked["connection_type"] = "server" if self.is_incoming else "client"
                asked["transport_data"] = _JSON + self._uri_parameters()
        return asked

    def _uri_parameters(self) -> str:
        if not self.params:
            return ""
        pairs = (f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in self.params.items())
        return f"v({','.join(pairs)})"
