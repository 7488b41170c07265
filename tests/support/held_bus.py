"""Buses whose calls a test can hold up."""

import asyncio
import sys
from dataclasses import dataclass, field
from typing import Any, Literal

from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusError
from ari_proxy.bus.memory.bus import MemoryBus


@dataclass
class Hold:
    """Holds one call: a message after its outcome, a subscription before it is active."""

    method: Literal["request", "publish_to_listener", "subscribe"]
    topic: str
    #: How many such calls are not held before it.
    after: int = 0
    #: Raised in the end, in place of an answer.
    error: BusError | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def on(self, bus: Bus) -> None:
        """Route the calls of a bus through it."""
        call = getattr(bus, self.method)

        async def send(topic: str, payload: bytes, **options: Any) -> object:
            outcome = await call(topic, payload, **options)
            await self._wait(topic)
            return outcome

        async def subscribe(topic: str, *listener: Any, **options: Any) -> object:
            await self._wait(topic)
            return await call(topic, *listener, **options)

        setattr(bus, self.method, subscribe if self.method == "subscribe" else send)

    async def _wait(self, topic: str) -> None:
        if topic != self.topic or self.reached.is_set():
            return
        if self.after:
            self.after -= 1
            return
        self.reached.set()
        await self.released.wait()
        if self.error is not None:
            raise self.error


class FullBus(MemoryBus):
    """A bus in memory that reports a full buffer while a test sets `is_full`."""

    is_full = False

    @property
    def buffered_bytes(self) -> int:
        return sys.maxsize if self.is_full else super().buffered_bytes
