"""`ari-proxy tail`: live messages of one or more servers.

Of several servers one that nobody serves hides no other: it is told, and watched as soon as
somebody serves it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from ari_proxy.aio import first_leaf
from ari_proxy.bus.base import Bus, opened
from ari_proxy.connections import factories
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
from ari_proxy.tap.records import TapRecord
from ari_proxy.tap.watcher import NobodyServesError, Watcher

from .filters import Filter

_log = structlog.get_logger()

#: Until a server that nobody serves is asked for again.
AGAIN_SECONDS: Final = 5.0


async def tail(
    settings: Settings,
    servers: Sequence[str],
    wanted: Filter,
    show: Callable[[TapRecord], None],
    stop: asyncio.Event,
    *,
    again_seconds: float = AGAIN_SECONDS,
) -> None:
    """Show the matching records until `stop`.

    Raises:
        NobodyServesError: no process of any of the servers is on the bus.
        BusError: the bus does not answer.
    """
    async with opened(factories.bus(settings, "tail")) as bus, asyncio.TaskGroup() as tasks:
        followers = _Followers(bus, servers, wanted, show, again_seconds)
        watching = [tasks.create_task(followers.follow(name)) for name in dict.fromkeys(servers)]
        await stop.wait()
        for task in watching:
            task.cancel()


class _Followers:
    """Those who follow a server each, as long as one of them finds it served."""

    def __init__(
        self,
        bus: Bus,
        servers: Sequence[str],
        wanted: Filter,
        show: Callable[[TapRecord], None],
        again_seconds: float,
    ) -> None:
        self._bus = bus
        self._count = len(set(servers))
        self._wanted = wanted
        self._show = show
        self._again_seconds = again_seconds
        self._absent: set[str] = set()

    async def follow(self, server: str) -> None:
        """Show a server's records, once somebody serves it."""
        while True:
            try:
                await self._watch(server)
            except* NobodyServesError as group:
                self._note_absent(server, first_leaf(group))
                if len(self._absent) == self._count:
                    raise
            await asyncio.sleep(self._again_seconds)

    def _note_absent(self, server: str, error: BaseException) -> None:
        if server not in self._absent:
            self._absent.add(server)
            _log.warning("watch.absent", server_id=server, error=str(error))

    async def _watch(self, server: str) -> None:
        watcher = Watcher(self._bus, ServerId(server))
        async with watcher.watching() as records:
            self._absent.discard(server)
            self._wanted.learn(watcher.dialogs or {})
            async for record in records:
                if self._wanted.passes(record):
                    self._show(record)
