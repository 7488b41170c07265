"""The registry: what is declared, recorded beyond the life of this process.

It is a durable queue with one persistent message for each set of queues that was declared with a
note. Its declarer consumes it and never acknowledges a message before the queues are deleted: when
it dies, RabbitMQ hands all of them to its successor. So nothing that a dead process declared is
lost from sight, and nobody has to guess from names.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Final, Protocol

import structlog

from ari_proxy.bus.durable import DeclaredQueues
from ari_proxy.bus.errors import BusRefusedError
from ari_proxy.bus.refusals import ServerRefusals
from ari_proxy.protocol.malformed import UNDECODABLE

from . import topology
from .channel import AmqpChannel
from .declared import Declared, Names
from .errors import AmqpError, ChannelClosedError
from .messages import Incoming
from .publishing import PublishPermissions
from .session import Session

_log = structlog.get_logger()

#: Seconds after which the registry is consumed anew: RabbitMQ closes the channel of a message that
#: is not acknowledged for 30 minutes (consumer_timeout).
REFRESH_SECONDS: Final = 600.0
#: Seconds between attempts while a predecessor still has the registry, or RabbitMQ refuses it.
RETRY_SECONDS: Final = 2.0
#: Seconds for RabbitMQ to declare it: in a cluster there is no answer while its node is cut off.
ANSWER_SECONDS: Final = 4.0
#: Seconds between looks whether the registry was handed over.
HAND_OVER_SECONDS: Final = 0.1
#: Tells listeners that a queue is older than this notice.
AGAIN: Final = b"again"


class Publish(Protocol):
    """Publishes a message, as `Bus.publish` does."""

    def __call__(self, topic: str, payload: bytes) -> None:
        """Publish a message."""


class Orphans(AsyncIterator[DeclaredQueues]):
    """What a predecessor has declared, as it comes to light; without end if there is a registry.

    No generator: one that is left half-way is ended by a task that nobody knows of.
    """

    def __init__(self, *, may_come: bool) -> None:
        self._may_come = may_come
        self._found: deque[DeclaredQueues] = deque()
        self._has_some = asyncio.Event()

    async def __anext__(self) -> DeclaredQueues:
        if not self._may_come:
            raise StopAsyncIteration
        while not self._found:
            self._has_some.clear()
            await self._has_some.wait()
        return self._found.popleft()

    def add(self, declared: DeclaredQueues) -> None:
        """Add what was found."""
        self._found.append(declared)
        self._has_some.set()

    def clear(self) -> None:
        """Leave the rest to another one."""
        self._found.clear()


class Holding:
    """The registry's records while this process has them, not acknowledged, on one channel."""

    def __init__(self, channel: AmqpChannel) -> None:
        self.channel = channel
        self.tags: dict[Names, list[int]] = {}
        #: Set once RabbitMQ has taken them back, or they are to be let go.
        self.ended = asyncio.Event()
        channel.on_refused(lambda _: self.ended.set())
        channel.on_consumer_cancel_callbacks.add(lambda _: self.ended.set())

    def acknowledge(self, names: Names) -> None:
        """Have RabbitMQ forget the records of a set of queues."""
        self.channel.acknowledge(*self.tags.pop(names, ()))


class Registry:
    """The queue in which one bus records what it has declared, and finds what others have."""

    def __init__(
        self,
        name: str,
        declared: Declared,
        publish: Publish,
        refusals: ServerRefusals,
        *,
        permissions: PublishPermissions,
        refresh_seconds: float,
    ) -> None:
        """Make it.

        Args:
            name: of the queue, or '' for no registry.
            declared: what is recorded, and gets what is found.
            publish: publishes a message.
            refusals: shows that the registry is refused.
            permissions: of the account to publish.
            refresh_seconds: after which it is consumed anew.
        """
        self.name = name
        self.orphans = Orphans(may_come=bool(name))
        self._declared = declared
        self._publish = publish
        self._refusals = refusals
        self._permissions = permissions
        self._refresh_seconds = refresh_seconds
        #: Set while this process is the one that is to hold it.
        self._is_wanted = asyncio.Event()
        self._holding: Holding | None = None

    def check(self) -> None:
        """Check that this account may record something.

        Raises:
            BusRefusedError: it may not.
        """
        self._permissions.check(self.name)

    async def record(self, session: Session, declared: DeclaredQueues) -> None:
        """Record queues; returns when the record is on its way.

        Raises:
            AmqpError: the session is over.
        """
        await session.record(self.name, topology.encode_record(declared))

    def forget(self, names: Names) -> None:
        """Remove the records of queues that are deleted."""
        if self._holding is not None:
            self._holding.acknowledge(names)

    def want(self) -> None:
        """Hold the records as soon as their holder lets them go, or is dead."""
        self._is_wanted.set()

    def release(self) -> None:
        """Let the next one have the records."""
        self._is_wanted.clear()
        self.orphans.clear()
        if self._holding is not None:
            self._holding.ended.set()

    async def keep(self, session: Session) -> None:
        """Hold the records as long as the session lasts."""
        while self.name:
            await self._is_wanted.wait()
            try:
                await self._hold(session)
            except (ChannelClosedError, BusRefusedError) as error:
                self._on_refused(str(error))
                await asyncio.sleep(RETRY_SECONDS)
            except TimeoutError:
                self._on_refused("RabbitMQ does not answer")

    def _on_refused(self, error: str) -> None:
        """Tell it, unless it is only that another ingest has the registry."""
        if topology.is_taken_by_another(error):
            self._refusals.remove(self)
            _log.debug("registry.taken", queue=self.name, error=error)
        elif self._refusals.add(self, f"{self.name} is not kept: {error}"):
            _log.error("bus.subscription_refused", bus="RABBITMQ", topic=self.name, error=error)

    async def _hold(self, session: Session) -> None:
        channel = await session.consumer.open_channel()
        holding = self._holding = Holding(channel)
        try:
            await session.operations.declare(
                [self.name], topology.REGISTRY_ARGUMENTS, answer_seconds=ANSWER_SECONDS
            )
            await channel.consume(self.name, self._take_record, tag="registry", exclusive=True)
            await self._restore_records(session, holding)
            # Not earlier: who is told that all is well may end, and leave what nobody remembers.
            if self._refusals.remove(self):
                _log.info("bus.subscription_granted", bus="RABBITMQ", topic=self.name)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_seconds):
                    await holding.ended.wait()
        finally:
            self._holding = None
            with contextlib.suppress(AmqpError):
                await channel.release()

    async def _restore_records(self, session: Session, holding: Holding) -> None:
        """Write anew what RabbitMQ has lost, when it has handed over all that it has.

        It has what a former consumer had: that one is gone, or this one would have been refused.

        Raises:
            BusRefusedError: this account may not.
        """
        while not holding.ended.is_set():
            state = await session.operations.queue_state(self.name)
            if state is None or not state.messages:
                break
            await asyncio.sleep(HAND_OVER_SECONDS)
        for declared in self._declared.unrecorded(holding.tags):
            self.check()
            await self.record(session, declared)

    def _take_record(self, incoming: Incoming) -> None:
        holding, tag = self._holding, incoming.delivery.tag
        if holding is None:
            return
        try:
            declared = topology.decode_record(incoming.body)
        except UNDECODABLE as error:
            _log.error("registry.malformed", queue=self.name, error=str(error))
            holding.channel.acknowledge(tag)
            return
        holding.tags.setdefault(declared.topics, []).append(tag)
        if self._declared.take_over(declared):
            for name in declared.topics:
                self._publish(topology.declared_topic(name), AGAIN)
            self.orphans.add(declared)
