"""Messages to ourselves from one connection to others, which show that their servers are in step.

A round trip on a connection shows what its own server has handled. The servers of a cluster learn
of each other's subscriptions, and of each other's messages, a moment later. Each sends what it has
for another one in order. So once a message has crossed from one connection to another, the server
of the second has got all that the first had published and subscribed before.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from .errors import port_errors

_log = structlog.get_logger()

#: Deadline: the servers may have lost each other.
CROSSING_SECONDS: Final = 2.0
#: Between attempts: a message that comes too early goes nowhere.
_AGAIN_SECONDS: Final = 0.05


class Crossing:
    """The way from one of our connections to others."""

    def __init__(self, origin: Client, targets: Sequence[Client], topic: str) -> None:
        """Make it.

        Args:
            origin: the connection to send on.
            targets: the connections to receive on.
            topic: on which nobody else subscribes.
        """
        self._origin = origin
        self._topic = topic
        self._sent = 0
        #: The last message that each has received.
        self._received: dict[Client, int] = dict.fromkeys(targets, 0)
        self._has_received = asyncio.Event()

    async def open(self) -> None:
        """Subscribe where messages shall arrive.

        Raises:
            BusUnavailableError: a connection is lost.
        """
        with port_errors():
            for target in self._received:
                await target.subscribe(self._topic, cb=partial(self._receive, target))

    async def _receive(self, target: Client, message: Msg) -> None:
        self._received[target] = max(self._received.get(target, 0), int(message.data))
        self._has_received.set()

    def _awaits(self, number: int) -> list[Client]:
        return [target for target, last in self._received.items() if last < number]

    async def cross(self) -> bool:
        """Return once a message that is sent now has crossed everywhere; false if none does.

        Where none arrives in time, none is awaited any more.

        Raises:
            BusUnavailableError: the connection to send on is lost.
        """
        number = self._sent + 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CROSSING_SECONDS):
                while self._awaits(number):
                    await self._send()
        apart = self._awaits(number)
        for target in apart:
            _log.warning("bus.servers_apart", bus="NATS", seconds=CROSSING_SECONDS)
            del self._received[target]
        return not apart

    async def _send(self) -> None:
        self._sent += 1
        self._has_received.clear()
        with port_errors():
            await self._origin.publish(self._topic, b"%d" % self._sent)
        loop = asyncio.get_running_loop()
        again = loop.time() + _AGAIN_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(again):
                while self._awaits(self._sent):
                    await self._has_received.wait()
                    self._has_received.clear()
