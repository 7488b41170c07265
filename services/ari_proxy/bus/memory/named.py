"""Brokers in memory by name: what `memory://NAME` joins within one process."""

import asyncio
from typing import Final
from weakref import WeakValueDictionary

from .bus import MemoryBroker


class NamedBroker(MemoryBroker):
    """A broker that lives as long as a bus uses it, and no longer than the event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def has_ended(self) -> bool:
        """True once the event loop of its connections is closed: each test has a loop."""
        return self._loop is not None and self._loop.is_closed()

    async def wait_running(self) -> None:
        """Return once it accepts messages."""
        self._loop = asyncio.get_running_loop()
        await super().wait_running()


_brokers: Final[WeakValueDictionary[str, NamedBroker]] = WeakValueDictionary()


def named_broker(name: str) -> MemoryBroker:
    """Return the broker of this name; a new one if none is in use."""
    broker = _brokers.get(name)
    if broker is None or broker.has_ended:
        broker = _brokers[name] = NamedBroker()
    return broker
