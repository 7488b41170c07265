"""`ari-proxy tail`: the copies of some servers, as they come."""

import asyncio
from collections.abc import Callable, Sequence

from ari_proxy.bus.base import Bus, opened
from ari_proxy.connections import factories
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
from ari_proxy.tap.copies import Copy
from ari_proxy.tap.watcher import Watcher

from .filters import Filter


async def tail(
    settings: Settings,
    servers: Sequence[str],
    wanted: Filter,
    show: Callable[[Copy], None],
    stop: asyncio.Event,
) -> None:
    """Show copies until `stop`.

    Raises:
        NobodyServesError: no process of a server is on the bus.
        BusError: the bus does not answer.
    """
    async with opened(factories.bus(settings, "tail")) as bus, asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(_watch(bus, name, wanted, show)) for name in servers]
        await stop.wait()
        for task in watching:
            task.cancel()


async def _watch(bus: Bus, server: str, wanted: Filter, show: Callable[[Copy], None]) -> None:
    watcher = Watcher(bus, ServerId(server))
    async with watcher.watching() as copies:
        wanted.learn(watcher.dialogs or {})
        async for copy in copies:
            if wanted.passes(copy):
                show(copy)
