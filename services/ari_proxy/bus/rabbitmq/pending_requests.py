"""Requests that RabbitMQ has not answered yet, and what becomes of them."""

import asyncio
from collections import deque
from typing import Any

from pamqp import commands

from .errors import AmqpError


def fail(future: asyncio.Future[Any], error: AmqpError) -> None:
    """Fail a future that may have no waiter, or is done already."""
    if not future.done():
        future.set_exception(error)
        future.exception()  # Marks it as retrieved: asyncio logs others.


class PendingRequests:
    """The requests of a channel that RabbitMQ has not answered yet."""

    def __init__(self) -> None:
        #: Names of the answers that fit; what gets it.
        self._awaited: deque[tuple[list[str], asyncio.Future[Any]]] = deque()

    def expect(self, names: list[str]) -> asyncio.Future[Any]:
        """Return the future of the next answer with one of these names."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._awaited.append((names, answer))
        return answer

    def resolve(self, payload: bytes) -> bool:
        """Resolve the request that a method answers; return False if it answers none.

        Answers are in order, except basic.consume-ok, which queues send.
        """
        if not self._awaited:
            return False
        method = commands.INDEX_MAPPING[int.from_bytes(payload[:4], "big")]()
        for place, (names, answer) in enumerate(self._awaited):
            if method.name in names:
                del self._awaited[place]
                method.unmarshal(payload[4:])
                if not answer.done():
                    answer.set_result(method)
                return True
        return False

    def fail(self, first: AmqpError, others: AmqpError) -> None:
        """Fail all requests, the first one with its own error.

        Their answers may still come, if it was this side that gave them up: they stay awaited.
        """
        for _, answer in self._awaited:
            fail(answer, first)
            first = others
