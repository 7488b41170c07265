"""The bus in memory, exact in order, groups, no-responders and outages: for tests.

This one keeps no messages, like NATS; `durable.py` has the one with durable queues, like RabbitMQ.
"""

import asyncio
import itertools
import weakref
from abc import abstractmethod
from collections import deque
from typing import Final

from ari_proxy.bus.base import Handler, Message, Right, SubscriptionHandle, Verdict
from ari_proxy.bus.buffered import BufferedBus
from ari_proxy.bus.errors import BusUnavailableError, MessageTooLargeError, NoRespondersError
from ari_proxy.bus.faults import Faults
from ari_proxy.bus.receipt import Receipt
from ari_proxy.protocol import topics

_BATCH: Final = 256
#: As nats-server's default.
MAX_MESSAGE_BYTES: Final = 1024 * 1024


class MemoryBroker:
    """The server in memory: joins any number of `MemoryBus`."""

    def __init__(self) -> None:
        self._subscriptions: dict[int, MemorySubscription] = {}
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
        """Accept messages again."""
        self._running.set()
        self._stopped.clear()

    def stop(self) -> None:
        """Accept no messages, like a server that is down."""
        self._running.clear()
        self._stopped.set()

    async def wait_running(self) -> None:
        """Return once it accepts messages."""
        await self._running.wait()

    async def wait_stopped(self) -> None:
        """Return once it accepts none."""
        await self._stopped.wait()

    def add(self, subscription: "MemorySubscription") -> int:
        """Register a subscription and return its id."""
        number = next(self._ids)
        self._subscriptions[number] = subscription
        return number

    def remove(self, number: int) -> None:
        """Remove a subscription."""
        self._subscriptions.pop(number, None)

    def deliver(self, message: Message) -> bool:
        """Deliver a message to its subscriptions; return False if there are none."""
        groups: dict[tuple[str, str], list[MemorySubscription]] = {}
        has_listener = False
        # A copy: the garbage collector may end the inbox of a receipt at any moment.
        for subscription in tuple(self._subscriptions.values()):
            if not topics.matches(subscription.topic, message.topic):
                continue
            has_listener = True
            if subscription.group:
                groups.setdefault((subscription.topic, subscription.group), []).append(subscription)
            else:
                subscription.add(message)
        for key, members in groups.items():
            turn = self._turns.get(key, 0)
            self._turns[key] = turn + 1
            members[turn % len(members)].add(message)
        return has_listener


class MemorySubscription:
    """A subscription to a topic, alone or in a group; handles each message in a later callback."""

    def __init__(
        self, broker: MemoryBroker, topic: str, handler: Handler, group: str, faults: Faults
    ) -> None:
        self.topic = topic
        self.group = group
        self._faults = faults
        self._broker = broker
        self._handler = handler
        self._number = broker.add(self)
        self._inbox: deque[Message] = deque()

    def add(self, message: Message) -> None:
        """Schedule a message for the handler."""
        self._inbox.append(message)
        asyncio.get_running_loop().call_soon(self._handle_next)

    def _handle_next(self) -> None:
        self._faults.run(self._handler, self._inbox.popleft())

    def end(self) -> None:
        """Receive no more."""
        self._broker.remove(self._number)

    async def unsubscribe(self) -> None:
        """End the subscription; messages delivered so far are handled on return."""
        self.end()
        await asyncio.sleep(0)


class MemoryConnection(BufferedBus):
    """One connection to a broker: the common part of both buses in memory."""

    def __init__(self, broker: MemoryBroker, *, buffer_bytes: int = 64 * 1024 * 1024) -> None:
        super().__init__(buffer_bytes)
        self._broker = broker
        self._inboxes = itertools.count()

    @property
    def max_message_bytes(self) -> int:
        """The largest payload that the broker takes."""
        return MAX_MESSAGE_BYTES

    async def try_right(self, right: Right) -> Verdict:  # noqa: ARG002
        """Grant every right."""
        await self._state.wait_connected()
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
                    self._state.end()
                    self._end()
                    sending.cancel()

    def _begin(self) -> None:
        """Register with the broker on a new connection."""

    def _end(self) -> None:
        """Undo `_begin` when the connection ends."""

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
            topic, payload, reply, _, traceparent, number = self._outbox.next()
            try:
                self._check_size(topic, payload)
            except MessageTooLargeError:
                self._outbox.refuse_last()
                continue
            self._send_one(Message(topic, payload, reply, traceparent=traceparent), number)
        self._outbox.confirm(self._outbox.sent_count)
        self._confirmed.set()

    def _send_one(self, message: Message, number: int) -> None:
        """Hand a published message to the broker."""
        if not self._deliver(message) and topics.is_fleeting(message.topic):
            self.note_unheard(number)

    @abstractmethod
    def _deliver(self, message: Message, *, keep_seconds: float | None = None) -> bool:
        """Hand a message to the broker; return False if it has neither a listener nor a queue."""

    def _may_be_answered(self, topic: str) -> bool:  # noqa: ARG002  needed for queues only
        """Return False if a request on a topic certainly gets no reply."""
        return True

    async def wait_running(self) -> None:
        """Wait for a connection.

        Raises:
            BusUnavailableError: the broker was stopped again.
        """
        await self._state.wait_connected()
        if not self._broker.is_running:
            raise BusUnavailableError("the broker was stopped")

    def _new_inbox(self) -> str:
        return f"_INBOX.{id(self):x}.{next(self._inboxes)}"

    async def request(self, topic: str, payload: bytes, *, timeout_seconds: float) -> bytes:
        """Send a message and return the first reply to it.

        Raises:
            NoRespondersError: the topic has no listener.
            BusTimeoutError: no reply in time.
            BusUnavailableError: the broker is stopped.
            MessageTooLargeError: the message is too large.
        """
        inbox = self._new_inbox()
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def add(message: Message) -> None:
            if not reply.done():
                reply.set_result(message.payload)

        subscription = MemorySubscription(self._broker, inbox, add, "", self._faults)
        try:
            async with self._deadline(topic, timeout_seconds):
                await self._state.wait_connected()
                self._check_size(topic, payload)
                message = Message(topic, payload, inbox)
                is_delivered = self._may_be_answered(topic) and self._deliver(
                    message, keep_seconds=timeout_seconds
                )
                if not is_delivered:
                    raise NoRespondersError(topic)
                return await reply
        finally:
            await subscription.unsubscribe()


class MemoryBus(MemoryConnection):
    """One connection to a `MemoryBroker`, which keeps no messages."""

    queues: None = None

    def _deliver(self, message: Message, *, keep_seconds: float | None = None) -> bool:  # noqa: ARG002
        return self._broker.deliver(message)

    async def publish_to_listener(
        self,
        topic: str,
        payload: bytes,
        *,
        keep_seconds: float | None = None,  # noqa: ARG002
        traceparent: str = "",
    ) -> Receipt:
        """Send a message now; the outcome is false if there was no listener.

        Raises:
            BusUnavailableError: the broker is stopped.
            MessageTooLargeError: the message is too large.
        """
        await self.wait_running()
        self._check_size(topic, payload)
        receipt = Receipt()
        inbox = self._inbox_of(receipt)
        message = Message(topic, payload, inbox, traceparent=traceparent)
        if not self._deliver(message):
            receipt.note_no_listener()
        return receipt

    def _inbox_of(self, receipt: Receipt) -> str:
        """Return the topic for replies to a message; it exists as long as its receipt."""
        inbox, wanted = self._new_inbox(), weakref.ref(receipt)

        def add(message: Message) -> None:
            if (receipt := wanted()) is not None:
                receipt.add_reply(message.payload)

        weakref.finalize(
            receipt, MemorySubscription(self._broker, inbox, add, "", self._faults).end
        )
        return inbox

    async def subscribe(
        self,
        topic: str,
        handler: Handler,
        *,
        group: str = "",
        manual_ack: bool = False,  # noqa: ARG002
    ) -> SubscriptionHandle:
        """Call `handler` with every message on `topic`."""
        return MemorySubscription(self._broker, topic, handler, group, self._faults)
