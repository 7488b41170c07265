"""Replies to requests, by their tokens."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import AmqpError
from .messages import Incoming
from .pending_requests import fail


class PendingReplies:
    """The replies that are awaited in one session."""

    def __init__(self) -> None:
        self._awaited: dict[str, asyncio.Future[bytes]] = {}
        self._tokens = itertools.count(1)

    @contextmanager
    def awaited(self) -> Iterator[tuple[str, asyncio.Future[bytes]]]:
        """Await a reply: yield the token to request it with, and its future."""
        token = f"{next(self._tokens)}"
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._awaited[token] = reply
        try:
            yield token, reply
        finally:
            reply.cancel()
            del self._awaited[token]

    def take(self, incoming: Incoming) -> None:
        """Take a reply; one that is late or unknown is dropped."""
        reply = self._awaited.get(incoming.properties.correlation_id)
        if reply is not None and not reply.done():
            reply.set_result(incoming.body)

    def fail(self, error: AmqpError) -> None:
        """Fail all that are awaited."""
        for reply in self._awaited.values():
            fail(reply, error)
