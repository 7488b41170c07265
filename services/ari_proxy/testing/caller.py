"""The caller of a call under test, as Asterisk's events tell. Sans-I/O."""

from collections.abc import Callable, Mapping
from typing import Any, Final

#: The technologies of external media.
_MEDIA: Final = frozenset({"UnicastRTP", "AudioSocket", "WebSocket"})


class Caller:
    """What the caller has heard, whom the handler has dialled, and what has become of the call."""

    def __init__(self, endpoint_of: Callable[[str], str] = str) -> None:
        """Initialise before the call.

        Args:
            endpoint_of: tells in whose place an endpoint was called.
        """
        self._endpoint_of = endpoint_of
        #: The caller's channel, once it has entered the application.
        self.channel_id = ""
        #: Media that the caller has heard, in order, like `sound:hello`.
        self.played: list[str] = []
        #: Endpoints that the handler has called, in order, like `PJSIP/200`.
        self.dialled: list[str] = []
        self.has_answered = False
        #: How many digits the handler could hear.
        self.pressed = 0
        #: Whether the channel is in the application.
        self.is_served = False
        #: The cause (Q.850) once the channel is destroyed.
        self.cause: int | None = None
        self._is_ending = False
        self._bridge = ""

    @property
    def is_connected(self) -> bool:
        """True until the channel is destroyed."""
        return bool(self.channel_id) and self.cause is None

    @property
    def is_bridged(self) -> bool:
        """True while the channel is in a bridge."""
        return bool(self._bridge)

    @property
    def is_over(self) -> bool:
        """True once the channel is destroyed, or was sent back into the dialplan."""
        return self.cause is not None or self.has_left

    @property
    def has_left(self) -> bool:
        """True once the channel was sent back into the dialplan, until it ends."""
        return self.is_connected and not self.is_served and not self._is_ending

    def take(self, event_type: str, fields: Mapping[str, Any]) -> None:
        """Handle an event of the call."""
        if event_type == "PlaybackStarted":
            self._hear(fields["playback"])
        elif event_type == "Dial" and not fields["dialstatus"]:
            called = _endpoint(fields["peer"]["name"], fields["dialstring"])
            self.dialled.append(self._endpoint_of(called))
        elif isinstance(channel := fields.get("channel"), Mapping):
            if event_type == "StasisStart" and not self.channel_id:
                self.channel_id = channel["id"]
            if channel["id"] == self.channel_id:
                self._follow(event_type, fields)

    def _follow(self, event_type: str, fields: Mapping[str, Any]) -> None:
        """Handle an event of the caller's channel."""
        match event_type:
            case "StasisStart":
                self.is_served = True
            case "ChannelStateChange":
                self.has_answered = fields["channel"]["state"] == "Up"
            case "ChannelDtmfReceived":
                self.pressed += 1
            case "ChannelEnteredBridge":
                self._bridge = fields["bridge"]["id"]
            case "ChannelLeftBridge":
                self._bridge = ""
            case "ChannelHangupRequest":
                self._is_ending = True
            case "StasisEnd":
                self.is_served = False
            case "ChannelDestroyed":
                self.end(fields["cause"])

    def end(self, cause: int) -> None:
        """Note that the channel is destroyed."""
        self.is_served = False
        self.cause = cause

    def _hear(self, playback: Mapping[str, Any]) -> None:
        if playback["target_uri"] in {f"channel:{self.channel_id}", f"bridge:{self._bridge}"}:
            self.played.append(playback["media_uri"])


def _endpoint(channel_name: str, dialstring: str) -> str:
    """Return what was called; of external media without what Asterisk was told besides."""
    technology = channel_name.partition("/")[0]
    where = dialstring.partition("/")[0] if technology in _MEDIA else dialstring
    return f"{technology}/{where}"
