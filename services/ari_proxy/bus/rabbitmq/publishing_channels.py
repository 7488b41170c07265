"""Channels that publish: batches that are confirmed, or messages with an outcome each."""

import asyncio

import aiormq
from pamqp.commands import Basic

from .channel import AmqpChannel, PublishingWatcher, as_aborted
from .errors import AmqpError, ChannelClosedError, UnconfirmedError
from .frames import Confirmation
from .messages import Returned
from .pending_requests import fail
from .transport import Transport


class PublishingChannel(AmqpChannel):
    """A channel on which many messages go out at once, numbered from 1, each confirmed later."""

    _CONFIRMS = True

    def watch(self, watcher: PublishingWatcher) -> None:
        """Pass on each confirm, and each returned message, which comes first."""
        self._watcher = watcher

    def publish_batch(self, encoded: bytes, count: int) -> None:
        """Send the frames of `count` messages, if the channel is still there."""
        if self._end is None:
            self.delivery_tag += count
            self._write(encoded)


class AskingChannel(PublishingChannel):
    """A channel on which each message has an outcome to await."""

    def __init__(
        self,
        connection: aiormq.abc.AbstractConnection,
        number: int,
        transport: Transport,
    ) -> None:
        super().__init__(connection, number, transport)
        self._outcomes: dict[int, asyncio.Future[bool]] = {}
        self._returned: set[int] = set()
        self.watch(self)

    def ask(
        self, routing_key: str, body: bytes, properties: Basic.Properties, *, exchange: str
    ) -> asyncio.Future[bool]:
        """Publish a message now; the result is whether it reached a queue.

        It fails with an `UnconfirmedError` only if the message was sent.
        """
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._end is not None:
            fail(outcome, as_aborted(self._end))
            return outcome
        number = self.delivery_tag + 1
        self._outcomes[number] = outcome
        properties.message_id = str(number)
        self.publish(routing_key, body, properties, exchange=exchange, mandatory=True)
        return outcome

    def handle_confirmation(self, confirmation: Confirmation) -> None:
        """Tell whoever awaits the outcomes of messages."""
        tag, multiple, is_refused = confirmation
        settled = [number for number in self._outcomes if number <= tag] if multiple else [tag]
        for number in settled:
            outcome = self._outcomes.pop(number, None)
            is_returned = number in self._returned
            self._returned.discard(number)
            if outcome is not None and not outcome.done():
                outcome.set_result(not is_refused and not is_returned)

    def handle_return(self, returned: Returned) -> None:
        """Note that a message reached no queue, until it is confirmed."""
        self._returned.add(int(returned.message_id))

    def _fail_pending(self, error: AmqpError) -> None:
        super()._fail_pending(error)
        if not isinstance(error, ChannelClosedError):
            error = UnconfirmedError(str(error))
        for outcome in self._outcomes.values():
            fail(outcome, error)
        self._outcomes.clear()
