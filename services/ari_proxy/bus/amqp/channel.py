"""One channel: operations in order, each with its answer, and the messages that come.

Operations are pipelined: RabbitMQ answers them in order. When it refuses one it closes the channel
(AMQP 0-9-1 §1.4.2.2); that one fails with its reason, those behind it were not looked at.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import structlog
from pamqp import base, commands
from pamqp import frame as codec
from pamqp.commands import Basic

from . import frames
from .errors import ChannelAbortedError, ChannelClosedError, ConnectionLostError
from .frames import Confirmation, Delivery, Properties

_log = structlog.get_logger()

Answer = TypeVar("Answer", bound=base.Frame)
Awaited = TypeVar("Awaited")


class Incoming(NamedTuple):
    """One message for a consumer."""

    delivery: Delivery
    properties: Properties
    body: bytes


class Returned(NamedTuple):
    """One message that no queue took."""

    routing_key: str
    properties: Properties
    body: bytes


class Channel:
    """One channel of a connection; made by it."""

    def __init__(
        self,
        number: int,
        write: Callable[[bytes], None],
        max_frame: int,
        acknowledging: "list[Channel]",
    ) -> None:
        self.number = number
        self.max_frame = max_frame
        self._write = write
        #: Shared with the connection: who has something for `acknowledge_all`.
        self._acknowledging = acknowledging
        #: Names of the answers that fit, or none if any does; what gets it.
        self._awaited: deque[tuple[list[str], asyncio.Future[base.Frame]]] = deque()
        self.closed: Exception | None = None
        #: By consumer tag; called in order and at once.
        self.consumers: dict[bytes, Callable[[Incoming], None]] = {}
        #: Called with each confirm, and whether it is a refusal.
        self.on_confirm: Callable[[Confirmation, bool], None] = lambda _, __: None
        #: Called with each message that no queue took.
        self.on_return: Callable[[Returned], None] = lambda _: None
        #: Called when a consumer's queue is gone.
        self.on_cancel: Callable[[str], None] = lambda _: None
        #: Called when the server has closed the channel.
        self.on_close: Callable[[Exception], None] = lambda _: None
        self._unacknowledged = 0
        self._pending: Delivery | None = None
        #: The routing key of a message that comes back.
        self._returned = ""
        self._properties = Properties()
        self._missing = 0
        self._parts: list[bytes] = []

    # What goes out

    def send(self, method: base.Frame) -> None:
        """Send a method that has no answer."""
        if self.closed is None:
            self._write(codec.marshal(method, self.number))

    def send_raw(self, data: bytes) -> None:
        """Send frames that are encoded already."""
        if self.closed is None:
            self._write(data)

    def publish(
        self, routing_key: str, body: bytes, properties: bytes, *, exchange: str = ""
    ) -> None:
        """Send a message; it is returned if no queue takes it."""
        method = frames.publish_method(self.number, exchange, routing_key, mandatory=True)
        self.send_raw(method + frames.content(self.number, properties, body, self.max_frame))

    async def call(self, method: base.Frame, kind: type[Answer]) -> Answer:
        """Send a method and return its answer.

        Raises:
            ChannelClosedError: the server refused it.
            ChannelAbortedError: it refused another one before.
            ConnectionLostError: it did not answer.
        """
        found = await self.request(method)
        if not isinstance(found, kind):
            raise ConnectionLostError(f"RabbitMQ answers {method.name} with {found.name}")
        return found

    def request(self, method: base.Frame) -> "asyncio.Future[base.Frame]":
        """Send a method now; return its answer to come, which fails as `call` does."""
        if isinstance(self.closed, ConnectionLostError):
            raise self.closed
        if self.closed is not None:
            raise ChannelAbortedError(str(self.closed)) from self.closed
        answer = self.expect(method.valid_responses)
        self.send(method)
        return answer

    def expect(self, kinds: list[str] | None = None) -> "asyncio.Future[base.Frame]":
        """Return the next answer that is still to come, of some kinds or of any."""
        answer: asyncio.Future[base.Frame] = asyncio.get_running_loop().create_future()
        self._awaited.append((kinds or [], answer))
        return answer

    def acknowledge(self, *tags: int) -> None:
        """Acknowledge messages, if the channel is still there."""
        self.send_raw(b"".join(frames.acknowledgement(self.number, tag) for tag in tags))

    def acknowledge_later(self, tag: int) -> None:
        """Acknowledge all messages until this one, with the next `acknowledge_all`."""
        if not self._unacknowledged:
            self._acknowledging.append(self)
        self._unacknowledged = tag

    def acknowledge_all(self) -> None:
        """Send what `acknowledge_later` has noted."""
        if self._unacknowledged and self.closed is None:
            self._write(frames.acknowledgement(self.number, self._unacknowledged, multiple=True))
        self._unacknowledged = 0

    # What comes in

    def take(self, kind: int, payload: bytes) -> None:
        """Handle a frame of this channel."""
        if kind == frames.METHOD:
            self._take_method(payload)
        elif kind == frames.HEADER:
            self._missing, self._properties = frames.parse_header(payload)
            if not self._missing:
                self._finish(b"")
        elif kind == frames.BODY:
            self._take_body(payload)

    def _take_method(self, payload: bytes) -> None:
        head = payload[:4]
        if head == frames.DELIVER:
            self._pending = frames.parse_delivery(payload)
        elif head == frames.ACK:
            self.on_confirm(frames.parse_confirmation(payload), False)
        elif head == frames.NACK:
            self.on_confirm(frames.parse_confirmation(payload), True)
        elif head == frames.RETURN:
            self._pending = None
            self._returned = frames.parse_return(payload)
        else:
            method = commands.INDEX_MAPPING[int.from_bytes(head, "big")]()
            method.unmarshal(payload[4:])
            self._take_other(method)

    def _take_other(self, method: base.Frame) -> None:
        if isinstance(method, commands.Channel.Close):
            # Whatever we may have sent meanwhile: RabbitMQ waits for this one.
            self._write(codec.marshal(commands.Channel.CloseOk(), self.number))
            self._refuse(ChannelClosedError(method.reply_code or 0, method.reply_text or ""))
        elif isinstance(method, Basic.Cancel):
            tag = method.consumer_tag or ""
            self.consumers.pop(tag.encode(), None)
            self.on_cancel(tag)
        else:
            self._answer(method)

    def _answer(self, method: base.Frame) -> None:
        """Hand an answer to the first that awaits one of its kind.

        They come in order but for basic.consume-ok, which the queue sends and not the channel.
        """
        for place, (kinds, answer) in enumerate(self._awaited):
            if not kinds or method.name in kinds:
                del self._awaited[place]
                if not answer.done():
                    answer.set_result(method)
                return

    def _take_body(self, payload: bytes) -> None:
        self._missing -= len(payload)
        if self._missing > 0:
            self._parts.append(payload)
        elif self._parts:
            self._parts.append(payload)
            body = b"".join(self._parts)
            self._parts.clear()
            self._finish(body)
        else:
            self._finish(payload)

    def _finish(self, body: bytes) -> None:
        delivery, self._pending = self._pending, None
        if delivery is None:
            self.on_return(Returned(self._returned, self._properties, body))
            return
        consumer = self.consumers.get(delivery.consumer)
        if consumer is None:
            return
        try:
            consumer(Incoming(delivery, self._properties, body))
        except Exception:  # noqa: BLE001  one handler's failure must not end the connection
            _log.exception("handler.failed", topic=delivery.routing_key)

    # How it ends

    def close(self) -> "asyncio.Future[base.Frame]":
        """Begin to close it; return the answer to come, which fails as `call` does.

        Nothing more goes out, and no consumer gets anything more: what is not acknowledged comes
        again, to whoever consumes it then.
        """
        self.consumers.clear()
        method = commands.Channel.Close(reply_code=200, reply_text="", class_id=0, method_id=0)
        answer = self.request(method)
        self.closed = ChannelAbortedError("it was closed by this side")
        return answer

    def _refuse(self, error: ChannelClosedError) -> None:
        self.closed = error
        if self._awaited:
            fail(self._awaited.popleft()[1], error)
        self._fail_awaited(ChannelAbortedError(str(error)))
        self.on_close(error)

    def lose(self, error: ConnectionLostError) -> None:
        """End it with its connection."""
        self.closed = error
        self._fail_awaited(error)

    def _fail_awaited(self, error: Exception) -> None:
        while self._awaited:
            fail(self._awaited.popleft()[1], error)


def fail(future: "asyncio.Future[Awaited]", error: Exception) -> None:
    """Fail what somebody may await, or may have ceased to."""
    if not future.done():
        future.set_exception(error)
        future.exception()  # asyncio complains of one that nobody has looked at.
