"""Declared queues: recorded in the registry, announced, restored, deleted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import structlog
from pamqp.common import FieldTable

from ari_proxy.bus.base import Message
from ari_proxy.bus.durable import DeclaredQueues
from ari_proxy.bus.refusals import ServerRefusals

from . import topology
from .declared import Declared, Names
from .errors import ChannelClosedError
from .publishing import PublishPermissions
from .registry import AGAIN, ANSWER_SECONDS, REFRESH_SECONDS, Publish, Registry
from .session import Session
from .session_tasks import OPERATION_SECONDS

_log = structlog.get_logger()

#: Queues that are restored at once.
_BATCH: Final = 300


class Declarations:
    """What one bus has declared, and what it has taken over."""

    def __init__(
        self,
        registry: str,
        publish: Publish,
        refusals: ServerRefusals,
        *,
        permissions: PublishPermissions,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> None:
        """Make it.

        Args:
            registry: the queue that records what was declared with a note, or '' for none.
            publish: publishes a message.
            refusals: shows that the registry is refused.
            permissions: of the account to publish.
            refresh_seconds: after which the registry is consumed anew.
        """
        self._publish = publish
        self._declared = Declared()
        self._registry = Registry(
            registry,
            self._declared,
            publish,
            refusals,
            permissions=permissions,
            refresh_seconds=refresh_seconds,
        )

    async def declare(self, session: Session, names: Names, note: str) -> None:
        """Declare queues and tell it.

        Raises:
            AmqpError: RabbitMQ refuses it, or the outcome is not known.
            BusRefusedError: this account may not publish there.
        """
        try:
            if note and self._registry.name:
                await self._declare_recorded(session, names, note)
            else:
                self._declared.add(names)
                await session.operations.declare(list(names))
        except ChannelClosedError:
            self._declared.remove(names)
            raise
        for name in names:
            self._publish(topology.declared_topic(name), b"")

    async def _declare_recorded(self, session: Session, names: Names, note: str) -> None:
        self._registry.check()
        self._registry.want()
        with self._declared.declaring(names, note):
            # Sent before the queues are declared: nothing is declared that nobody remembers.
            await self._registry.record(session, DeclaredQueues(names, note))
            await session.operations.declare(list(names))

    async def delete(self, session: Session, names: Names) -> None:
        """Delete queues, forget them and tell it.

        Raises:
            AmqpError: the outcome is not known.
        """
        with self._declared.deleting(names):
            await session.operations.delete(list(names))
            self._declared.remove(names)
        for name in names:
            self._publish(topology.deleted_topic(name), b"")
        self._registry.forget(names)

    async def restore(self, session: Session) -> None:
        """Bring back what a new session's RabbitMQ may have lost, and tell all of it."""
        names = self._declared.queues
        async with asyncio.TaskGroup() as tasks:
            if self._registry.name:
                tasks.create_task(self._restore_registry(session))
            for start in range(0, len(names), _BATCH):
                tasks.create_task(self._restore_queues(session, names[start : start + _BATCH]))
        for name in names:
            self._publish(topology.declared_topic(name), AGAIN)

    async def _restore_registry(self, session: Session) -> None:
        await self._restore_queues(
            session,
            [self._registry.name],
            topology.REGISTRY_ARGUMENTS,
            answer_seconds=ANSWER_SECONDS,
        )

    async def _restore_queues(
        self,
        session: Session,
        names: list[str],
        arguments: FieldTable | None = None,
        *,
        answer_seconds: float = OPERATION_SECONDS,
    ) -> None:
        try:
            await session.operations.declare(names, arguments, answer_seconds=answer_seconds)
        except TimeoutError:
            # Its node was cut off, and has it still; if not, whoever consumes it finds it missing.
            _log.error("queue.not_restored", queue=names[0], error="RabbitMQ does not answer")
        except ChannelClosedError as error:
            if len(names) == 1:
                _log.error("queue.not_restored", queue=names[0], error=str(error))
            else:  # One of them; all others have a right to be there.
                for name in names:
                    await self._restore_queues(session, [name])

    def bring_back(self, queue: str) -> Callable[[Session], Awaitable[None]] | None:
        """Return how to declare a queue again that is gone, or None if it is not one of ours."""
        if not self._declared.has(queue):
            return None

        async def work(session: Session) -> None:
            if not self._declared.has(queue):
                return
            await self._restore_queues(session, [queue])
            if not self._declared.has(queue):  # Nobody would ever delete it.
                await session.operations.delete([queue])
                return
            _log.warning("queue.brought_back", queue=queue)
            self._publish(topology.declared_topic(queue), AGAIN)

        return work

    def answer_list(self, message: Message) -> None:
        """Tell who asks for it which queues of a pattern there are."""
        _, _, pattern = message.topic.partition(".")
        if message.reply:
            self._publish(message.reply, topology.encode_topics(self._declared.matching(pattern)))

    # The registry

    def is_recorded(self, names: Names) -> bool:
        """Return whether queues that were declared together, with a note, are ours."""
        return self._declared.has_noted(names)

    def release(self) -> None:
        """Let the next one have the registry, and forget what is in it."""
        self._registry.release()
        self._declared.hand_over()

    def orphans(self) -> AsyncIterator[DeclaredQueues]:
        """Return what a predecessor has declared, as it comes to light."""
        self._registry.want()
        return self._registry.orphans

    async def keep_registry(self, session: Session) -> None:
        """Hold the registry's messages as long as the session lasts."""
        await self._registry.keep(session)
