"""Where commands come from: one server's topics, while its Asterisk can be asked here."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ari_proxy.ari.availability import Availability
from ari_proxy.bus.base import Bus, Handler
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import DUMMY


class CommandIntake:
    """Takes the commands of one server from the bus; other executors have the same group."""

    def __init__(
        self, server: ServerId, bus: Bus, availability: Availability, *, group: str
    ) -> None:
        """Initialise; `run` takes them.

        Args:
            server: whose commands.
            bus: where they come from.
            availability: of the server's Asterisk.
            group: the executors' queue group on NATS.
        """
        self._server = server
        self._bus = bus
        self._availability = availability
        self._group = group

    @property
    def is_open(self) -> bool:
        """Whether Asterisk can be asked here."""
        return self._availability.is_available

    async def is_open_elsewhere(self) -> bool:
        """Return whether another executor takes commands, or this one did a moment ago."""
        return bool(await self._bus.publish_to_listener(topics.commands(self._server), DUMMY))

    async def run(self, take: Handler) -> None:
        """Pass messages to `take` while Asterisk can be asked here, until cancelled."""
        while True:
            await self._availability.until_available()
            async with self._subscribed(take):
                await self._availability.until_unavailable()

    async def release(self) -> None:
        """Let another executor take the commands, before this one takes no more."""
        await self._availability.release()

    @asynccontextmanager
    async def _subscribed(self, take: Handler) -> AsyncIterator[None]:
        of_dialogs = topics.commands_of_all_dialogs(self._server)
        async with AsyncExitStack() as stack:
            for topic in (of_dialogs, topics.commands(self._server)):
                subscription = await self._bus.subscribe(
                    topic, take, group=self._group, manual_ack=True
                )
                stack.push_async_callback(subscription.unsubscribe)
            yield
