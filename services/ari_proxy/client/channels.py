"""The channels of one call: those that may still exist, and what ends each of them."""

from typing import Final
from urllib.parse import quote

from ari_proxy.protocol.ids import token_of_object

#: The channel variable that gives the dialplan the reason for a returned call, and its value.
STATUS_VARIABLE: Final = "ARI_PROXY_STATUS"
FAILED: Final = "FAILED"

_BEGINNINGS: Final = frozenset({"ChannelCreated", "StasisStart"})
_ENDS: Final = frozenset({"ChannelDestroyed", "StasisEnd"})


class CallChannels:
    """Channels that may still exist, in order of arrival."""

    def __init__(self, caller: str) -> None:
        self._caller = caller
        self._names = {caller: None}

    def follow(self, event_type: str, channel_id: str) -> None:
        """Handle an event of a channel."""
        if event_type in _BEGINNINGS and channel_id:
            self._names[channel_id] = None
        elif event_type in _ENDS:
            self._names.pop(channel_id, None)

    def clear(self) -> None:
        """Forget all: the dialog has ended."""
        self._names.clear()

    @property
    def has_others(self) -> bool:
        """Whether there may be others than the caller's."""
        return bool(self._names.keys() - {self._caller})

    def ways_out(self) -> list[tuple[str, str]]:
        """Return methods and URLs that give back the caller and hang up all other channels."""
        return [request for channel in self._names for request in self._way_out(channel)]

    def _way_out(self, channel: str) -> list[tuple[str, str]]:
        path = f"/channels/{quote(channel, safe='')}"
        if channel != self._caller or token_of_object(channel) is not None:
            return [("DELETE", path)]
        status = f"{path}/variable?variable={STATUS_VARIABLE}&value={FAILED}"
        return [("POST", status), ("POST", f"{path}/continue")]
