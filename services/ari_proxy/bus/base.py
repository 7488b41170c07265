"""The port: the message bus as ari-proxy needs it.

Every adapter passes `tests/contract/test_bus.py`, which checks these promises:

- **Order.** Messages that one `Bus` publishes on one topic reach each subscription in that order;
  those of a group on NATS may pass each other while a member moves to another server.
- **Loss.** `publish` never waits. During an outage messages are kept in a bounded buffer; when it
  is full the oldest are dropped: counted in `dropped`, logged, and passed to the handler
  of `set_drop_handler`. Messages that the bus had not confirmed when the connection was lost are
  published again.
- **Duplication.** Hence a message may arrive twice, but only around a lost connection, and never
  one that was published with `once`. Events carry a `sequence`.
- **Groups.** Of the subscriptions with one topic and one group, each message reaches exactly one,
  even while one of them unsubscribes. On a bus with durable queues, a topic that is a queue
  (`protocol/topics.py`) has a single group, whatever its subscribers ask for.
- **Durability.** A bus with durable queues (`queues`; see `durable.py`) keeps the messages of a
  declared queue until a consumer acknowledges them. Other buses lose messages without a listener,
  and tell the handler of `set_unheard_handler` which events of dialogs they were.
- **Reconnects.** Subscriptions outlive the connection. `run` reconnects with back-off until it is
  cancelled.
- **Cancellation.** Any method may be cancelled. The message of a cancelled `publish_to_listener`
  or `request` may have been sent.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from typing import Final, Literal, NamedTuple, Protocol

from ari_proxy.lazy_logger import LazyLogger

from .durable import DurableQueues
from .errors import BusUnavailableError
from .receipt import Receipt

_log = LazyLogger()


async def _true() -> bool:
    return True


class _AlreadyTrue:
    """An awaitable that is True at once, and may be awaited any number of times or never."""

    def __await__(self) -> Generator[object, None, bool]:
        return _true().__await__()


def already_acked() -> Awaitable[bool]:
    """Acknowledge a message that needs no acknowledgement."""
    return _ALREADY_TRUE


_ALREADY_TRUE: Final = _AlreadyTrue()


def cannot_give_back() -> bool:
    """Leave a message that can't be given back."""
    return False


class Message(NamedTuple):
    """A message that a subscription receives."""

    topic: str
    payload: bytes
    #: The topic on which a reply is expected, or ''.
    reply: str = ""
    #: Acknowledges the message (manual-ack subscriptions only). The result is True once the bus
    #: has processed the acknowledgement: no other consumer will get the message. It is False if
    #: the bus has already requeued it. Callers that need no certainty may skip the await.
    ack: Callable[[], Awaitable[bool]] = already_acked
    #: Trace context of the message (W3C), from its `traceparent` header, or ''.
    traceparent: str = ""
    #: Gives the message back instead of acknowledging it, for any listener, this one included
    #: (manual-ack subscriptions to durable queues only). False if there is nothing to give back.
    give_back: Callable[[], bool] = cannot_give_back


#: Why a published message was lost: the buffer was full, the bus does not accept it from this
#: account, its queue is gone (`returned`) or did not store it (`rejected`), the connection was lost
#: before a message published with `once` was confirmed, or `discard` removed it.
DropReason = Literal["full", "refused", "returned", "rejected", "connection_lost", "discarded"]
#: Called with topic and payload of a lost message; must not publish.
OnDropped = Callable[[str, bytes, DropReason], None]
#: Called with topic and payload of an event of a dialog that no listener got; must not publish.
OnUnheard = Callable[[str, bytes], None]


class Problem(NamedTuple):
    """The reason why a bus does not work fully."""

    #: `away`: no connection. `refused`: the server rejects our account, or we its certificate.
    #: `blocked`: it accepts no messages for now. `deaf`: it rejects a subscription or a right.
    kind: Literal["away", "refused", "blocked", "deaf"]
    #: In plain words.
    reason: str


class Right(NamedTuple):
    """A permission that an account may have on the server."""

    #: `declare` and `consume` concern durable queues; `answer` the topic of a reply.
    action: Literal["publish", "subscribe", "declare", "consume", "answer"]
    topic: str


#: The result of `try_right`; `unknown` where only a real message would show it.
Verdict = Literal["granted", "refused", "unknown"]


#: Selects topics.
TopicFilter = Callable[[str], bool]
#: Called synchronously for each message, in order; must not block. Exceptions are logged and
#: counted.
Handler = Callable[[Message], None]


class SubscriptionHandle(Protocol):
    """An active subscription."""

    async def unsubscribe(self) -> None:
        """End the subscription; messages that the bus had already sent are handled on return."""


class Bus(Protocol):
    """One connection to a message bus."""

    @property
    def queues(self) -> DurableQueues | None:
        """The bus's durable queues; None on a bus that keeps no messages."""

    @property
    def is_connected(self) -> bool:
        """True while messages are sent and received."""

    @property
    def problem(self) -> Problem | None:
        """The reason why the bus does not work fully, or None."""

    @property
    def is_blocked(self) -> bool:
        """True while the server accepts no messages in spite of a connection."""

    @property
    def refused(self) -> int:
        """How many subscriptions and rights to publish the server refuses now."""

    @property
    def refusals(self) -> int:
        """How many subscriptions and rights to publish the server has refused since the start."""

    @property
    def faults(self) -> Mapping[str, int]:
        """Faults on our side since the start, by kind (`faults.KINDS`)."""

    @property
    def buffered_bytes(self) -> int:
        """Size of the messages that wait in the buffer, or were sent and are not confirmed."""

    @property
    def dropped(self) -> int:
        """Messages lost since the start, for any `DropReason`."""

    @property
    def published(self) -> int:
        """Messages that the bus has confirmed since the start."""

    @property
    def reconnects(self) -> int:
        """Connections since the start, not counting the first."""

    @property
    def max_message_bytes(self) -> int:
        """The largest payload that the bus accepts with all headers; may change on a reconnect.

        Published messages that are larger are dropped and counted.
        """

    async def run(self) -> None:
        """Connect and serve until cancelled; use `opened` instead of calling this."""

    async def wait_connected(self) -> None:
        """Return once there is a connection."""

    async def wait_tried(self) -> str:
        """Wait until each server was tried; return why there is no connection, or ''."""

    async def try_right(self, right: Right) -> Verdict:
        """Check whether the server grants a right, without a visible effect on anyone.

        Waits for a connection. A refusal is logged and counted as usual.

        Raises:
            BusUnavailableError: the connection was lost before the answer came.
        """

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        reply: str = "",
        once: bool = False,
        traceparent: str = "",
    ) -> None:
        """Buffer a message, to be sent as soon as the bus accepts it; returns at once.

        Args:
            topic: of at most 255 bytes, for RabbitMQ's sake.
            payload: of at most `max_message_bytes`.
            reply: the topic on which a reply is expected, or ''.
            once: rather lose the message than send it twice: it is not sent again if the
                connection is lost before the bus has confirmed it.
            traceparent: trace context (W3C) for the header of that name, or ''.
        """

    def set_drop_handler(self, handler: OnDropped | None) -> None:
        """Call `handler` for each message that the buffer loses; it is logged in any case."""

    def set_unheard_handler(self, handler: OnUnheard | None) -> None:
        """Call `handler` for each event of a dialog that no listener got, in their order.

        It is called before `flush` returns, and again if the message is sent twice around a lost
        connection. A bus with durable queues calls it never: there events wait in their queue.
        """

    def discard(self, is_unwanted: TopicFilter) -> int:
        """Drop the buffered messages on unwanted topics; return how many."""

    async def publish_to_listener(
        self,
        topic: str,
        payload: bytes,
        *,
        keep_seconds: float | None = None,
        traceparent: str = "",
    ) -> Receipt:
        """Send a message now, if there is a listener; the outcome is false if there is none.

        Waits for a connection. It overtakes the messages that `publish` has buffered.

        Args:
            topic: as for `publish`.
            payload: as for `publish`.
            keep_seconds: how long a durable queue may keep the message; None for no limit.
            traceparent: trace context (W3C) for the header of that name, or ''.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known; with durable
                queues as `OutcomeUnknownError` if the message was sent: it may be in its queue.
            BusRefusedError: the bus does not accept the message; as `MessageTooLargeError` if it
                is too large.
        """

    async def request(self, topic: str, payload: bytes, *, timeout_seconds: float) -> bytes:
        """Send a message and return the first reply to it.

        Raises:
            NoRespondersError: the topic has no listener.
            BusTimeoutError: no reply in time.
            BusUnavailableError: no connection in time, or it was lost.
            BusRefusedError: the bus does not accept the message; as `MessageTooLargeError` if it
                is too large.
        """

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = "", manual_ack: bool = False
    ) -> SubscriptionHandle:
        """Call `handler` with every message on `topic`, in which `*` matches one token.

        The subscription is active on return if there is a connection, else with the next one. In
        the name of a queue, `*` matches the declared queues. A subscription that the server refuses
        raises nothing: it shows in `problem` and `refused`, and is tried again.

        Args:
            topic: may contain `*`.
            handler: see `Handler`.
            group: name of the group that shares the messages; '' for a subscription of its own.
            manual_ack: `handler` calls `ack` on each message, and starts its work once the result
                is True; until then the bus may give the message to another listener.
        """

    async def flush(self, *, timeout_seconds: float) -> None:
        """Return once the bus has confirmed all messages published so far.

        Raises:
            BusUnavailableError: not within the time.
        """


@asynccontextmanager
async def opened(bus: Bus, *, flush_seconds: float = 5.0) -> AsyncIterator[Bus]:
    """Run a bus around a block; on exit, wait a bounded time for buffered messages.

    Messages still unconfirmed after that are lost, such as those for a listener that has not come
    back.
    """
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bus.run())
        try:
            yield bus
            if bus.buffered_bytes and bus.is_connected:
                try:
                    await bus.flush(timeout_seconds=flush_seconds)
                except BusUnavailableError as error:
                    _log.warning("bus.not_flushed", error=str(error))
        finally:
            running.cancel()
