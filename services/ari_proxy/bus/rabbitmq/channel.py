"""aiormq's channels, with batched publishing, callbacks for messages, and pipelined requests.

aiormq publishes one message at a time, with a lock, an identifier and two futures each, and runs a
task for each delivery: 80 to 120 µs a message, instead of 4 and 8 (`bench/amqp.py`). It allows one
request in flight, and closes the channel, with all consumers on it, when its caller is cancelled.

`tests/unit/bus/rabbitmq/test_aiormq.py` holds what is used of aiormq beyond its documented methods.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final, Protocol, TypeVar

import aiormq
import structlog
from aiormq.abc import DeliveredMessage
from pamqp import frame as codec
from pamqp.base import Frame
from pamqp.commands import Basic, Channel
from pamqp.common import FieldTable

from . import frames
from .errors import AmqpError, ChannelAbortedError, ChannelClosedError, translate, translated
from .frames import Confirmation
from .messages import Incoming, MessageAssembler, Returned
from .pending_requests import PendingRequests
from .transport import Transport

_log = structlog.get_logger()

_CONFIRMS: Final = (frames.ACK, frames.NACK)
T = TypeVar("T")


class PublishingWatcher(Protocol):
    """Gets what RabbitMQ answers to published messages."""

    def handle_confirmation(self, confirmation: Confirmation) -> None:
        """Handle the confirm of messages, or their refusal."""

    def handle_return(self, returned: Returned) -> None:
        """Handle a message that reached no queue; its confirm follows."""


class AmqpChannel(aiormq.Channel):
    """A channel with pipelined requests, on which callers may be cancelled.

    RabbitMQ handles a channel's methods in order. When it refuses one it closes the channel
    (AMQP 0-9-1 §1.4.2.2): that one fails with its reason, those behind it were not looked at.
    """

    #: Whether RabbitMQ confirms what is published.
    _CONFIRMS: ClassVar = False

    def __init__(
        self,
        connection: aiormq.abc.AbstractConnection,
        number: int,
        transport: Transport,
    ) -> None:
        super().__init__(connection, number, publisher_confirms=self._CONFIRMS)
        self._write = transport.write
        self._requests = PendingRequests()
        #: Why it has ended.
        self._end: AmqpError | None = None
        self._work: set[asyncio.Task[Any]] = set()
        self._on_refused: list[Callable[[ChannelClosedError], None]] = []
        self._unacknowledged = 0
        #: By consumer tag; called in order and at once.
        self._consumer_callbacks: dict[bytes, Callable[[Incoming], None]] = {}
        self._watcher: PublishingWatcher | None = None
        self._assembler = MessageAssembler()
        self.closing.add_done_callback(self._on_closing)
        self.on_consumer_cancel_callbacks.add(self._on_consumer_cancel)

    @property
    def has_ended(self) -> bool:
        """True once nothing more can be sent on it."""
        return self._end is not None

    @property
    def refusal(self) -> ChannelClosedError | None:
        """Why RabbitMQ has closed it, if it has."""
        return self._end if isinstance(self._end, ChannelClosedError) else None

    def on_refused(self, callback: Callable[[ChannelClosedError], None]) -> None:
        """Call back once RabbitMQ has closed the channel."""
        self._on_refused.append(callback)

    def _on_closing(self, closing: asyncio.Future[Any]) -> None:
        self._end_with(translate(None if closing.cancelled() else closing.exception()))

    async def _on_close_frame(self, frame: Channel.Close) -> None:
        """Stop sending before aiormq answers it with Channel.CloseOk.

        RabbitMQ closes the whole connection on a method for a closed channel.
        """
        self._end_with(ChannelClosedError(frame.reply_code or 0, frame.reply_text or ""))
        await super()._on_close_frame(frame)

    def _end_with(self, error: AmqpError) -> None:
        if self._end is None:
            self._end = error
        self._fail_pending(error)
        if isinstance(error, ChannelClosedError):
            for callback in self._on_refused:
                callback(error)
            self._on_refused.clear()

    def _fail_pending(self, error: AmqpError) -> None:
        self._requests.fail(error, as_aborted(error))

    # What goes out

    def send(self, *methods: Frame) -> None:
        """Send methods that have no answer, if the channel is still there."""
        if self._end is None:
            self._write(b"".join(codec.marshal(method, self.number) for method in methods))

    def publish(
        self,
        routing_key: str,
        body: bytes,
        properties: Basic.Properties,
        *,
        exchange: str,
        mandatory: bool,
    ) -> None:
        """Send one message, if the channel is still there."""
        if self._end is None:
            method = frames.publish_method(self.number, exchange, routing_key, mandatory=mandatory)
            packed = properties.marshal()
            content = frames.content(self.number, packed, body, self.max_content_size)
            self.delivery_tag += 1
            self._write(method + content)

    def request(self, method: Frame) -> asyncio.Future[Any]:
        """Send a method now; return its answer to come, which fails as `rpc` does."""
        if self._end is not None:
            raise as_aborted(self._end)
        answer = self._requests.expect(method.valid_responses)
        self.send(method)
        return answer

    async def rpc(self, frame: Frame, timeout: float | None = None) -> Any:  # noqa: ASYNC109  aiormq's
        """Send a method and return its answer.

        Raises:
            ChannelClosedError: RabbitMQ refuses it.
            ChannelAbortedError: it has refused another one before.
            ConnectionLostError: RabbitMQ did not answer.
        """
        if isinstance(frame, Channel.Close):
            # aiormq would close the channel again, and use its number for another one.
            timeout = None
        if isinstance(frame, Channel.Open | Channel.Close):
            with translated():
                return await super().rpc(frame, timeout)
        if getattr(frame, "nowait", False):
            return self.send(frame)
        return await self.request(frame)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something in a task that ends by itself, even if its caller is cancelled."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._forget_work)
        return task

    def _forget_work(self, task: asyncio.Task[Any]) -> None:
        self._work.discard(task)
        if not task.cancelled():
            task.exception()  # Marks it as retrieved: asyncio logs others.

    async def consume(
        self,
        queue: str,
        on_message: Callable[[Incoming], None],
        *,
        tag: str,
        arguments: FieldTable | None = None,
        exclusive: bool = False,
        no_ack: bool = False,
    ) -> None:
        """Begin to consume a queue.

        Args:
            queue: its name.
            on_message: called with each message, in order, before the next one is read.
            tag: the consumer's tag, unique on the channel.
            arguments: of basic.consume.
            exclusive: whether no other consumer is allowed.
            no_ack: whether RabbitMQ wants no acknowledgements.

        Raises:
            AmqpError: RabbitMQ refuses it, or did not answer.
        """
        self._consumer_callbacks[tag.encode()] = on_message
        await self.basic_consume(
            queue,
            _never_called,
            consumer_tag=tag,
            arguments=arguments,
            exclusive=exclusive,
            no_ack=no_ack,
        )

    def forget(self, tag: str) -> None:
        """Drop further messages for a consumer."""
        self._consumer_callbacks.pop(tag.encode(), None)
        self.consumers.pop(tag, None)

    def _on_consumer_cancel(self, cancel: Basic.Cancel) -> None:
        self.forget(cancel.consumer_tag or "")

    # Acknowledgements

    def acknowledge(self, *tags: int) -> None:
        """Acknowledge messages, if the channel is still there."""
        self.send(*(Basic.Ack(delivery_tag=tag) for tag in tags))

    def give_back(self, tag: int) -> None:
        """Have RabbitMQ requeue a message, if the channel is still there."""
        self.send(Basic.Reject(delivery_tag=tag, requeue=True))

    def acknowledge_later(self, tag: int) -> None:
        """Acknowledge all messages up to this one, in one frame per iteration of the loop."""
        if not self._unacknowledged:
            self.loop.call_soon(self._acknowledge_all)
        self._unacknowledged = tag

    def _acknowledge_all(self) -> None:
        tag, self._unacknowledged = self._unacknowledged, 0
        if tag:  # 0 would mean all messages.
            self.send(Basic.Ack(delivery_tag=tag, multiple=True))

    # What comes

    def handle_frame(self, kind: int, payload: bytes) -> bool:
        """Handle a frame of a message, a confirm or an answer; return False for any other."""
        if kind == frames.METHOD:
            head = payload[:4]
            if head in _CONFIRMS:
                if self._watcher is not None:
                    self._watcher.handle_confirmation(frames.parse_confirmation(payload))
                return True
            return self._assembler.begin(head, payload) or self._requests.resolve(payload)
        message = self._assembler.add(kind, payload)
        if isinstance(message, Incoming):
            self._deliver(message)
        elif message is not None and self._watcher is not None:
            self._watcher.handle_return(message)
        return True

    def _deliver(self, message: Incoming) -> None:
        on_message = self._consumer_callbacks.get(message.delivery.consumer)
        if on_message is None:
            return
        try:
            on_message(message)
        except Exception:  # noqa: BLE001  one handler's failure must not end the connection
            _log.exception("handler.failed", topic=message.delivery.routing_key)

    # How it ends

    async def release(self) -> None:
        """Close it; RabbitMQ redelivers unacknowledged messages."""
        self._consumer_callbacks.clear()
        self._acknowledge_all()
        if self._end is None:
            self._end = ChannelAbortedError("the channel was closed by this side")
        await asyncio.shield(self.start(self.close(self._end)))

    def abandon(self) -> None:
        """Give it up without waiting: RabbitMQ has no answer to what was sent last.

        It keeps its number until RabbitMQ has answered that, or the connection ends.
        """
        self._end_with(ChannelAbortedError("RabbitMQ does not answer"))
        self.start(self.close(self._end))


async def _never_called(_: DeliveredMessage) -> None:
    """The consumer as aiormq knows it, which gets no messages (`AmqpChannel.handle_frame`)."""


def as_aborted(end: AmqpError) -> AmqpError:
    """Return the error of what comes after the end."""
    return ChannelAbortedError(str(end)) if isinstance(end, ChannelClosedError) else end
