"""The bus in memory, with calls that take as long as a test wants them to."""

import asyncio
import sys
from dataclasses import dataclass, field
from typing import Literal

from ari_proxy.bus.base import Handler, Subscription
from ari_proxy.bus.errors import BusError
from ari_proxy.bus.memory import MemoryBroker, MemoryBus


@dataclass
class Hold:
    """Holds one call: a request once its answer is there, a subscription before it is in force."""

    method: Literal["request", "subscribe"]
    topic: str
    #: How many such calls are not held before it.
    after: int = 0
    #: Raised in the end, in place of an answer.
    error: BusError | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, method: str, topic: str) -> None:
        """Return at once, unless it is the call that is held."""
        if (method, topic) != (self.method, self.topic) or self.reached.is_set():
            return
        if self.after:
            self.after -= 1
            return
        self.reached.set()
        await self.released.wait()
        if self.error is not None:
            raise self.error


class HeldBus(MemoryBus):
    """One connection to a broker, held up by a test."""

    def __init__(self, broker: MemoryBroker, hold: Hold | None = None) -> None:
        super().__init__(broker)
        self._hold = hold or Hold("request", "")
        #: Whether its buffer is full for now, as far as anybody asks.
        self.is_full = False

    @property
    def buffered_bytes(self) -> int:
        return sys.maxsize if self.is_full else super().buffered_bytes

    async def request(self, topic: str, payload: bytes, *, timeout_seconds: float) -> bytes:
        answer = await super().request(topic, payload, timeout_seconds=timeout_seconds)
        await self._hold.wait("request", topic)
        return answer

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = "", hold: bool = False
    ) -> Subscription:
        await self._hold.wait("subscribe", topic)
        return await super().subscribe(topic, handler, group=group, hold=hold)
