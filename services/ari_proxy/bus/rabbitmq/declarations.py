"""Declared queues: recorded beyond the life of this process, announced, restored, deleted.

The registry is a durable queue with one persistent message for each set of queues that was declared
with a note. Its declarer consumes it and never acknowledges a message before the queues are
deleted: when it dies, RabbitMQ hands all of them to its successor. So nothing that a dead process
declared is lost from sight, and nobody has to guess from names.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Protocol

import structlog

from ari_proxy.bus.base import Message
from ari_proxy.bus.durable import DeclaredQueues
from ari_proxy.bus.errors import BusRefusedError
from ari_proxy.bus.refusals import ServerRefusals
from ari_proxy.protocol import topics
from ari_proxy.protocol.malformed import UNDECODABLE

from . import topology
from .channel import AmqpChannel
from .errors import AmqpError, ChannelClosedError
from .messages import Incoming
from .session import Session

_log = structlog.get_logger()

#: Seconds after which the registry is consumed anew: RabbitMQ closes the channel of a message that
#: is not acknowledged for 30 minutes (consumer_timeout).
REFRESH_SECONDS: Final = 600.0
#: Seconds between attempts while a predecessor still has the registry, or RabbitMQ refuses it.
RETRY_SECONDS: Final = 2.0
#: Seconds between looks whether the registry was handed over.
HAND_OVER_SECONDS: Final = 0.1
#: Queues that are restored at once.
_BATCH: Final = 300
#: Tells listeners that a queue is older than this notice.
_AGAIN: Final = b"again"


class Publish(Protocol):
    """Publishes a message, as `Bus.publish` does."""

    def __call__(self, topic: str, payload: bytes) -> None:
        """Publish a message."""


class _Orphans(AsyncIterator[DeclaredQueues]):
    """No generator: one that is left half-way is ended by a task that nobody knows of."""

    def __init__(self, declarations: "Declarations") -> None:
        self._declarations = declarations

    async def __anext__(self) -> DeclaredQueues:
        return await self._declarations.next_orphan()


class Declarations:
    """What one bus has declared, and what it has taken over."""

    def __init__(
        self,
        registry: str,
        publish: Publish,
        refusals: ServerRefusals,
        *,
        check_right: Callable[[str], None],
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> None:
        """Make it.

        Args:
            registry: the queue that remembers, or '' for none.
            publish: publishes a message.
            refusals: shows that the registry is refused.
            check_right: raises BusRefusedError if the account may not publish on a topic.
            refresh_seconds: after which the registry is consumed anew.
        """
        self._refresh_seconds = refresh_seconds
        self._registry = registry
        self._refusals = refusals
        self._check_right = check_right
        self._publish = publish
        self._remembered: dict[tuple[str, ...], str] = {}
        #: Those of them that RabbitMQ has not confirmed yet.
        self._declaring: set[tuple[str, ...]] = set()
        #: What is being deleted.
        self._deleting: set[str] = set()
        self._others: set[str] = set()
        self._orphans: deque[DeclaredQueues] = deque()
        self._has_orphans = asyncio.Event()
        #: Set while this process is the one that holds the registry.
        self._is_owner = asyncio.Event()
        #: Set to let go of it.
        self._released = asyncio.Event()
        self._channel: AmqpChannel | None = None
        self._tags: dict[tuple[str, ...], list[int]] = {}

    async def declare(self, session: Session, names: tuple[str, ...], note: str) -> None:
        """Declare queues and tell it.

        Raises:
            AmqpError: RabbitMQ refuses it, or the outcome is not known.
            BusRefusedError: this account may not publish there.
        """
        try:
            if note and self._registry:
                self._check_right(self._registry)
                self._is_owner.set()
                self._remembered[names] = note
                self._declaring.add(names)
                # Sent before the queues are declared: nothing is declared that nobody remembers.
                record = topology.encode_record(DeclaredQueues(names, note))
                await session.record(self._registry, record)
            else:
                self._others.update(names)
            await session.operations.declare(list(names))
        except ChannelClosedError:
            self._remembered.pop(names, None)
            self._others.difference_update(names)
            raise
        finally:
            self._declaring.discard(names)
        for name in names:
            self._publish(topology.declared_topic(name), b"")

    async def delete(self, session: Session, names: tuple[str, ...]) -> None:
        """Delete queues, forget them and tell it.

        Raises:
            AmqpError: the outcome is not known.
        """
        self._deleting.update(names)
        try:
            await session.operations.delete(list(names))
            self._remembered.pop(names, None)
            self._others.difference_update(names)
        finally:
            self._deleting.difference_update(names)
        for name in names:
            self._publish(topology.deleted_topic(name), b"")
        for tag in self._tags.pop(names, ()):
            if self._channel is not None:
                self._channel.acknowledge(tag)

    async def restore(self, session: Session) -> None:
        """Bring back what a new session's RabbitMQ may have lost, and tell all of it."""
        if self._registry:
            await self._restore_queues(session, [self._registry])
        names = [*self._others, *(name for names in self._remembered for name in names)]
        async with asyncio.TaskGroup() as tasks:
            for start in range(0, len(names), _BATCH):
                tasks.create_task(self._restore_queues(session, names[start : start + _BATCH]))
        for name in names:
            self._publish(topology.declared_topic(name), _AGAIN)

    async def _restore_queues(self, session: Session, names: list[str]) -> None:
        try:
            await session.operations.declare(names)
        except ChannelClosedError as error:
            if len(names) == 1:
                _log.error("queue.not_restored", queue=names[0], error=str(error))
            else:  # One of them; all others have a right to be there.
                for name in names:
                    await self._restore_queues(session, [name])

    def bring_back(self, queue: str) -> Callable[[Session], Awaitable[None]] | None:
        """Return how to declare a queue again that is gone, or None if it is not one of ours."""
        if not self._has(queue):
            return None

        async def work(session: Session) -> None:
            if not self._has(queue):
                return
            await self._restore_queues(session, [queue])
            if not self._has(queue):  # Nobody would ever delete it.
                await session.operations.delete([queue])
                return
            _log.warning("queue.brought_back", queue=queue)
            self._publish(topology.declared_topic(queue), _AGAIN)

        return work

    def _has(self, queue: str) -> bool:
        """Return whether a queue is one of ours, and is to stay."""
        if queue in self._deleting:
            return False
        return queue in self._others or any(queue in names for names in self._remembered)

    async def _restore_records(self, session: Session, closed: asyncio.Event) -> None:
        """Write anew what RabbitMQ has lost, when it has handed over all that it has.

        It has what a former consumer had: that one is gone, or this one would have been refused.

        Raises:
            BusRefusedError: this account may not.
        """
        while not closed.is_set():
            state = await session.operations.queue_state(self._registry)
            if state is None or not state.messages:
                break
            await asyncio.sleep(HAND_OVER_SECONDS)
        settled = self._tags.keys() | self._declaring
        for names in [names for names in self._remembered if names not in settled]:
            self._check_right(self._registry)
            record = topology.encode_record(DeclaredQueues(names, self._remembered.get(names, "")))
            await session.record(self._registry, record)

    def answer_list(self, message: Message) -> None:
        """Tell who asks for it which queues of a pattern there are."""
        _, _, pattern = message.topic.partition(".")
        # What is being declared is told to all listeners at once, when it is.
        declared = [names for names in self._remembered if names not in self._declaring]
        names = [name for names in declared for name in names if topics.matches(pattern, name)]
        if message.reply:
            self._publish(message.reply, topology.encode_topics(names))

    # The registry

    def release(self) -> None:
        """Let the next one have the registry, and forget what is in it."""
        self._is_owner.clear()
        self._released.set()
        self._remembered.clear()
        self._orphans.clear()

    def orphans(self) -> AsyncIterator[DeclaredQueues]:
        """Return what a predecessor has declared, as it comes to light."""
        self._is_owner.set()
        return _Orphans(self)

    async def next_orphan(self) -> DeclaredQueues:
        """Return the next of what a predecessor has declared.

        Raises:
            StopAsyncIteration: nothing is remembered.
        """
        if not self._registry:
            raise StopAsyncIteration
        while not self._orphans:
            self._has_orphans.clear()
            await self._has_orphans.wait()
        return self._orphans.popleft()

    async def keep_registry(self, session: Session) -> None:
        """Hold the registry's messages as long as the session lasts."""
        while self._registry:
            await self._is_owner.wait()
            try:
                await self._hold(session)
            except (ChannelClosedError, BusRefusedError) as error:
                self._on_refused(error)
                await asyncio.sleep(RETRY_SECONDS)

    def _on_refused(self, error: ChannelClosedError | BusRefusedError) -> None:
        """Tell it, unless it is only that another ingest has the registry."""
        if topology.is_taken_by_another(str(error)):
            self._refusals.remove(self)
            _log.debug("registry.taken", queue=self._registry, error=str(error))
        elif self._refusals.add(self, f"{self._registry} is not kept: {error}"):
            _log.error(
                "bus.subscription_refused", bus="RABBITMQ", topic=self._registry, error=str(error)
            )

    async def _hold(self, session: Session) -> None:
        channel = await session.consumer.open_channel()
        closed = self._released = asyncio.Event()
        channel.on_refused(lambda _: closed.set())
        channel.on_consumer_cancel_callbacks.add(lambda _: closed.set())
        self._channel = channel
        try:
            await session.operations.declare([self._registry])
            await channel.consume(self._registry, self._take_record, tag="registry", exclusive=True)
            await self._restore_records(session, closed)
            # Not earlier: who is told that all is well may end, and leave what nobody remembers.
            if self._refusals.remove(self):
                _log.info("bus.subscription_granted", bus="RABBITMQ", topic=self._registry)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_seconds):
                    await closed.wait()
        finally:
            self._channel = None
            self._tags.clear()
            with contextlib.suppress(AmqpError):
                await channel.release()

    def _take_record(self, incoming: Incoming) -> None:
        tag = incoming.delivery.tag
        try:
            declared = topology.decode_record(incoming.body)
        except UNDECODABLE as error:
            _log.error("registry.malformed", queue=self._registry, error=str(error))
            if self._channel is not None:
                self._channel.acknowledge(tag)
            return
        self._tags.setdefault(declared.topics, []).append(tag)
        if declared.topics not in self._remembered:
            self._remembered[declared.topics] = declared.note
            for name in declared.topics:
                self._publish(topology.declared_topic(name), _AGAIN)
            self._orphans.append(declared)
            self._has_orphans.set()
