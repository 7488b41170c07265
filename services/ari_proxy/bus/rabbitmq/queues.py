"""RabbitMQ's durable queues, as the port has them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from ari_proxy.bus.durable import DeclaredQueues

from .declarations import Declarations
from .session import Session

T = TypeVar("T")


class InSession(Protocol):
    """Runs an operation in the current session."""

    async def __call__(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Wait for a session, and run the operation.

        Raises:
            BusRefusedError: RabbitMQ refuses the operation.
            BusUnavailableError: the session ended before the outcome was known.
        """


class RabbitMqQueues:
    """The durable queues of one bus."""

    def __init__(self, declarations: Declarations, in_session: InSession) -> None:
        self._declarations = declarations
        self._in_session = in_session

    async def declare(self, topics: Sequence[str], *, note: str = "") -> None:
        """Create queues.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
            BusRefusedError: RabbitMQ refuses them, or the record of their note.
        """
        names = tuple(topics)
        await self._in_session(lambda session: self._declarations.declare(session, names, note))

    async def delete(self, topics: Sequence[str]) -> None:
        """Delete queues with all their messages.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
            BusRefusedError: RabbitMQ refuses to delete them.
        """
        names = tuple(topics)
        await self._in_session(lambda session: self._declarations.delete(session, names))

    def is_recorded(self, topics: Sequence[str]) -> bool:
        """Return whether queues that were declared together, with a note, are this process's."""
        return self._declarations.is_recorded(tuple(topics))

    async def has_consumer(self, topic: str) -> bool:
        """Return whether a queue has a consumer; True for a topic that is no queue.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
            BusRefusedError: the queue's node is down, or it has an exclusive consumer.
        """
        return await self._in_session(lambda session: session.operations.is_served(topic))

    async def is_drained(self, topic: str) -> bool:
        """Return whether a queue has a consumer, and no message waits in it.

        RabbitMQ tells how many are ready, not how many consumers hold (rabbitmq.com/docs/queues).

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
            BusRefusedError: the queue's node is down, or it has an exclusive consumer.
        """
        state = await self._in_session(lambda session: session.operations.queue_state(topic))
        return state is not None and bool(state.consumers) and not state.messages

    async def backlog(self, topic: str) -> int:
        """Return how many messages wait in a queue that has no consumer.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
            BusRefusedError: the queue's node is down, or it has an exclusive consumer.
        """
        state = await self._in_session(lambda session: session.operations.queue_state(topic))
        return 0 if state is None or state.consumers else state.messages

    def orphans(self) -> AsyncIterator[DeclaredQueues]:
        """Yield queues that a dead process has declared with a note."""
        return self._declarations.orphans()

    async def release(self) -> None:
        """Leave the queues declared with a note to the next caller of `orphans`."""
        self._declarations.release()
