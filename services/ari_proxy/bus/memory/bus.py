"""The bus in memory, exact in order, groups, no-responders and outages: for tests.

This one keeps no messages, like NATS; `memory_keeping.py` has the one that does, like RabbitMQ.
"""

import asyncio
import itertools
import weakref
from abc import abstractmethod
from collections import deque
from typing import Final

from ari_proxy.bus.base import Handler, Message, Offered, Right, Subscription, Verdict
from ari_proxy.bus.buffered import BufferedBus, FleetingBus
from ari_proxy.bus.errors import BusUnavailableError, MessageTooLargeError, NoRespondersError
from ari_proxy.protocol import topics

_BATCH: Final = 256
#: As nats-server's default.
MAX_MESSAGE_BYTES: Final = 1024 * 1024


class MemoryBroker:
    """What a server is to the other adapters: joins any number of `MemoryBus`."""

    def __init__(self) -> None:
        self._subscriptions: dict[int, TopicSubscription] = {}
        self._turns: dict[tuple[str, str], int] = {}
        self._ids = itertools.count()
        self._running = asyncio.Event()
        self._stopped = asyncio.Event()
        self.start()

    @property
    def is_running(self) -> bool:
        """True unless stopped."""
        return self._running.is_set()

    def start(self) -> None:
        """Take messages again."""
        self._running.set()
        self._stopped.clear()

    def stop(self) -> None:
        """Take no messages, as a server that is down."""
        self._running.clear()
        self._stopped.set()

    async def wait_running(self) -> None:
        """Return once it takes messages."""
        await self._running.wait()

    async def wait_stopped(self) -> None:
        """Return once it takes none."""
        await self._stopped.wait()

    def add(self, subscription: "TopicSubscription") -> int:
        """Register a subscription and return its id."""
        number = next(self._ids)
        self._subscriptions[number] = subscription
        return number

    def remove(self, number: int) -> None:
        """Forget a subscription."""
        self._subscriptions.pop(number, None)

    def deliver(self, message: Message) -> bool:
        """Hand a message to whom it concerns; return False if that is nobody."""
        groups: dict[tuple[str, str], list[TopicSubscription]] = {}
        heard = False
        for subscription in self._subscriptions.values():
            if not topics.matches(subscription.topic, message.topic):
                continue
            heard = True
            if subscription.group:
                groups.setdefault((subscription.topic, subscription.group), []).append(subscription)
            else:
                subscription.take(message)
        for key, members in groups.items():
            turn = self._turns.get(key, 0)
            self._turns[key] = turn + 1
            members[turn % len(members)].take(message)
        return heard


class TopicSubscription:
    """Listens to a topic, alone or in a group; has its own turn of the event loop."""

    def __init__(
        self,
        bus: "MemoryConnection",
        broker: MemoryBroker,
        topic: str,
        handler: Handler,
        group: str,
    ) -> None:
        self.topic = topic
        self.group = group
        self._bus = bus
        self._broker = broker
        self._handler = handler
        self._number = broker.add(self)
        self._inbox: deque[Message] = deque()

    def take(self, message: Message) -> None:
        """Have a message handled."""
        self._inbox.append(message)
        asyncio.get_running_loop().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._bus.hand_over(self._inbox.popleft(), self._handler)

    def end(self) -> None:
        """Take no more."""
        self._broker.remove(self._number)

    async def unsubscribe(self) -> None:
        """End the subscription; what it has taken is handled first."""
        self.end()
        await asyncio.sleep(0)


class MemoryConnection(BufferedBus):
    """What both kinds of bus in memory share: one connection to a broker."""

    def __init__(self, broker: MemoryBroker, *, buffer_bytes: int = 64 * 1024 * 1024) -> None:
        super().__init__(buffer_bytes)
        self._broker = broker
        self._inboxes = itertools.count()

    @property
    def max_message_bytes(self) -> int:
        """The largest payload that the broker takes."""
        return MAX_MESSAGE_BYTES

    async def try_right(self, right: Right) -> Verdict:  # noqa: ARG002
        """Grant everything."""
        await self._connected.wait()
        return "granted"

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            if not self._broker.is_running:
                self._note_failure("the broker is stopped", is_refusal=False)
            await self._broker.wait_running()
            self._begin()
            self._set_connected()
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send())
                try:
                    await self._broker.wait_stopped()
                finally:
                    self._connected.clear()
                    self._end()
                    sending.cancel()

    def _begin(self) -> None:
        """Bring to the broker what a connection brings."""

    def _end(self) -> None:
        """Take from the broker what goes with a connection."""

    async def _send(self) -> None:
        while True:
            await self._something_to_send.wait()
            self._something_to_send.clear()
            while self._outbox.is_waiting:
                self._send_batch()
                await asyncio.sleep(0)

    def _send_batch(self) -> None:
        for _ in range(_BATCH):
            if not (self._outbox.is_waiting and self._broker.is_running):
                break
            topic, payload, reply, _, traceparent, _ = self._outbox.next()
            try:
                self._check_size(topic, payload)
            except MessageTooLargeError:
                self._outbox.refuse_last()
                continue
            self._send_one(Message(topic, payload, reply, traceparent=traceparent))
        self._outbox.confirm(self._outbox.mark())
        self._confirmed.set()

    def _send_one(self, message: Message) -> None:
        """Hand a published message to the broker."""
        self._deliver(message)

    @abstractmethod
    def _deliver(self, message: Message, *, keep_seconds: float | None = None) -> bool:
        """Hand a message to the broker; return False if nobody and nothing takes it."""

    def _may_be_heard(self, topic: str) -> bool:  # noqa: ARG002  of a queue it is known
        """Return False if it is known that nobody will answer on a topic."""
        return True

    async def _wait_running(self) -> None:
        """Wait for a connection.

        Raises:
            BusUnavailableError: it is lost already.
        """
        await self._connected.wait()
        if not self._broker.is_running:
            raise BusUnavailableError("the broker was stopped")

    def _new_inbox(self) -> str:
        return f"_INBOX.{id(self):x}.{next(self._inboxes)}"

    async def request(self, topic: str, payload: bytes, *, timeout_seconds: float) -> bytes:
        """Send a message and return the first reply to it."""
        inbox = self._new_inbox()
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def take(message: Message) -> None:
            if not reply.done():
                reply.set_result(message.payload)

        subscription = TopicSubscription(self, self._broker, inbox, take, "")
        try:
            async with self._deadline(topic, timeout_seconds):
                await self._connected.wait()
                self._check_size(topic, payload)
                message = Message(topic, payload, inbox)
                is_taken = self._may_be_heard(topic) and self._deliver(
                    message, keep_seconds=timeout_seconds
                )
                if not is_taken:
                    raise NoRespondersError(topic)
                return await reply
        finally:
            await subscription.unsubscribe()


class MemoryBus(MemoryConnection, FleetingBus):
    """One connection to a `MemoryBroker`, of a bus that keeps no messages."""

    def _deliver(self, message: Message, *, keep_seconds: float | None = None) -> bool:  # noqa: ARG002
        return self._broker.deliver(message)

    async def offer(
        self,
        topic: str,
        payload: bytes,
        *,
        keep_seconds: float | None = None,  # noqa: ARG002
        traceparent: str = "",
    ) -> Offered:
        """Send a message now; the outcome is false if nobody listened."""
        await self._wait_running()
        self._check_size(topic, payload)
        offered = Offered()
        inbox = self._inbox_of(offered)
        message = Message(topic, payload, inbox, traceparent=traceparent)
        offered.is_heard = self._deliver(message)
        return offered

    def _inbox_of(self, offered: Offered) -> str:
        """Return where the replies to an offered message go, as long as somebody wants them."""
        inbox, wanted = self._new_inbox(), weakref.ref(offered)

        def take(message: Message) -> None:
            if (offered := wanted()) is not None:
                offered.take_reply(message.payload)

        weakref.finalize(offered, TopicSubscription(self, self._broker, inbox, take, "").end)
        return inbox

    async def subscribe(
        self,
        topic: str,
        handler: Handler,
        *,
        group: str = "",
        hold: bool = False,  # noqa: ARG002
    ) -> Subscription:
        """Hand every message on `topic` to `handler`."""
        return TopicSubscription(self, self._broker, topic, handler, group)
