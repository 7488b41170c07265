"""Having the audio of a channel outside of Asterisk."""

from collections.abc import Mapping

from ari_proxy.client.ari.requests import VariableValue
from ari_proxy.client.party import Party

from .media import ExternalMedia
from .placed import BEGIN_SECONDS
from .target import Kind, MediaTarget


class ExternalChannel(Party):
    """A channel whose audio may go to a program of yours, and come from there."""

    def external_media(
        self,
        kind: Kind,
        *,
        host: str = "",
        connection: str = "",
        format: str = "",
        params: Mapping[str, str] | None = None,
        variables: Mapping[str, VariableValue] | None = None,
        is_bridged: bool = True,
        timeout: float = BEGIN_SECONDS,
    ) -> ExternalMedia:
        """Return external media for an `async with` block, which begins once they are connected.

        Args:
            kind: `rtp` (UDP), `audiosocket` (TCP), or `websocket` (chan_websocket, Asterisk 22.6).
            host: of RTP and AudioSocket, like `10.0.0.5:9092`.
            connection: of a websocket, the name of a section in websocket_client.conf; or INCOMING:
                your program connects to `/media/CONNECTION_ID` of Asterisk, and the block begins
                before that.
            format: of the audio, like `ulaw`; 16 bits, at 16 kHz (`slin16`) by default, and at 8
                kHz (`slin`) on an AudioSocket.
            params: of a websocket that Asterisk opens, names and values that are added to its URI.
            variables: names and values of variables of its channel; a websocket is told them.
            is_bridged: whether to put both into a bridge; without, `Bridge.add` takes it.
            timeout: seconds for the other end.

        Raises:
            ValueError: these arguments do not fit each other.
            CallEnded: the call has ended before.
            InvalidParameters: Asterisk does not know the connection, or the host is no `host:port`.
            NotConnected: the other end is away, or Asterisk does not have the format.
        """
        target = MediaTarget(
            kind=kind, host=host, connection=connection, format=format, params=params or {}
        )
        return ExternalMedia(
            self, target, variables=variables, is_bridged=is_bridged, connect_seconds=timeout
        )
