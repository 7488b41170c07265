"""A leg that a call has dialled."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from ari_proxy.client.ari.model import Event, EventT
from ari_proxy.client.call_end import CallEnd
from ari_proxy.client.call_events import CallEvents
from ari_proxy.client.channel_events import concerns, replaces
from ari_proxy.client.errors import CallEnded
from ari_proxy.client.external.snoop import SnoopableChannel
from ari_proxy.client.follower import Follower
from ari_proxy.client.known_channel import KnownChannel
from ari_proxy.client.media.channel import MediaChannel
from ari_proxy.client.party import Party
from ari_proxy.client.waits import Wait

from .control import ControlledChannel
from .phone_transfers import ReferringChannel


class Leg(KnownChannel, MediaChannel, ControlledChannel, SnoopableChannel, ReferringChannel):
    """A channel that a call has dialled: its events are the call's."""

    def __init__(self, call: Party, channel_id: str, endpoint: str) -> None:
        """Follow a channel.

        Args:
            call: the call that dials.
            channel_id: the channel's id.
            endpoint: what was dialled.
        """
        self.dialog_id = call.dialog_id
        self.application = call.application
        self.ari = call.ari
        self.channel_id = channel_id
        self.endpoint = endpoint
        self.tracked_channels = call.tracked_channels
        self._known = call.tracked_channels.of(channel_id)
        self._call = call
        self._end = CallEnd(call.dialog_id, channel_id)
        self._events = CallEvents(call.dialog_id, channel_id)
        self._open = ExitStack()
        self._open.enter_context(call.following(self._follow))

    def __repr__(self) -> str:
        return f"Leg({self.endpoint!r}, channel_id={self.channel_id!r})"

    @property
    def is_over(self) -> bool:
        """True once it has left the application."""
        return self._end.is_over

    def end_error(self) -> CallEnded:
        """Return the error that stands for its end."""
        return self._end.error()

    def following(self, listener: Callable[[Event], None]) -> AbstractContextManager[None]:
        """Call a function with each event of the call that arrives during a block, in order."""
        return self._call.following(listener)

    def events(self) -> CallEvents:
        """Return the events that are about its channel, in order, until it has ended.

        A ProxyGap is about all channels.
        """
        return self._events.reader()

    async def wait_for(
        self,
        event_type: type[EventT],
        *,
        where: Callable[[EventT], bool] = lambda _: True,
        timeout: float | None = None,  # noqa: ASYNC109  as asyncio.wait_for's
    ) -> EventT:
        """Return the next event of a type that is about its channel and arrives from now on.

        Args:
            event_type: like `ChannelDtmfReceived`.
            where: tells whether it is the one; what it raises is raised here.
            timeout: seconds; None waits until the leg ends.

        Raises:
            CallEnded: the leg has ended before.
            TimeoutError: none came in time.
        """

        def is_it(event: EventT) -> bool:
            return concerns(event, self.channel_id) and where(event)

        return await Wait(event_type, is_it, self._end).result(self, timeout)

    def forget(self) -> None:
        """Follow it no more."""
        self._open.close()

    async def wait_ended(self) -> CallEnded:
        """Return, as an error that is not raised, how it has ended, once it has."""
        with Follower(self, lambda _: None) as follower:
            while not self.is_over:
                await follower.news(None)
        return self.end_error()

    def _follow(self, event: Event) -> None:
        self._end.follow(event)
        if replaces(event, self.channel_id):
            self._go_on_as(event)
        if concerns(event, self.channel_id):
            self._events.put(event)
        if self.is_over:
            self.forget()
