"""`ari-proxy tail`: live messages of one or more servers."""

import asyncio
from collections.abc import Callable, Sequence

from ari_proxy.bus.base import Bus, opened
from ari_proxy.connections import factories
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
from ari_proxy.tap.records import TapRecord
from ari_proxy.tap.watcher import Watcher

from .filters import Filter


async def tail(
    settings: Settings,
    servers: Sequence[str],
    wanted: Filter,
    show: Callable[[TapRecord], None],
    stop: asyncio.Event,
) -> None:
    """Show the matching records until `stop`.

    Raises:
        NobodyServesError: no process of a server is on the bus.
        BusError: the bus does not answer.
    """
    async with opened(factories.bus(settings, "tail")) as bus, asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(_watch(bus, name, wanted, show)) for name in servers]
        await stop.wait()
        for task in watching:
            task.cancel()


async def _watch(bus: Bus, server: str, wanted: Filter, show: Callable[[TapRecord], None]) -> None:
    watcher = Watcher(bus, ServerId(server))
    async with watcher.watching() as records:
        wanted.learn(watcher.dialogs or {})
        async for record in records:
            if wanted.passes(record):
                show(record)
