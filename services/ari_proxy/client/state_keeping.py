"""Keeping what is known of a call's channels true, while its handler runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from ari_proxy.lazy_logger import LazyLogger

from .ari import Ari
from .channel_state import TrackedChannel
from .errors import ClientError, NotFound, RequestFailed, TransportFailed, Unsupported
from .events import Event, ProxyGap
from .gaps import GapHandlers
from .party import Party

_log = LazyLogger()

#: Seconds to wait for the first event of a call; without one its channel is read.
BEGIN_SECONDS: Final = 2.0
#: Seconds between attempts to read, and how many.
RETRY_SECONDS: Final = 1.0
READ_ATTEMPTS: Final = 10


@asynccontextmanager
async def state_kept(
    call: Party,
    gap_handlers: GapHandlers | None = None,
    *,
    begin_seconds: float = BEGIN_SECONDS,
    retry_seconds: float = RETRY_SECONDS,
) -> AsyncIterator[None]:
    """Begin once the state of a call's channel is known, and read again what a gap may have hidden.

    Args:
        call: whose.
        gap_handlers: called with each gap, when all has been read again.
        begin_seconds: to wait for the first event.
        retry_seconds: between attempts to read.
    """
    failure: Exception | None = None
    keeping = _Keeping(call, gap_handlers, retry_seconds)
    with call.following(keeping.hear):
        await keeping.begin(begin_seconds)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(keeping.run(tasks))
            try:
                yield
            except Exception as error:  # noqa: BLE001  raised again, outside of the task group
                failure = error
            finally:
                reading.cancel()
                keeping.cancel_handlers()
    if failure is not None:
        raise failure


class _Keeping:
    def __init__(self, call: Party, gap_handlers: GapHandlers | None, retry_seconds: float) -> None:
        self._call = call
        self._gap_handlers = gap_handlers or GapHandlers(call.dialog_id)
        #: Runs them, as long as a gap waits for them.
        self._handling: asyncio.Task[None] | None = None
        self._retry_seconds = retry_seconds
        self._own = call.tracked_channels.of(call.channel_id)
        self._has_begun = asyncio.Event()
        self._is_to_read = asyncio.Event()

    def hear(self, event: Event) -> None:
        self._has_begun.set()
        if isinstance(event, ProxyGap):
            self._is_to_read.set()

    async def begin(self, within_seconds: float) -> None:
        if self._own.is_known or self._call.is_over:
            return
        try:
            async with asyncio.timeout(within_seconds):
                await self._has_begun.wait()
        except TimeoutError:
            await self._read_patiently([self._own], attempts=1)

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await self._is_to_read.wait()
            self._is_to_read.clear()
            with self._gap_handlers.reading():
                await self._read_patiently(self._call.tracked_channels.uncertain, READ_ATTEMPTS)
            self._call_handlers(tasks)

    def _call_handlers(self, tasks: asyncio.TaskGroup) -> None:
        is_running = self._handling is not None and not self._handling.done()
        if self._gap_handlers.are_due and not is_running:
            self._handling = tasks.create_task(self._gap_handlers.run())

    def cancel_handlers(self) -> None:
        if self._handling is not None:
            self._handling.cancel()

    async def _read_patiently(self, states: list[TrackedChannel], attempts: int) -> None:
        left = await self._read_all(states)
        while left and attempts > 1:
            attempts -= 1
            await asyncio.sleep(self._retry_seconds)
            left = await self._read_all(list(left))
        for error in left.values():
            self._warn(error)

    async def _read_all(self, states: list[TrackedChannel]) -> dict[TrackedChannel, ClientError]:
        """Read channels; return those that are to be tried again, and why."""
        failed: dict[TrackedChannel, ClientError] = {}
        for state in states:
            try:
                with state.reading():
                    await _read(self._call.ari, state)
            except TransportFailed as error:
                failed[state] = error
            except ClientError as error:
                self._warn(error)
        return failed

    def _warn(self, error: ClientError) -> None:
        _log.warning("state.not_read", dialog_id=self._call.dialog_id, error=str(error))


async def _read(ari: Ari, state: TrackedChannel) -> None:
    """Read a channel, and the variables that are known of it."""
    try:
        state.read(await ari.channels.get(state.channel_id))
    except NotFound:
        state.read(None)
        return
    state.read_variables(await _variables(ari, state))


async def _variables(ari: Ari, state: TrackedChannel) -> dict[str, str]:
    """Return those of the known variables that a channel still has."""
    names, channel_id = state.asked_variables, state.channel_id
    if not names:
        return {}
    try:
        return (await ari.channels.get_variables(channel_id, names)).variables
    except (RequestFailed, Unsupported):
        pass  # One of them is no more, or Asterisk can't tell several.
    found = {}
    for name in names:
        with suppress(RequestFailed):
            found[name] = (await ari.channels.get_variable(channel_id, name)).value
    return found
