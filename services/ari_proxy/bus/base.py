"""The port: what ari-proxy needs of a message bus.

Every adapter passes `tests/contract/test_bus.py`, which checks these promises:

- **Order.** Messages that one `Bus` publishes on one topic reach each subscription in that order.
- **Loss.** `publish` never waits. While the bus is away messages wait in a bounded buffer; when it
  is full the oldest go, counted in `dropped`, logged, and told to `on_dropped`. What the bus has
  not confirmed before the connection was lost is published again.
- **Duplication.** So a message can come twice, only around a lost connection, unless it was
  published with `once`. Events carry a `sequence`.
- **Groups.** Of the subscriptions with one topic and one group, each message reaches exactly one,
  also while one of them unsubscribes. A topic that `protocol/topics.py` calls a queue has one group
  only on a bus that keeps messages, whatever its listeners say.
- **Keeping.** A bus that keeps messages (`keeps_messages`) holds those of a declared queue until a
  listener takes them; another one loses what nobody listens to. Declared topics outlive the process
  that declared them, until somebody deletes them; `left_behind` tells of those of a dead one.
- **Reconnect.** Subscriptions outlive the connection. `run` connects, for ever, with back-off.
- **Cancellation.** Any method may be cancelled; a cancelled `offer` or `request` may have been
  sent.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal, NamedTuple, Protocol

import structlog

from .errors import BusUnavailableError

_log = structlog.get_logger()


async def _true() -> bool:
    return True


class _AtOnce:
    """What is so at once, however often it is awaited, or never."""

    def __await__(self) -> Generator[object, None, bool]:
        return _true().__await__()


def taken() -> Awaitable[bool]:
    """Take a message that needs no taking."""
    return _AT_ONCE


_AT_ONCE: Final = _AtOnce()


class Message(NamedTuple):
    """What a subscription gets."""

    topic: str
    payload: bytes
    #: Where an answer is awaited, or ''.
    reply: str = ""
    #: Called by whoever subscribed with `hold`. What it returns tells when it is true that this
    #: listener has the message, come what may, and nobody else will; False says that it comes
    #: again, here or elsewhere. Who does not await it does without that certainty.
    take: Callable[[], Awaitable[bool]] = taken
    #: The trace that it belongs to (W3C Trace Context), from the header `traceparent`, or ''.
    traceparent: str = ""


class Declared(NamedTuple):
    """Topics that were declared together, and what their declarer noted of them."""

    topics: tuple[str, ...]
    note: str


#: Why a published message is lost: the buffer was full, the bus does not take it from us, its queue
#: is gone (`returned`) or did not keep it (`rejected`), the connection was lost before the bus had
#: confirmed one that was published with `once`, or it was discarded.
DropReason = Literal["full", "refused", "returned", "rejected", "connection_lost", "discarded"]
#: Called with the topic and the payload of a lost message; must not publish.
OnDropped = Callable[[str, bytes, DropReason], None]


class Problem(NamedTuple):
    """What keeps a bus from serving."""

    #: `away`: no connection. `refused`: the server does not take us. `blocked`: it takes no
    #: messages for now. `deaf`: something of what was subscribed does not come.
    kind: Literal["away", "refused", "blocked", "deaf"]
    #: For people.
    reason: str


class Right(NamedTuple):
    """Something that the server may let our account do."""

    #: `declare` and `consume` are about queues, which only a bus that keeps messages has; `answer`
    #: about the topic of a reply.
    action: Literal["publish", "subscribe", "declare", "consume", "answer"]
    topic: str


#: What is known of a right. Nobody can tell it without a message where it is `unknown`.
Verdict = Literal["granted", "refused", "unknown"]


#: Called in order and at once for each message; must not block. What it raises is logged, counted.
Handler = Callable[[Message], None]


class Subscription(Protocol):
    """A live interest in a topic."""

    async def unsubscribe(self) -> None:
        """End it; what the bus had sent for it was handled on return."""


class Offered:
    """What became of a message that was offered; false if nobody listened, so that nobody got it.

    A listener's reply to it is taken as long as somebody holds this object and the connection.
    """

    __slots__ = ("__weakref__", "_is_answered", "is_heard", "reply")

    def __init__(self, *, is_heard: bool = True) -> None:
        self.is_heard = is_heard
        #: The first reply of a listener until now. A bus that keeps messages has none: there a
        #: listener takes a message, or rejects it.
        self.reply: bytes | None = None
        self._is_answered = asyncio.Event()

    def __bool__(self) -> bool:
        return self.is_heard

    def take_reply(self, payload: bytes) -> None:
        """Keep a reply, if it is the first one."""
        if self.reply is None:
            self.reply = payload
            self._is_answered.set()

    async def wait_reply(self) -> bytes:
        """Return the first reply; there may never be one."""
        await self._is_answered.wait()
        return self.reply or b""


class Bus(Protocol):
    """One connection to a message bus."""

    #: Told of each message that the buffer loses; the log is told anyway.
    on_dropped: OnDropped

    @property
    def is_connected(self) -> bool:
        """True while messages go out and come in."""

    @property
    def problem(self) -> Problem | None:
        """What keeps it from serving now; None if nothing does."""

    @property
    def is_blocked(self) -> bool:
        """True while the server takes no messages although there is a connection."""

    @property
    def refused(self) -> int:
        """How much the server refuses now: subscriptions, and rights to publish."""

    @property
    def refusals(self) -> int:
        """What the server has refused since the start: subscriptions, and the right to publish."""

    @property
    def faults(self) -> Mapping[str, int]:
        """What has gone wrong on our side since the start, by kind (`faults.KINDS`)."""

    @property
    def buffered_bytes(self) -> int:
        """What waits in the buffer, or was sent and is not confirmed."""

    @property
    def dropped(self) -> int:
        """Messages lost since the start: the buffer was full, or the bus refused them."""

    @property
    def published(self) -> int:
        """Messages since the start that the bus has confirmed."""

    @property
    def reconnects(self) -> int:
        """Connections since the start but the first."""

    @property
    def max_message_bytes(self) -> int:
        """The largest payload that the bus takes with all headers; it may change with a connection.

        One that is published and too large for the bus is dropped and counted.
        """

    async def run(self) -> None:
        """Connect and serve until cancelled; use `opened` instead of calling it."""

    async def wait_connected(self) -> None:
        """Return once there is a connection."""

    async def wait_tried(self) -> str:
        """Return once each server was tried: why there is no connection, or '' if there is one."""

    async def try_right(self, right: Right) -> Verdict:
        """Find out whether the server lets us do something, without doing it: nobody notices.

        Waits for a connection. A refusal is logged and counted as always.

        Raises:
            BusUnavailableError: the connection was lost before it was known.
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
        """Send a message as soon as the bus takes it; returns at once.

        Args:
            topic: where to.
            payload: what.
            reply: where an answer is awaited, or ''.
            once: whether it is better lost than sent twice: not to be sent again when the
                connection was lost before the bus had confirmed it.
            traceparent: the header of that name, or ''; lost with the connection.
        """

    def discard(self, is_unwanted: Callable[[str], bool]) -> int:
        """Forget what waits to be sent on some topics; return how many messages, also `dropped`."""

    async def offer(
        self,
        topic: str,
        payload: bytes,
        *,
        keep_seconds: float | None = None,
        traceparent: str = "",
    ) -> Offered:
        """Send a message now; the outcome is false if nobody listened, so that nobody got it.

        Waits for a connection. It overtakes what `publish` has buffered.

        Args:
            topic: where to.
            payload: what.
            keep_seconds: how long a bus that keeps messages may keep it; None for ever.
            traceparent: the header of that name, or ''.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
            BusRefusedError: the bus does not take it; as `MessageTooLargeError` if it is too large.
        """

    async def is_heard(self, topic: str, probe: bytes) -> bool:
        """Return whether anybody listens to a topic.

        A bus that keeps messages knows; another one finds out by `probe`, which a listener gets.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
            BusRefusedError: the bus does not take the probe.
        """

    async def request(self, topic: str, payload: bytes, *, timeout_seconds: float) -> bytes:
        """Send a message and return the first reply to it.

        Raises:
            NoRespondersError: nobody listens.
            RequestTimeoutError: no reply in time.
            BusUnavailableError: no connection in time, or it was lost.
            BusRefusedError: the bus does not take it; as `MessageTooLargeError` if it is too large.
        """

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = "", hold: bool = False
    ) -> Subscription:
        """Hand every message on `topic` to `handler`; `*` stands for one token.

        The subscription is in force on return if there is a connection, else once there is one.
        With a `*` in a queue's name it concerns those that are declared.

        Args:
            topic: what to listen to.
            handler: what to call.
            group: whom to share the messages with.
            hold: the handler calls `take` on each message, and begins its work when that is true;
                until then the bus may give it to another listener.
        """

    @property
    def keeps_messages(self) -> bool:
        """True if a message on a declared queue waits until somebody takes it."""

    async def declare(self, topics: Sequence[str], *, note: str = "") -> None:
        """Bring queues into being, so that a listener that is late loses nothing.

        Nothing to do on a bus that keeps no messages.

        Args:
            topics: queues that belong together.
            note: what `left_behind` gives back after this process's death; without one they are
                not remembered.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
            BusRefusedError: the server does not want them.
        """

    async def delete(self, topics: Sequence[str]) -> None:
        """End queues, whatever they hold; those that don't exist are no error.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
        """

    async def unheard(self, topic: str) -> int:
        """Return how many messages wait on a queue to which nobody listens.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
        """

    def left_behind(self) -> AsyncIterator[Declared]:
        """Yield what was declared by a process that did not delete it; ends where none can be.

        From now on it is this process that looks after what is declared.
        """

    async def disown(self) -> None:
        """Leave what was declared to whoever calls `left_behind` next; undone by calling it."""

    async def flush(self, *, timeout_seconds: float) -> None:
        """Return once the bus has confirmed all that was published before.

        Raises:
            BusUnavailableError: not within the time.
        """


@asynccontextmanager
async def opened(bus: Bus, *, flush_seconds: float = 5.0) -> AsyncIterator[Bus]:
    """Run a bus around a block; on leaving it, wait a bounded time for what is still buffered.

    What nobody has taken by then, like the messages for a listener that has not come back, is lost:
    a process that ends has done what it could.
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
