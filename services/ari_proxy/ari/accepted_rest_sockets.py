"""Websockets for REST requests that Asterisk opens (22.5 and newer).

Several processes may wait for them at one address: each has those that come to it, up to its
number, perhaps none. So only who has one takes commands, and who ends lets the others have some
before it takes no more.
"""

import asyncio
import contextlib
import itertools
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog
from websockets.protocol import State

from ari_proxy.aio import run_until_first
from ari_proxy.backoff import Backoff
from ari_proxy.protocol.malformed import UNDECODABLE

from .connection_source import ConnectionSource
from .message_connection import MessageConnection
from .rest_pool import RestPool
from .websocket_names import COMMAND_PREFIX

_log = structlog.get_logger()


_BOOTING: Final = Backoff(first_seconds=0.1, last_seconds=5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedTimes:
    """How long what is waited for, in seconds."""

    #: For Asterisk's first frame, which names the application.
    name: float = 5.0
    #: Between attempts: while it boots, Asterisk opens websockets and refuses requests.
    booting: Backoff = _BOOTING
    #: Until a websocket that is of no use is closed: Asterisk opens the next one at once.
    useless: float = 5.0
    #: Without a websocket, until that counts: Asterisk opens the next one at once, and after a
    #: failure again after websocket_client.conf's `reconnect_interval` (0.5 s).
    grace: float = 5.0
    #: For Asterisk to open those that were released elsewhere, and for the process there to notice.
    release: float = 2.0


class _RegisteredEvent(msgspec.Struct, tag_field="type", tag="ApplicationRegistered"):
    application: str


ACCEPTED_TIMES: Final = AcceptedTimes()
_decoder: Final = msgspec.json.Decoder(_RegisteredEvent)


class AcceptedRestSockets:
    """Offers each websocket that Asterisk opens to a pool, until it ends; an Availability."""

    def __init__(
        self,
        pool: RestPool,
        source: ConnectionSource,
        number: int,
        times: AcceptedTimes = ACCEPTED_TIMES,
    ) -> None:
        """Initialise; `run` accepts them.

        Args:
            pool: has those that are open.
            source: where they come from; it takes several iterations at a time.
            number: the most at a time; Asterisk opens the others elsewhere.
            times: pauses and deadlines.
        """
        self._pool = pool
        self._source = source
        self._number = number
        self._times = times

    @property
    def is_available(self) -> bool:
        """Whether there is a websocket."""
        return self._pool.opened > 0

    async def until_available(self) -> None:
        """Wait until there is a websocket."""
        await self._pool.until_open()

    async def until_unavailable(self) -> None:
        """Wait until there has been no websocket for a while."""
        while True:
            await self._pool.until_empty()
            try:
                async with asyncio.timeout(self._times.grace):
                    await self._pool.until_open()
            except TimeoutError:
                return

    async def release(self) -> None:
        """Accept no more, and close all but one; each once its requests are answered."""
        self._source.end()
        if self._pool.opened > 1:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._times.release):
                    await self._pool.leave(keep=1)
            await asyncio.sleep(self._times.release)

    async def run(self) -> None:
        """Accept websockets until the source has ended, or cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._number):
                tasks.create_task(self._keep_accepting())

    async def _keep_accepting(self) -> None:
        async with aclosing(self._source.connections()) as connections:
            async for connection in connections:
                application = await self._application_of(connection)
                if application.startswith(COMMAND_PREFIX):
                    await self._offer(connection, application)
                else:
                    # An event filter would take its events from an application of calls.
                    _log.error("rest_websocket.foreign", application=application)
                    await asyncio.sleep(self._times.useless)

    async def _application_of(self, connection: MessageConnection) -> str:
        """Return the application of a new websocket; '' if it does not say."""
        named: list[str] = []
        is_named = asyncio.Event()

        def take(message: bytes) -> None:
            with contextlib.suppress(*UNDECODABLE):
                named.append(_decoder.decode(message).application)
                is_named.set()

        waits = connection.read(take), is_named.wait(), asyncio.sleep(self._times.name)
        await run_until_first(*waits)
        return named[0] if named else ""

    async def _offer(self, connection: MessageConnection, application: str) -> None:
        taken = asyncio.Event()
        for attempt in itertools.count(1):
            if await self._pool.serve(connection, application, taken.set):
                break
            await asyncio.sleep(self._times.booting.seconds(attempt))
        if not taken.is_set() and connection.state is State.OPEN:  # The user is refused.
            await asyncio.sleep(self._times.useless)
