"""The part of the port that only a bus with durable queues has: RabbitMQ, not NATS.

A declared queue keeps its messages until a consumer acknowledges them, and outlives the process
that declared it. `tests/contract/test_durable_bus.py` checks it.
"""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol


class DeclaredQueues(NamedTuple):
    """Queues that were declared together, with the note of the process that declared them."""

    topics: tuple[str, ...]
    note: str


class DurableQueues(Protocol):
    """The durable queues of one bus."""

    async def declare(self, topics: Sequence[str], *, note: str = "") -> None:
        """Create queues, so that a consumer that comes late loses nothing.

        Args:
            topics: queues that belong together.
            note: returned by `orphans` should this process die before it deletes them; without a
                note they are not recorded.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
            BusRefusedError: the server refuses them.
        """

    async def delete(self, topics: Sequence[str]) -> None:
        """Delete queues with all their messages; those that do not exist are no error.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
        """

    def is_recorded(self, topics: Sequence[str]) -> bool:
        """Return whether queues that were declared together, with a note, are this process's.

        Once they are deleted or released they are not, even while their server is away.
        """

    async def has_consumer(self, topic: str) -> bool:
        """Return whether a queue has a consumer.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
            BusRefusedError: the server refuses to describe the queue.
        """

    async def is_drained(self, topic: str) -> bool:
        """Return whether a queue has a consumer, and no message waits in it.

        Consumers may hold messages that they have not acknowledged: those don't wait.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
            BusRefusedError: the server refuses to describe the queue.
        """

    async def backlog(self, topic: str) -> int:
        """Return how many messages wait in a queue that has no consumer; 0 if it has one.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
            BusRefusedError: the server refuses to describe the queue.
        """

    def orphans(self) -> AsyncIterator[DeclaredQueues]:
        """Yield queues that other processes have declared with a note and not deleted.

        They belong to this process from then on. Without a registry of queues there are none.
        """

    async def release(self) -> None:
        """Leave the queues declared with a note to the next caller of `orphans`.

        Calling `orphans` here undoes it.
        """
