"""Who is in a bridge, and who has left it, by the events of the call. Sans-I/O."""

from collections.abc import Iterable

from ari_proxy.client.ari.events import (
    BridgeDestroyed,
    ChannelDestroyed,
    ChannelEnteredBridge,
    ChannelLeftBridge,
    StasisEnd,
    StasisStart,
)
from ari_proxy.client.ari.model import Event
from ari_proxy.client.missed_events import MissedEvents


class BridgeMembers:
    """The channels that were put into one bridge."""

    def __init__(self, bridge_id: str) -> None:
        self._bridge_id = bridge_id
        #: Those that were put in, and whether they were seen in it.
        self._expected: dict[str, bool] = {}
        #: Those that have left by themselves, the first one first.
        self.leavers: list[str] = []
        #: Behind which the bridge is to be read again.
        self.missed = MissedEvents()

    @property
    def present(self) -> list[str]:
        """The channels that are in it."""
        return [name for name, is_in in self._expected.items() if is_in]

    def expect(self, channel_id: str) -> None:
        """Note that a channel is about to be put in."""
        self._expected[channel_id] = False

    def put(self, channel_id: str) -> None:
        """Note that Asterisk has put a channel in; its event may have come before."""
        if channel_id in self._expected:
            self._expected[channel_id] = True

    def release(self, channel_id: str) -> None:
        """Note that a channel is about to be taken out: it does not leave by itself."""
        self._expected.pop(channel_id, None)

    def take(self, event: Event) -> None:
        """Handle an event of the call."""
        self.missed.take(event)
        match event:
            case ChannelEnteredBridge() if event.bridge.id == self._bridge_id:
                if event.channel is not None:
                    self.put(event.channel.id)
            case ChannelLeftBridge() if event.bridge.id == self._bridge_id:
                self._leave(event.channel.id)
            case StasisStart() if event.replace_channel is not None:
                self._replace(event.replace_channel.id, event.channel.id)
            case StasisEnd() | ChannelDestroyed():
                self._leave(event.channel.id)
            case BridgeDestroyed() if event.bridge.id == self._bridge_id:
                self.read(())

    def read(self, channels: Iterable[str]) -> None:
        """Note who is in it, as Asterisk has told; nobody if there is no such bridge."""
        inside = set(channels)
        for name in self.present:
            if name not in inside:
                self._leave(name)
        for name in inside:
            self.put(name)

    def _replace(self, former: str, channel_id: str) -> None:
        """Note that a channel has taken the place of another one, which so does not leave."""
        if former in self._expected:
            self._expected[channel_id] = self._expected.pop(former)

    def _leave(self, channel_id: str) -> None:
        if self._expected.pop(channel_id, None) is not None:
            self.leavers.append(channel_id)
